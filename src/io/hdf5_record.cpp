#include "hdf5_record.hpp"

#include <algorithm>
#include <cstring>

#include "hdf5_detail.hpp"
#include "utf8.hpp"

namespace scvi::io {

using hdf5::checked;
using hdf5::quietly;

namespace {

constexpr const char* kUnwritable = "cannot be written";

struct Member {
  std::string name;
  Hdf5Handle type;
  std::size_t offset = 0;
};

/// How the records look before and after.
class RecordLayout {
 public:
  RecordLayout(hid_t old_type, const std::vector<Column>& columns) {
    const int count = H5Tget_nmembers(old_type);
    for (int index = 0; index < count; ++index) {
      const std::unique_ptr<char, herr_t (*)(void*)> name(H5Tget_member_name(old_type, static_cast<unsigned>(index)),
                                                          H5free_memory);
      const bool replaced = std::any_of(columns.begin(), columns.end(),
                                        [&](const Column& column) { return name && column.name == name.get(); });
      if (name && !replaced) add(kept_, name.get(), H5Tget_member_type(old_type, static_cast<unsigned>(index)));
    }
    for (const Column& column : columns) add(added_, column.name, type_for(column));
  }

  std::size_t record_bytes() const { return bytes_; }
  const std::vector<Member>& added() const { return added_; }

  /// The records without the added fields, laid out with room for them.
  Hdf5Handle kept_type() const {
    Hdf5Handle type(H5Tcreate(H5T_COMPOUND, bytes_));
    insert(type, kept_);
    return type;
  }
  Hdf5Handle whole_type() const {
    Hdf5Handle type = kept_type();
    insert(type, added_);
    return type;
  }

 private:
  std::vector<Member> kept_;
  std::vector<Member> added_;
  std::size_t bytes_ = 0;

  void add(std::vector<Member>& members, const std::string& name, hid_t type) {
    members.push_back({name, Hdf5Handle(type), bytes_});
    bytes_ += H5Tget_size(type);
  }

  static void insert(const Hdf5Handle& type, const std::vector<Member>& members) {
    for (const Member& member : members) H5Tinsert(type.id(), member.name.c_str(), member.offset, member.type.id());
  }

  static hid_t type_for(const Column& column) {
    if (std::holds_alternative<std::vector<std::string>>(column.values)) return hdf5::make_text_type().release();
    if (std::holds_alternative<std::vector<double>>(column.values)) return H5Tcopy(H5T_NATIVE_DOUBLE);
    if (std::holds_alternative<Boolean>(column.values)) return hdf5::make_boolean_type().release();
    return H5Tcopy(H5T_NATIVE_INT64);
  }
};

/// Texts that the file will take, kept alive while records point at them.
std::vector<std::string> texts_to_write(const Column& column) {
  std::vector<std::string> texts;
  if (const auto* given = std::get_if<std::vector<std::string>>(&column.values))
    for (const std::string& text : *given) texts.push_back(valid_utf8(text));
  return texts;
}

void put_value(const Column& column, const std::vector<std::string>& texts, std::size_t row, char* into) {
  if (const auto* reals = std::get_if<std::vector<double>>(&column.values)) {
    std::memcpy(into, &(*reals)[row], sizeof(double));
  } else if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values)) {
    std::memcpy(into, &(*whole)[row], sizeof(std::int64_t));
  } else if (const auto* truths = std::get_if<Boolean>(&column.values)) {
    *into = static_cast<char>(truths->values[row]);
  } else {
    const char* const pointer = texts[row].c_str();
    std::memcpy(into, &pointer, sizeof pointer);
  }
}

/// Copies every attribute from one object to another.
herr_t copy_attribute(hid_t from, const char* name, const H5A_info_t*, void* to) {
  const Hdf5Handle attribute(H5Aopen(from, name, H5P_DEFAULT));
  const Hdf5Handle type(attribute ? H5Aget_type(attribute.id()) : -1);
  const Hdf5Handle space(attribute ? H5Aget_space(attribute.id()) : -1);
  if (!type || !space) return -1;
  const hssize_t count = H5Sget_simple_extent_npoints(space.id());
  std::vector<char> values(static_cast<std::size_t>(std::max<hssize_t>(count, 0)) * H5Tget_size(type.id()) + 1);
  const Hdf5Handle copy(
      H5Acreate2(*static_cast<hid_t*>(to), name, type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT));
  if (!copy) return -1;
  if (count <= 0) return 0;
  if (H5Aread(attribute.id(), type.id(), values.data()) < 0) return -1;
  const herr_t written = H5Awrite(copy.id(), type.id(), values.data());
  H5Dvlen_reclaim(type.id(), space.id(), H5P_DEFAULT, values.data());
  return written;
}

