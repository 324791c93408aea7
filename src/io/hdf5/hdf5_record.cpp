#include "hdf5_record.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>

#include "hdf5_detail.hpp"
#include "utf8.hpp"

namespace scvi::io {

using hdf5::quietly;

namespace {

constexpr const char* kUnwritable = "cannot be written";

struct Member {
  std::string name;
  Hdf5Handle type;
  std::size_t offset = 0;
};

/// Members one after the other.
class RecordType {
 public:
  void add(const std::string& name, hid_t type) {
    members_.push_back({name, Hdf5Handle(type), bytes_});
    bytes_ += H5Tget_size(type);
  }
  std::size_t bytes() const { return bytes_; }
  const std::vector<Member>& members() const { return members_; }
  Hdf5Handle make() const {
    Hdf5Handle type(H5Tcreate(H5T_COMPOUND, bytes_));
    for (const Member& member : members_) H5Tinsert(type.id(), member.name.c_str(), member.offset, member.type.id());
    return type;
  }

 private:
  std::vector<Member> members_;
  std::size_t bytes_ = 0;
};

hid_t type_for(const Column& column) {
  if (std::holds_alternative<std::vector<std::string>>(column.values)) return hdf5::make_text_type().release();
  if (std::holds_alternative<std::vector<double>>(column.values)) return H5Tcopy(H5T_NATIVE_DOUBLE);
  if (std::holds_alternative<Boolean>(column.values)) return hdf5::make_boolean_type().release();
  return H5Tcopy(H5T_NATIVE_INT64);
}

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

/// Layout and filters as they were, but without a fill value, which would be of the old type.
Hdf5Handle creation_like(hid_t dataset) {
  Hdf5Handle list(H5Dget_create_plist(dataset));
  H5D_fill_value_t fill = H5D_FILL_VALUE_UNDEFINED;
  if (list && H5Pfill_value_defined(list.id(), &fill) >= 0 && fill == H5D_FILL_VALUE_USER_DEFINED)
    return hdf5::make_dataset_creation();
  return list;
}

class RecordRewriter {
 public:
  RecordRewriter(Hdf5File& file, const std::string& path, const std::vector<Column>& columns)
      : file_(file), path_(path), columns_(columns), old_(file.open_dataset(path)) {
    const hdf5::Quiet quiet;
    const Hdf5Handle old_type(H5Dget_type(old_.id()));
    const int count = H5Tget_nmembers(old_type.id());
    for (int index = 0; index < count; ++index) keep_member(old_type.id(), static_cast<unsigned>(index));
    for (const Column& column : columns) {
      written_.add(column.name, type_for(column));
      texts_.push_back(texts_to_write(column));
    }
  }

  void run() {
    const std::string beside = path_ + ".rewritten";
    const Hdf5Handle type = quietly([&] { return written_.make(); });
    Hdf5Handle made(hdf5::checked_write(file_.id(), file_.path(), path_, kUnwritable, [&] {
      const Hdf5Handle space(H5Dget_space(old_.id()));
      const Hdf5Handle creation = creation_like(old_.id());
      return H5Dcreate2(file_.id(), beside.c_str(), type.id(), space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT);
    }));
    const auto step = std::max<std::int64_t>((1 << 22) / static_cast<std::int64_t>(written_.bytes()), 1);
    const std::int64_t n_rows = old_.info().size();
    for (std::int64_t first = 0; first < n_rows; first += step)
      copy_rows(made.id(), type.id(), first, std::min(step, n_rows - first));
    hdf5::checked_write(file_.id(), file_.path(), path_, kUnwritable, [&] { return H5Dflush(made.id()); });
    made.reset();
    copy_attributes(beside);
    file_.remove(path_);
    file_.rename(beside, path_);
  }

 private:
  Hdf5File& file_;
  std::string path_;
  const std::vector<Column>& columns_;
  Hdf5Dataset old_;
  RecordType read_;     ///< the fields that stay, as they are read: text as references
  RecordType written_;  ///< the same fields as they are written, text as pointers; then the added ones
  std::vector<std::optional<hdf5::TextDecoder>> decoders_;  ///< of each field that stays, where it is text
  std::vector<std::vector<std::string>> texts_;             ///< of each added column

