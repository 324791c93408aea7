#include <algorithm>
#include <limits>
#include <set>

#include "csr_rows.hpp"
#include "h5ad/h5ad_encoding.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/io/hdf5.hpp"
#include "scvi/io/loom.hpp"

namespace scvi::io {
namespace {

constexpr Hdf5Compression kCompression = Hdf5Compression::gzip;

/// The column as plain text where it is a category, without missing values apart from NaN and "".
Column plain(const Column& column) {
  Column values = h5ad::without_nulls(column);
  if (!std::holds_alternative<Categorical>(values.values)) return values;
  std::vector<std::string> texts;
  for (std::int64_t row = 0; row < column.size(); ++row) texts.push_back(column.text(row));
  values.values = std::move(texts);
  return values;
}

/// Attributes of one kind, each name once.
class AttributeWriter {
 public:
  AttributeWriter(Hdf5File& file, std::string group, std::int64_t length)
      : file_(file), group_(std::move(group)), length_(length) {
    file_.create_group(group_);
  }

  void write(const std::string& name, const Column::Values& values) {
    const std::string path = claim(name);
    if (const auto* texts = std::get_if<std::vector<std::string>>(&values))
      file_.write_strings(path, *texts, kCompression);
    else if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&values))
      file_.write(path, *whole, kCompression);
    else if (const auto* reals = std::get_if<std::vector<double>>(&values))
      file_.write(path, *reals, kCompression);
    else
      // The format has no truth values.
      file_.write(path, std::get<Boolean>(values).values, kCompression);
  }

  void write_column(const Column& column, const std::string& name) {
    h5ad::check_column(column, length_, group_);
    write(name, plain(column).values);
  }

  /// The index, and every column; one with the name of the index gets another, unless it says the same.
  void write_frame(const Frame& frame, const std::string& index_name, const std::string& axis) {
    write(index_name, frame.index);
    for (const Column& column : frame.columns) {
      if (column.name != index_name) {
        write_column(column, column.name);
        continue;
      }
      const auto* texts = std::get_if<std::vector<std::string>>(&column.values);
      if (texts == nullptr || *texts != frame.index) write_column(column, axis + "_" + index_name);
    }
  }

  void write_table(const CellTable& table) {
    const std::string path = claim(table.name);
    const DenseArray& array = table.values;
    if (array.n_rows != length_ || array.n_cols != static_cast<std::int64_t>(table.columns.size()) ||
        static_cast<std::int64_t>(array.values.size()) != array.n_rows * array.n_cols)
      throw InputError(
          {.problem = "is not of " + std::to_string(length_) + " cells and as many columns as it has names",
           .field = path});
    const std::int64_t shape[] = {array.n_rows, array.n_cols};
    file_.write<double>(path, array.values, shape, kCompression);
  }

 private:
  Hdf5File& file_;
  std::string group_;
  std::int64_t length_;
  std::set<std::string> names_;

  std::string claim(const std::string& name) {
    h5ad::check_name(name, group_);
    if (!names_.insert(name).second)
      throw InputError({.problem = "has two attributes '" + name + "'", .field = group_});
    return group_ + "/" + name;
  }
};

void write_global(Hdf5File& file, const LoomContents& contents) {
  file.create_group("attrs");
  file.write_string("attrs/LOOM_SPEC_VERSION", "3.0.0");
  std::vector<Column> columns = contents.global;
  for (const CellTable& table : contents.tables)
    columns.push_back({.name = table.name + "_columns", .values = table.columns, .missing = {}});
  for (const Column& column : columns) {
    const std::string path = "attrs/" + column.name;
    h5ad::check_name(column.name, "attrs");
    // Files that are written again bring attributes of ours along.
    if (file.exists(path)) continue;
    const Column::Values values = plain(column).values;
    const bool single = column.size() == 1;
    if (const auto* texts = std::get_if<std::vector<std::string>>(&values))
      single ? file.write_string(path, texts->front()) : file.write_strings(path, *texts);
    else if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&values))
      single ? file.write_scalar(path, whole->front()) : file.write(path, *whole);
    else if (const auto* reals = std::get_if<std::vector<double>>(&values))
      single ? file.write_scalar(path, reals->front()) : file.write(path, *reals);
    else
      file.write(path, std::get<Boolean>(values).values);
  }
}

