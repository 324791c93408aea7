#include "count_loader.hpp"

#include <algorithm>

#include "columns.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"

namespace scvi::dataset_detail {
namespace {

constexpr double kMinCellTotal = 1;

}  // namespace

CountLoader::CountLoader(const io::CountFile& file, const std::vector<std::int64_t>& genes, bool drop_empty_cells,
                         std::size_t memory_bytes)
    : file_(file),
      drop_empty_cells_(drop_empty_cells),
      memory_bytes_(memory_bytes),
      n_wanted_(std::ssize(genes)),
      new_gene_(file.var.index.size(), -1) {
  for (std::size_t i = 0; i < genes.size(); ++i) new_gene_[genes[i]] = static_cast<std::int32_t>(i);
}

std::optional<CountMatrix> CountLoader::load() {
  file_.counts->for_each_block([this](const io::CsrBlock& block) {
    throw_if_interrupted();
    use(block);
  });
  if (n_rows_ != file_.obs.n_rows()) {
    throw FormatError(
        {.problem = "ended after " + with_thousands(n_rows_) + " of " + with_thousands(file_.obs.n_rows()) + " cells",
         .file = file_.path,
         .field = file_.counts->info().path});
  }
  if (kept_.empty()) {
    throw InputError({.problem = "no cell has a total count of 1 or more",
                      .file = file_.path,
                      .field = file_.counts->info().path,
                      .remedy = kRawCountsRemedy});
  }
  report();
  if (!builder_) return std::nullopt;
  return std::move(*builder_).finish();
}

void CountLoader::use(const io::CsrBlock& block) {
  if (n_rows_ == 0) begin(block);
  for (std::int64_t row = 0; row < block.n_rows(); ++row) use_row(block, row);
  if (memory_bytes_ > 0 && builder_ && builder_->memory_bytes() > memory_bytes_) stay_on_disk();
}

void CountLoader::begin(const io::CsrBlock& first) {
  const std::int64_t expected = expected_nonzero(first);
  if (memory_bytes_ > 0) stored_.reserve(file_.obs.n_rows());
  constexpr std::size_t kLeastBytesPerEntry = 3;
  const io::MatrixInfo& info = file_.counts->info();
  const bool is_exact = info.layout != io::MatrixInfo::Layout::dense && n_wanted_ == info.n_cols;
  if (memory_bytes_ > 0 && is_exact && static_cast<std::size_t>(expected) * kLeastBytesPerEntry > memory_bytes_) {
    return stay_on_disk();
  }
  builder_.emplace(n_wanted_, file_.obs.n_rows(), expected);
}

void CountLoader::stay_on_disk() {
  builder_.reset();
  if (file_.counts->has_rows_on_disk()) return;
  throw InputError({.problem = "need more than the memory that is left for them (" +
                               format_bytes(static_cast<double>(memory_bytes_)) +
                               "), and the rows of this kind of file cannot be read alone",
                    .file = file_.path,
                    .field = "the counts (" + file_.counts->info().path + ")",
                    .remedy = "write them by rows with `scvi convert` to an .h5ad, or give more --memory"});
}

void CountLoader::use_row(const io::CsrBlock& block, std::int64_t row) {
  const std::int64_t cell = n_rows_++;
  entries_.clear();
  double total = 0;
  for (std::int64_t at = block.indptr[row]; at < block.indptr[row + 1]; ++at) {
    const std::int32_t gene = block.indices[at];
    const float value = block.values[at];
    if (!is_plausible_count(value)) throw_bad_count(cell, gene, value);
    fractional_.see(cell, gene, value);
    if (new_gene_[gene] < 0) continue;
    entries_.emplace_back(new_gene_[gene], value);
    total += value;
  }
  if (drop_empty_cells_ && total < kMinCellTotal) return;
  if (!std::is_sorted(entries_.begin(), entries_.end())) std::sort(entries_.begin(), entries_.end());
  genes_.clear();
  values_.clear();
  for (const auto& [gene, value] : entries_) {
    genes_.push_back(gene);
    values_.push_back(value);
  }
  if (builder_) builder_->append_cell(genes_, values_);
  if (memory_bytes_ > 0) stored_.append(cell, values_);
  kept_.push_back(cell);
}

/// Entries to expect in the whole matrix, so that the builder need not grow and hold them twice meanwhile.
std::int64_t CountLoader::expected_nonzero(const io::CsrBlock& first) const {
  const io::MatrixInfo& info = file_.counts->info();
  const bool all_genes = n_wanted_ == info.n_cols;
  if (info.layout != io::MatrixInfo::Layout::dense && all_genes) return info.n_stored;
  const auto wanted = std::count_if(first.indices.begin(), first.indices.end(),
                                    [this](std::int32_t gene) { return new_gene_[gene] >= 0; });
  constexpr double kMargin = 1.05;
  const double share =
      static_cast<double>(info.n_rows) / static_cast<double>(std::max<std::int64_t>(1, first.n_rows()));
  return static_cast<std::int64_t>(kMargin * static_cast<double>(wanted) * share);
}

void CountLoader::throw_bad_count(std::int64_t cell, std::int64_t gene, float value) const {
  throw InputError({.problem = why_not_a_count(value),
                    .file = file_.path,
                    .field = place(cell, gene),
                    .remedy = kRawCountsRemedy});
}

std::string CountLoader::place(std::int64_t cell, std::int64_t gene) const {
  return file_.counts->info().path + ", " + named("cell", file_.obs.index, cell) + ", " +
         named("gene", file_.var.index, gene);
}

void CountLoader::report() const {
  if (fractional_.n_fractional > 0) {
    log_warning(file_.path + ": " + fractional_.text() + " (the first: " + number_text(fractional_.first_value) +
                " at " + place(fractional_.first_cell, fractional_.first_gene) +
                "); the models expect raw counts, which --layer can name");
  }
  const std::int64_t n_dropped = n_rows_ - std::ssize(kept_);
  if (n_dropped > 0) {
    log_info("left out " + with_thousands(n_dropped) + " of " + with_thousands(n_rows_) +
             " cells, whose total count is below 1");
  }
}

}  // namespace scvi::dataset_detail