  void keep_member(hid_t record, unsigned index) {
    const std::unique_ptr<char, herr_t (*)(void*)> given(H5Tget_member_name(record, index), H5free_memory);
    const std::string name = given ? given.get() : "";
    const auto replaces = [&](const Column& column) { return column.name == name; };
    if (std::any_of(columns_.begin(), columns_.end(), replaces)) return;
    const Hdf5Handle type(H5Tget_member_type(record, index));
    const std::string place = path_ + ", column '" + valid_utf8(name) + "'";
    const bool is_text = H5Tis_variable_str(type.id()) > 0;
    if (!is_text && (H5Tdetect_class(type.id(), H5T_VLEN) > 0 || holds_text(type.id())))
      throw FormatError({.problem = "holds lists, which cannot be rewritten", .file = file_.path(), .field = place});
    decoders_.emplace_back();
    if (is_text) decoders_.back().emplace(old_.id(), type.id(), file_.path(), place, file_.file_bytes());
    read_.add(name, H5Tcopy(is_text ? hdf5::text_reference_type() : type.id()));
    written_.add(name, is_text ? hdf5::make_text_type().release() : H5Tcopy(type.id()));
  }

  /// Variable-length text somewhere inside.
  static bool holds_text(hid_t type) {
    const H5T_class_t type_class = H5Tget_class(type);
    return (type_class == H5T_COMPOUND || type_class == H5T_ARRAY) && H5Tdetect_class(type, H5T_STRING) > 0;
  }

  void copy_rows(hid_t made, hid_t type, std::int64_t first, std::int64_t count) {
    std::vector<char> old_rows(static_cast<std::size_t>(count) * std::max<std::size_t>(read_.bytes(), 1), 0);
    const Hdf5Handle kept = quietly([&] { return read_.make(); });
    if (read_.bytes() > 0) old_.read_raw_rows(first, count, kept.id(), old_rows.data());
    std::vector<char> rows(static_cast<std::size_t>(count) * written_.bytes(), 0);
    // Strings must not move while the rows point at them.
    std::deque<std::string> texts;
    for (std::int64_t row = 0; row < count; ++row) {
      const auto at = static_cast<std::size_t>(row);
      char* const into = rows.data() + at * written_.bytes();
      convert_row(old_rows.data() + at * read_.bytes(), into, texts);
      put_columns(static_cast<std::size_t>(first) + at, into);
    }
    const hsize_t start = static_cast<hsize_t>(first);
    const hsize_t extent = static_cast<hsize_t>(count);
    hdf5::checked_write(file_.id(), file_.path(), path_, kUnwritable, [&]() -> herr_t {
      const Hdf5Handle space(H5Dget_space(made));
      const Hdf5Handle memory(H5Screate_simple(1, &extent, nullptr));
      if (H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, &start, nullptr, &extent, nullptr) < 0) return -1;
      return H5Dwrite(made, type, memory.id(), space.id(), H5P_DEFAULT, rows.data());
    });
  }

  void convert_row(const char* from, char* into, std::deque<std::string>& texts) {
    for (std::size_t field = 0; field < decoders_.size(); ++field) {
      const Member& read = read_.members()[field];
      char* const target = into + written_.members()[field].offset;
      if (!decoders_[field]) {
        std::memcpy(target, from + read.offset, H5Tget_size(read.type.id()));
        continue;
      }
      texts.push_back(decoders_[field]->decode(from + read.offset));
      const char* const pointer = texts.back().c_str();
      std::memcpy(target, &pointer, sizeof pointer);
    }
  }

  void put_columns(std::size_t row, char* into) const {
    for (std::size_t column = 0; column < columns_.size(); ++column)
      put_value(columns_[column], texts_[column], row, into + written_.members()[decoders_.size() + column].offset);
  }

  /// anndata gave records none; text and numbers that others attached are kept.
  void copy_attributes(const std::string& to) {
    for (const std::string& name : file_.attribute_names(path_)) {
      const Hdf5Info info = file_.attribute_info(path_, name);
      if (info.value_class == Hdf5Class::text && info.size() == 1)
        file_.set_attribute(to, name, file_.attribute_string(path_, name));
      else if (info.value_class == Hdf5Class::text)
        file_.set_attribute(to, name, file_.attribute_strings(path_, name));
      else if (info.value_class == Hdf5Class::integer)
        file_.set_number_attribute<std::int64_t>(
            to, name, std::span<const std::int64_t>(file_.attribute_numbers<std::int64_t>(path_, name)));
      else if (info.is_numeric())
        file_.set_number_attribute<double>(to, name,
                                           std::span<const double>(file_.attribute_numbers<double>(path_, name)));
    }
  }
};

}  // namespace

void add_record_fields(Hdf5File& file, const std::string& path, const std::vector<Column>& columns) {
  RecordRewriter(file, path, columns).run();
}

}  // namespace scvi::io