/// Layout and filters as they were, but without a fill value, which would be of the old type.
Hdf5Handle creation_like(hid_t dataset) {
  Hdf5Handle list(H5Dget_create_plist(dataset));
  H5D_fill_value_t fill = H5D_FILL_VALUE_UNDEFINED;
  if (list && H5Pfill_value_defined(list.id(), &fill) >= 0 && fill == H5D_FILL_VALUE_USER_DEFINED)
    return Hdf5Handle(H5Pcreate(H5P_DATASET_CREATE));
  return list;
}

class RecordRewriter {
 public:
  RecordRewriter(Hdf5File& file, const std::string& path, const std::vector<Column>& columns)
      : file_(file),
        path_(path),
        columns_(columns),
        old_(file.open_dataset(path)),
        layout_(Hdf5Handle(H5Dget_type(old_.id())).id(), columns) {
    for (const Column& column : columns) texts_.push_back(texts_to_write(column));
  }

  void run() {
    const std::string beside = path_ + ".rewritten";
    const Hdf5Handle whole = quietly([&] { return layout_.whole_type(); });
    Hdf5Handle made(hdf5::checked_write(file_.id(), file_.path(), path_, kUnwritable, [&] {
      const Hdf5Handle space(H5Dget_space(old_.id()));
      const Hdf5Handle creation = creation_like(old_.id());
      return H5Dcreate2(file_.id(), beside.c_str(), whole.id(), space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT);
    }));
    const auto step = std::max<std::int64_t>((1 << 22) / static_cast<std::int64_t>(layout_.record_bytes()), 1);
    const std::int64_t n_rows = old_.info().size();
    for (std::int64_t first = 0; first < n_rows; first += step)
      copy_rows(made.id(), whole.id(), first, std::min(step, n_rows - first));
    hid_t target = made.id();
    hdf5::checked_write(file_.id(), file_.path(), path_, kUnwritable, [&] {
      hsize_t next = 0;
      return H5Aiterate2(old_.id(), H5_INDEX_NAME, H5_ITER_INC, &next, copy_attribute, &target);
    });
    hdf5::checked_write(file_.id(), file_.path(), path_, kUnwritable, [&] { return H5Dflush(made.id()); });
    file_.remove(path_);
    file_.rename(beside, path_);
  }

 private:
  Hdf5File& file_;
  std::string path_;
  const std::vector<Column>& columns_;
  Hdf5Dataset old_;
  RecordLayout layout_;
  std::vector<std::vector<std::string>> texts_;

  void copy_rows(hid_t made, hid_t whole, std::int64_t first, std::int64_t count) {
    hdf5::TextArena arena(static_cast<std::size_t>(file_.file_bytes()) + (1 << 20));
    std::vector<char> records(static_cast<std::size_t>(count) * layout_.record_bytes(), 0);
    const hsize_t start = static_cast<hsize_t>(first);
    const hsize_t extent = static_cast<hsize_t>(count);
    read_kept(start, extent, records, arena);
    put_columns(first, count, records);
    hdf5::checked_write(file_.id(), file_.path(), path_, kUnwritable, [&]() -> herr_t {
      const Hdf5Handle space(H5Dget_space(made));
      const Hdf5Handle memory(H5Screate_simple(1, &extent, nullptr));
      if (H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, &start, nullptr, &extent, nullptr) < 0) return -1;
      return H5Dwrite(made, whole, memory.id(), space.id(), H5P_DEFAULT, records.data());
    });
  }

  void read_kept(hsize_t start, hsize_t extent, std::vector<char>& records, hdf5::TextArena& arena) const {
    const hdf5::ChunkScope scope(old_);
    checked(file_.path(), path_, "cannot be read", [&]() -> herr_t {
      const Hdf5Handle transfer = arena.make_transfer();
      const Hdf5Handle kept = layout_.kept_type();
      const Hdf5Handle space(H5Dget_space(old_.id()));
      const Hdf5Handle memory(H5Screate_simple(1, &extent, nullptr));
      if (H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, &start, nullptr, &extent, nullptr) < 0) return -1;
      return H5Dread(old_.id(), kept.id(), memory.id(), space.id(), transfer.id(), records.data());
    });
  }

  void put_columns(std::int64_t first, std::int64_t count, std::vector<char>& records) const {
    for (std::size_t column = 0; column < columns_.size(); ++column)
      for (std::int64_t row = 0; row < count; ++row)
        put_value(columns_[column], texts_[column], static_cast<std::size_t>(first + row),
                  records.data() + static_cast<std::size_t>(row) * layout_.record_bytes() +
                      layout_.added()[column].offset);
  }
};

}  // namespace

void add_record_fields(Hdf5File& file, const std::string& path, const std::vector<Column>& columns) {
  RecordRewriter(file, path, columns).run();
}

}  // namespace scvi::io