/// Turns cells, as they come, into columns of the file: whole chunks at a time.
class MatrixSink {
 public:
  MatrixSink(Hdf5File& file, std::int64_t n_genes, std::int64_t n_cells)
      : n_genes_(n_genes),
        n_cells_(n_cells),
        width_(kChunk * std::max<std::int64_t>(kWindowValues / (kChunk * std::max<std::int64_t>(n_genes, 1)), 1)),
        dataset_(file.create_matrix<float>("matrix", n_genes, n_cells, kChunk, kChunk, kCompression)) {
    width_ = std::min(width_, std::max<std::int64_t>(n_cells, 1));
    window_.assign(static_cast<std::size_t>(n_genes_ * width_), 0.0F);
  }

  void append(const CsrBlock& block) {
    for (std::int64_t row = 0; row < block.n_rows(); ++row) {
      if (first_ + filled_ == n_cells_) fail("got more");
      const auto at = static_cast<std::size_t>(row);
      for (auto entry = block.indptr[at]; entry < block.indptr[at + 1]; ++entry)
        window_[static_cast<std::size_t>(block.indices[static_cast<std::size_t>(entry)] * width_ + filled_)] =
            block.values[static_cast<std::size_t>(entry)];
      if (++filled_ == width_) write_window();
    }
  }

  void finish() {
    const std::int64_t written = first_ + filled_;
    if (written != n_cells_) fail("got only " + std::to_string(written));
    if (filled_ > 0) write_window();
    dataset_.flush();
  }

 private:
  static constexpr std::int64_t kChunk = 64;
  static constexpr std::int64_t kWindowValues = 4 << 20;

  std::int64_t n_genes_;
  std::int64_t n_cells_;
  std::int64_t width_;
  Hdf5Dataset dataset_;
  std::vector<float> window_;  ///< (n_genes, width)
  std::int64_t first_ = 0;
  std::int64_t filled_ = 0;

  [[noreturn]] void fail(const std::string& problem) const {
    throw InputError(
        {.problem = problem + " rows for the " + std::to_string(n_cells_) + " of obs", .field = "matrix"});
  }

  void write_window() {
    throw_if_interrupted();
    for (std::int64_t gene = 1; filled_ < width_ && gene < n_genes_; ++gene)
      std::copy_n(window_.begin() + gene * width_, filled_, window_.begin() + gene * filled_);
    dataset_.write_block(0, n_genes_, first_, filled_, window_.data());
    first_ += filled_;
    filled_ = 0;
    std::fill(window_.begin(), window_.end(), 0.0F);
  }
};

void write_matrix(Hdf5File& file, const LoomContents& contents) {
  if (!contents.next_rows && contents.rows == nullptr)
    throw InputError({.problem = "is missing, but a .loom needs one", .field = "matrix"});
  const std::int64_t n_genes = contents.var.n_rows();
  MatrixSink sink(file, n_genes, contents.obs.n_rows());
  const auto write = [&](const CsrBlock& block) {
    check_block(block, n_genes, "matrix");
    sink.append(block);
  };
  if (contents.rows != nullptr) {
    contents.rows->for_each_block(write);
  } else {
    CsrBlock block;
    for (block.clear(); contents.next_rows(block); block.clear()) write(block);
  }
  sink.finish();
}

}  // namespace

void write_loom(const std::string& path, const LoomContents& contents, Overwrite overwrite) {
  AtomicFile output(path, overwrite);
  Hdf5File file = Hdf5File::create(output.temporary_path(), path);
  write_global(file, contents);
  AttributeWriter(file, "row_attrs", contents.var.n_rows()).write_frame(contents.var, "Gene", "var");
  AttributeWriter cells(file, "col_attrs", contents.obs.n_rows());
  cells.write_frame(contents.obs, "CellID", "obs");
  for (const CellTable& table : contents.tables) cells.write_table(table);
  for (const char* group : {"layers", "row_graphs", "col_graphs"}) file.create_group(group);
  write_matrix(file, contents);
  file.close();
  output.commit();
}

}  // namespace scvi::io
