#include <algorithm>
#include <limits>
#include <memory>

#include "csr_rows.hpp"
#include "h5ad_encoding.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/io/h5ad.hpp"

namespace scvi::io {
namespace {

/// Where the rows of X go.
class MatrixSink {
 public:
  virtual ~MatrixSink() = default;
  virtual void append(const CsrBlock& block) = 0;
  virtual void finish(std::int64_t n_rows) = 0;
};

class CsrSink : public MatrixSink {
 public:
  CsrSink(Hdf5File& file, h5ad::ElementWriter& writer, std::int64_t n_cols, Hdf5Compression compression)
      : file_(file), n_cols_(n_cols), compression_(compression) {
    file_.create_group("X");
    writer.tag("X", "csr_matrix", "0.1.0");
    values_ = file_.create_growing<float>("X/data", 0, compression);
    indices_ = file_.create_growing<std::int32_t>("X/indices", 0, compression);
  }

  void append(const CsrBlock& block) override {
    values_.append<float>(block.values);
    indices_.append<std::int32_t>(block.indices);
    const std::int64_t so_far = indptr_.back();
    for (std::size_t row = 1; row < block.indptr.size(); ++row) indptr_.push_back(so_far + block.indptr[row]);
  }

  void finish(std::int64_t n_rows) override {
    values_.flush();
    indices_.flush();
    const std::int64_t shape[] = {n_rows, n_cols_};
    file_.set_number_attribute<std::int64_t>("X", "shape", std::span<const std::int64_t>(shape));
    // Offsets as wide as the indices where they fit: scipy wants one type for both.
    if (indptr_.back() > std::numeric_limits<std::int32_t>::max())
      return file_.write("X/indptr", indptr_, compression_);
    file_.write("X/indptr", std::vector<std::int32_t>(indptr_.begin(), indptr_.end()), compression_);
  }

 private:
  Hdf5File& file_;
  std::int64_t n_cols_;
  Hdf5Compression compression_;
  Hdf5Dataset values_;
  Hdf5Dataset indices_;
  std::vector<std::int64_t> indptr_{0};
};

class DenseSink : public MatrixSink {
 public:
  DenseSink(Hdf5File& file, h5ad::ElementWriter& writer, std::int64_t n_cols, Hdf5Compression compression)
      : n_cols_(n_cols), dataset_(make(file, n_cols, compression)) {
    writer.tag("X", "array", "0.2.0");
  }

  void append(const CsrBlock& block) override {
    if (n_cols_ == 0) return;
    const std::int64_t step = std::max<std::int64_t>((std::int64_t{4} << 20) / n_cols_, 1);
    for (std::int64_t first = 0; first < block.n_rows(); first += step)
      append_rows(block, first, std::min(step, block.n_rows() - first));
  }

  void finish(std::int64_t) override { dataset_.flush(); }

 private:
  std::int64_t n_cols_;
  Hdf5Dataset dataset_;
  std::vector<float> rows_;

  static Hdf5Dataset make(Hdf5File& file, std::int64_t n_cols, Hdf5Compression compression) {
    if (n_cols == 0) throw InputError({.problem = "has no genes", .field = "X"});
    return file.create_growing<float>("X", n_cols, compression);
  }

  void append_rows(const CsrBlock& block, std::int64_t first, std::int64_t count) {
    rows_.assign(static_cast<std::size_t>(count * n_cols_), 0.0F);
    for (std::int64_t row = 0; row < count; ++row) {
      const std::size_t at = static_cast<std::size_t>(first + row);
      float* const out = rows_.data() + row * n_cols_;
      for (auto entry = block.indptr[at]; entry < block.indptr[at + 1]; ++entry)
        out[block.indices[static_cast<std::size_t>(entry)]] = block.values[static_cast<std::size_t>(entry)];
    }
    dataset_.append<float>(rows_);
  }
};

void write_matrix(Hdf5File& file, h5ad::ElementWriter& writer, const H5adContents& contents,
                  Hdf5Compression compression) {
  const std::int64_t n_rows = contents.obs.n_rows();
  const std::int64_t n_cols = contents.var.n_rows();
  std::unique_ptr<MatrixSink> sink;
  if (contents.dense)
    sink = std::make_unique<DenseSink>(file, writer, n_cols, compression);
  else
    sink = std::make_unique<CsrSink>(file, writer, n_cols, compression);
  std::int64_t written = 0;
  const auto refuse = [&](const std::string& got) {
    throw InputError({.problem = "got " + got + " rows for the " + std::to_string(n_rows) + " of obs", .field = "X"});
  };
  const auto write = [&](const CsrBlock& block) {
    throw_if_interrupted();
    check_block(block, n_cols, "X");
    written += block.n_rows();
    if (written > n_rows) refuse("more");
    sink->append(block);
  };
  if (contents.rows != nullptr) {
    contents.rows->for_each_block(write);
  } else {
    CsrBlock block;
    for (block.clear(); contents.next_rows(block); block.clear()) write(block);
  }
  if (written != n_rows) refuse("only " + std::to_string(written));
  sink->finish(n_rows);
}

void write_arrays(h5ad::ElementWriter& writer, const std::string& group,
                  const std::vector<std::pair<std::string, FloatArray>>& arrays, std::int64_t n_rows) {
  writer.make_dictionary(group);
  for (const auto& [name, array] : arrays) {
    h5ad::check_array(name, array, n_rows, group);
    writer.write_array(group + "/" + name, array);
  }
}

void write_table(h5ad::ElementWriter& writer, const CellTable& table, std::int64_t n_rows) {
  h5ad::check_name(table.name, "obsm");
  const DenseArray& array = table.values;
  const auto size = static_cast<std::int64_t>(array.values.size());
  if (array.n_rows != n_rows || array.n_cols != std::ssize(table.columns) || size != array.n_rows * array.n_cols)
    throw InputError({.problem = "is not of " + std::to_string(n_rows) + " cells and as many columns as it has names",
                      .field = "obsm/" + table.name});
  writer.write_array("obsm/" + table.name, array);
}

/// uns, with the names of the columns of tables.
UnsDict with_column_names(const H5adContents& contents) {
  UnsDict uns = contents.uns;
  UnsDict mappings;
  for (const CellTable& table : contents.tables) {
    const std::string name = table.columns_name.empty() ? table.name + "_names" : table.columns_name;
    mappings.emplace_back(table.name, UnsValue{name});
    const bool known = std::any_of(uns.begin(), uns.end(), [&](const auto& entry) { return entry.first == name; });
    if (!known) uns.emplace_back(name, UnsValue{table.columns});
  }
  if (!mappings.empty()) uns.emplace_back("cell_measurements_col_mappings", UnsValue{mappings});
  return uns;
}

}  // namespace

UnsValue::UnsValue(const UnsDict& dictionary) : value(std::make_shared<const UnsDict>(dictionary)) {}

void write_h5ad(const std::string& path, const H5adContents& contents, Overwrite overwrite,
                const std::string& compression) {
  const Hdf5Compression filter = parse_compression(compression);
  AtomicFile output(path, overwrite);
  Hdf5File file = Hdf5File::create(output.temporary_path(), path);
  h5ad::ElementWriter writer(file, true, filter);
  writer.tag("/", "anndata", "0.1.0");
  writer.write_frame("obs", contents.obs);
  writer.write_frame("var", contents.var);
  if (contents.dense_rows) {
    writer.write_rows("X", contents.obs.n_rows(), contents.var.n_rows(), contents.dense_rows);
  } else if (contents.next_rows || contents.rows != nullptr) {
    write_matrix(file, writer, contents, filter);
  }
  write_arrays(writer, "obsm", contents.obsm, contents.obs.n_rows());
  for (const CellTable& table : contents.tables) write_table(writer, table, contents.obs.n_rows());
  write_arrays(writer, "varm", contents.varm, contents.var.n_rows());
  for (const char* group : {"layers", "obsp", "varp"}) writer.make_dictionary(group);
  for (const auto& [name, array] : contents.obsp) {
    h5ad::check_sparse(name, array, contents.obs.n_rows(), "obsp");
    writer.write_sparse("obsp/" + name, array);
  }
  writer.write_layers(contents.layers, contents.obs.n_rows(), contents.var.n_rows());
  writer.write_value("uns", UnsValue{with_column_names(contents)});
  file.close();
  output.commit();
}

}  // namespace scvi::io
