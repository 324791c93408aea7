#include "scvi/dataset/count_store.hpp"

#include <malloc.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <system_error>

#include "count_check.hpp"
#include "count_storage.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/core/signals_blocked.hpp"
#include "scvi/dataset/count_matrix.hpp"

namespace scvi {

using namespace count_storage;

namespace {

constexpr std::int64_t kEntriesPerBlock = 1 << 17;
constexpr std::int64_t kFewestCellsPerBlock = 16;
constexpr std::int64_t kMostCellsPerBlock = 4096;
/// With fewer blocks in a window than a minibatch has cells, the draw of the blocks would add more to the differences
/// between minibatches than the draw of the cells does.
constexpr double kBlocksWanted = 128;
/// Blocks differ in size, so a window of this many average blocks takes a little less than its share.
constexpr double kWindowMargin = 1.1;
constexpr std::size_t kBytesPerCell = sizeof(std::int64_t);

std::uint8_t bytes_of_width(std::size_t width) {
  return width == 0 ? sizeof(std::uint8_t) : width == 1 ? sizeof(std::uint16_t) : sizeof(float);
}

std::size_t index_bytes(std::int64_t n_genes) {
  return n_genes <= kMaxGenesIn16Bits ? sizeof(std::uint16_t) : sizeof(std::int32_t);
}

double total_of(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

void StoredCells::reserve(std::int64_t n_cells) {
  const auto n = static_cast<std::size_t>(n_cells);
  n_nonzero.reserve(n);
  value_bytes.reserve(n);
  totals.reserve(n);
}

void StoredCells::append(std::int64_t row, std::span<const float> values) {
  if (!rows.empty() || row != size()) {
    if (rows.empty()) {
      rows.resize(n_nonzero.size());
      std::iota(rows.begin(), rows.end(), 0);
    }
    rows.push_back(row);
  }
  n_nonzero.push_back(static_cast<std::uint32_t>(values.size()));
  value_bytes.push_back(bytes_of_width(width_needed(values)));
  totals.push_back(total_of(values));
}

/// What stores of the same matrix share: they take turns.
struct CountStore::Matrix {
  Matrix(std::unique_ptr<io::MatrixReader> of, std::string name) : reader(std::move(of)), file(std::move(name)) {}

  std::unique_ptr<io::MatrixReader> reader;
  std::string file;
  std::mutex in_use;
  io::CsrBlock rows;  // guarded by in_use

  [[noreturn]] void changed(std::int64_t row, const std::string& how) const {
    throw FormatError({.problem = how + ": the file is not what it was when its counts were checked",
                       .file = file,
                       .field = reader->info().path + ", row " + std::to_string(row),
                       .remedy = "leave the file alone while it is in use"});
  }
};

CountStore::CountStore(std::unique_ptr<io::MatrixReader> matrix, std::string file, StoredCells cells,
                       std::vector<std::int64_t> genes, CountStoreOptions options)
    : CountStore(std::make_shared<Matrix>(std::move(matrix), std::move(file)), std::move(cells), std::move(genes),
                 options) {}

CountStore::CountStore(std::shared_ptr<Matrix> matrix, StoredCells cells, std::vector<std::int64_t> genes,
                       CountStoreOptions options)
    : matrix_(std::move(matrix)), cells_(std::move(cells)), genes_(std::move(genes)), options_(options) {
  const io::MatrixInfo& info = matrix_->reader->info();
  const auto n = cells_.n_nonzero.size();
  const bool good_rows = cells_.rows.empty() ? cells_.size() <= info.n_rows
                                             : cells_.rows.size() == n && cells_.rows.back() < info.n_rows;
  if (!good_rows || cells_.value_bytes.size() != n || cells_.totals.size() != n) {
    throw InputError({.problem = "are not described as cells of this matrix must be",
                      .file = matrix_->file,
                      .field = "cells of " + info.path});
  }
  new_gene_ = new_positions(genes_, info.n_cols);
  genes_in_order_ = std::is_sorted(genes_.begin(), genes_.end());
  n_nonzero_ = std::accumulate(cells_.n_nonzero.begin(), cells_.n_nonzero.end(), std::int64_t{0});
  choose_block_cells();
  measure_blocks();
  slots_.resize(block_bytes_.size());
}

CountStore::~CountStore() = default;

const std::string& CountStore::file() const {
  return matrix_->file;
}

void CountStore::choose_block_cells() {
  block_cells_ = options_.block_cells;
  if (block_cells_ > 0) return;
  const double n = std::max<double>(1, static_cast<double>(n_cells()));
  const double entries_per_cell = std::max(1.0, static_cast<double>(n_nonzero_) / n);
  const double bytes_per_cell = std::max(1.0, static_cast<double>(full_bytes()) / n);
  const double blocks_wanted = static_cast<double>(options_.cache_bytes) / (2 * kBlocksWanted * bytes_per_cell);
  const double cells = std::min(static_cast<double>(kEntriesPerBlock) / entries_per_cell, blocks_wanted);
  const auto whole = static_cast<std::uint64_t>(
      std::clamp(cells, static_cast<double>(kFewestCellsPerBlock), static_cast<double>(kMostCellsPerBlock)));
  block_cells_ = static_cast<std::int64_t>(std::bit_floor(whole));
}

void CountStore::measure_blocks() {
  const std::size_t per_index = index_bytes(n_genes());
  for (std::int64_t first = 0; first < n_cells(); first += block_cells_) {
    const std::int64_t last = std::min(first + block_cells_, n_cells());
    std::size_t n_entries = 0;
    std::size_t per_value = 1;
    for (std::int64_t cell = first; cell < last; ++cell) {
      n_entries += cells_.n_nonzero[static_cast<std::size_t>(cell)];
      per_value = std::max<std::size_t>(per_value, cells_.value_bytes[static_cast<std::size_t>(cell)]);
    }
    block_bytes_.push_back(n_entries * (per_index + per_value) +
                           static_cast<std::size_t>(last - first + 1) * kBytesPerCell);
  }
}

CountWindows CountStore::windows() const {
  const double all = static_cast<double>(std::accumulate(block_bytes_.begin(), block_bytes_.end(), std::size_t{0}));
  const double average = std::max(1.0, all / std::max<double>(1, static_cast<double>(n_blocks())));
  const double blocks = static_cast<double>(options_.cache_bytes) / (2 * kWindowMargin * average);
  return {.block_cells = block_cells_,
          .window_blocks =
              std::clamp<std::int64_t>(static_cast<std::int64_t>(blocks), 1, std::max<std::int64_t>(1, n_blocks()))};
}

std::size_t CountStore::full_bytes() const {
  std::uint8_t widest = 1;
  for (const std::uint8_t bytes : cells_.value_bytes) widest = std::max(widest, bytes);
  return static_cast<std::size_t>(n_nonzero_) * (index_bytes(n_genes()) + widest) +
         static_cast<std::size_t>(n_cells() + 1) * kBytesPerCell;
}

std::size_t CountStore::memory_bytes() const {
  const Lock lock(mutex_);
  const std::size_t per_cell = sizeof(std::uint32_t) + sizeof(std::uint8_t) + sizeof(double);
  return held_bytes_ + cells_.n_nonzero.size() * per_cell + cells_.rows.size() * sizeof(std::int64_t);
}

std::int64_t CountStore::row_of(std::int64_t cell) const {
  return cells_.rows.empty() ? cell : cells_.rows[static_cast<std::size_t>(cell)];
}

/// The wanted genes of a row, in order. @return whether all values are counts
bool CountStore::map_row(const io::CsrBlock& rows, std::int64_t row, std::vector<std::int32_t>& genes,
                         std::vector<float>& values) const {
  genes.clear();
  values.clear();
  bool good = true;
  for (std::int64_t at = rows.indptr[row]; at < rows.indptr[row + 1]; ++at) {
    const std::int32_t gene = new_gene_[rows.indices[at]];
    if (gene < 0) continue;
    genes.push_back(gene);
    values.push_back(rows.values[at]);
    good &= dataset_detail::is_plausible_count(rows.values[at]);
  }
  if (genes_in_order_) return good;
  thread_local std::vector<std::pair<std::int32_t, float>> buffer;
  sort_entries(genes.data(), values.data(), std::ssize(genes), buffer);
  return good;
}

void CountStore::check_cell(std::int64_t cell, std::span<const float> values) const {
  const auto at = static_cast<std::size_t>(cell);
  if (values.size() == cells_.n_nonzero[at] && total_of(values) == cells_.totals[at]) return;
  matrix_->changed(row_of(cell), "holds other counts than before");
}

std::shared_ptr<const CountMatrix> CountStore::read(std::int64_t block) const {
  const std::int64_t first = block * block_cells_;
  const std::int64_t last = std::min(first + block_cells_, n_cells());
  std::int64_t n_entries = 0;
  for (std::int64_t cell = first; cell < last; ++cell) n_entries += n_nonzero(cell);
  CountMatrixBuilder builder(n_genes(), last - first, n_entries);
  std::vector<std::int32_t> genes;
  std::vector<float> values;

  const std::lock_guard turn(matrix_->in_use);
  io::CsrBlock& rows = matrix_->rows;
  std::int64_t cell = first;
  while (cell < last) {
    // Rows that were left out may lie between, any number of them.
    const std::int64_t first_row = row_of(cell);
    matrix_->reader->read_rows(first_row, std::min(block_cells_, row_of(last - 1) + 1 - first_row), rows);
    if (rows.n_rows() < 1) matrix_->changed(first_row, "is no longer there");
    for (; cell < last && row_of(cell) < first_row + rows.n_rows(); ++cell) {
      if (!map_row(rows, row_of(cell) - first_row, genes, values)) {
        matrix_->changed(row_of(cell), "holds values that are no counts");
      }
      check_cell(cell, values);
      builder.append_cell(genes, values);
    }
  }
  return std::make_shared<const CountMatrix>(std::move(builder).finish());
}

bool CountStore::has_room(std::int64_t block) const {
  return held_bytes_ - idle_bytes_ + block_bytes_[static_cast<std::size_t>(block)] <= options_.cache_bytes ||
         held_bytes_ == idle_bytes_;
}

void CountStore::make_room(std::int64_t block) const {
  while (!idle_.empty() && held_bytes_ + block_bytes_[static_cast<std::size_t>(block)] > options_.cache_bytes) {
    const auto oldest = static_cast<std::size_t>(idle_.front());
    idle_.pop_front();
    slots_[oldest].counts.reset();
    held_bytes_ -= block_bytes_[oldest];
    idle_bytes_ -= block_bytes_[oldest];
  }
}

/// Changes how many cells of a block are still to come, and with it whether the block may be dropped.
void CountStore::set_promised(std::int64_t block, std::int64_t n) const {
  Slot& slot = slots_[static_cast<std::size_t>(block)];
  const bool was_promised = slot.n_promised > 0;
  slot.n_promised = std::max<std::int64_t>(0, n);
  const bool is_promised = slot.n_promised > 0;
  if (!slot.counts || was_promised == is_promised) return;
  if (is_promised) {
    idle_.erase(slot.idle_at);
    idle_bytes_ -= block_bytes_[static_cast<std::size_t>(block)];
    return;
  }
  slot.idle_at = idle_.insert(idle_.end(), block);
  idle_bytes_ += block_bytes_[static_cast<std::size_t>(block)];
  changed_.notify_all();
}

/// Reads a block, outside of the lock, and holds it where there is room. @pre nobody else is loading it
std::shared_ptr<const CountMatrix> CountStore::load(Lock& lock, std::int64_t block) const {
  Slot& slot = slots_[static_cast<std::size_t>(block)];
  const std::size_t bytes = block_bytes_[static_cast<std::size_t>(block)];
  const bool hold = has_room(block);
  if (hold) {
    make_room(block);
    held_bytes_ += bytes;
  }
  slot.is_loading = true;
  lock.unlock();
  std::shared_ptr<const CountMatrix> counts;
  std::exception_ptr error;
  try {
    counts = read(block);
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  slot.is_loading = false;
  changed_.notify_all();
  if (hold && error) held_bytes_ -= bytes;
  if (error) std::rethrow_exception(error);
  if (!hold) return counts;
  slot.counts = counts;
  if (slot.n_promised == 0) {
    slot.idle_at = idle_.insert(idle_.end(), block);
    idle_bytes_ += bytes;
  }
  return counts;
}

std::shared_ptr<const CountMatrix> CountStore::block(std::int64_t index, std::int64_t n_taken) const {
  Lock lock(mutex_);
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  changed_.wait(lock, [&] { return !slot.is_loading; });
  std::shared_ptr<const CountMatrix> counts = slot.counts;
  if (!counts) {
    ++n_urgent_;
    try {
      counts = load(lock, index);
    } catch (...) {
      --n_urgent_;
      throw;
    }
    --n_urgent_;
    changed_.notify_all();
  } else if (slot.n_promised == 0) {
    idle_.splice(idle_.end(), idle_, slot.idle_at);
  }
  if (n_taken > 0) set_promised(index, slot.n_promised - n_taken);
  return counts;
}

void CountStore::for_each_cell(const UseCell& use) const {
  std::vector<std::int32_t> genes;
  std::vector<float> values;
  std::int64_t cell = 0;
  const std::lock_guard turn(matrix_->in_use);
  matrix_->reader->for_each_block([&](const io::CsrBlock& rows) {
    throw_if_interrupted();
    for (; cell < n_cells() && row_of(cell) < rows.first_row + rows.n_rows(); ++cell) {
      if (!map_row(rows, row_of(cell) - rows.first_row, genes, values)) {
        matrix_->changed(row_of(cell), "holds values that are no counts");
      }
      check_cell(cell, values);
      use(cell, genes, values);
    }
  });
  if (cell < n_cells()) matrix_->changed(row_of(cell), "is no longer there");
}

std::shared_ptr<const CountStore> CountStore::select_cells(std::span<const std::int64_t> cells) const {
  StoredCells kept;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0 && cells[i] <= cells[i - 1]) {
      throw InputError({.problem = "can only be left out, not put into another order: the counts are on disk",
                        .file = matrix_->file,
                        .field = "cells",
                        .remedy = "give more --memory, or choose the cells with `scvi prepare`"});
    }
    const auto cell = static_cast<std::size_t>(cells[i]);
    kept.rows.push_back(row_of(cells[i]));
    kept.n_nonzero.push_back(cells_.n_nonzero[cell]);
    kept.value_bytes.push_back(cells_.value_bytes[cell]);
    kept.totals.push_back(cells_.totals[cell]);
  }
  drop_blocks();
  return std::shared_ptr<const CountStore>(new CountStore(matrix_, std::move(kept), genes_, options_));
}

CountMatrix CountStore::select_genes(std::span<const std::int64_t> genes) const {
  drop_blocks();
  const std::vector<std::int32_t> new_gene = new_positions(genes, n_genes());
  StoredCells cells;
  cells.reserve(n_cells());
  std::vector<std::int32_t> kept;
  std::vector<float> counts;
  std::vector<std::pair<std::int32_t, float>> buffer;
  for_each_cell([&](std::int64_t cell, std::span<const std::int32_t> of_cell, std::span<const float> values) {
    kept.clear();
    counts.clear();
    for (std::size_t at = 0; at < of_cell.size(); ++at) {
      if (new_gene[of_cell[at]] < 0) continue;
      kept.push_back(new_gene[of_cell[at]]);
      counts.push_back(values[at]);
    }
    // Sums of fractions depend on their order, which must be that in which they will be checked.
    sort_entries(kept.data(), counts.data(), std::ssize(kept), buffer);
    cells.append(row_of(cell), counts);
  });
  std::vector<std::int64_t> columns;
  for (const std::int64_t gene : genes) columns.push_back(genes_[static_cast<std::size_t>(gene)]);
  const std::shared_ptr<const CountStore> selected(
      new CountStore(matrix_, std::move(cells), std::move(columns), options_));
  return selected->full_bytes() <= options_.cache_bytes ? selected->in_memory() : CountMatrix::on_disk(selected);
}

CountMatrix CountStore::in_memory() const {
  CountMatrixBuilder builder(n_genes(), n_cells(), n_nonzero_);
  for_each_cell([&](std::int64_t, std::span<const std::int32_t> genes, std::span<const float> counts) {
    builder.append_cell(genes, counts);
  });
  return std::move(builder).finish();
}

/// Gives up what is held and not promised.
void CountStore::drop_blocks() const {
  const Lock lock(mutex_);
  for (const std::int64_t block : idle_) {
    slots_[static_cast<std::size_t>(block)].counts.reset();
    held_bytes_ -= block_bytes_[static_cast<std::size_t>(block)];
  }
  idle_.clear();
  idle_bytes_ = 0;
  return_free_memory();
}

/// Blocks come and go on many threads, and each thread's part of the heap keeps what it was given.
void CountStore::return_free_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

std::vector<std::int64_t> CountStore::begin_plan(std::span<const std::int64_t> cells) const {
  std::vector<std::int64_t> blocks;
  const Lock lock(mutex_);
  if (has_plan_ || cells.empty()) return blocks;
  has_plan_ = true;
  stop_ = false;
  std::vector<std::int64_t> n_promised(slots_.size(), 0);
  for (const std::int64_t cell : cells) {
    const std::int64_t block = cell / block_cells_;
    if (n_promised[static_cast<std::size_t>(block)]++ == 0) blocks.push_back(block);
  }
  keep_early(blocks);
  for (const std::int64_t block : blocks) set_promised(block, n_promised[static_cast<std::size_t>(block)]);
  return blocks;
}

/// Gives up what an earlier plan has left unless it is needed soon: once promised it would take the room of what is
/// needed first until its own turn comes.
void CountStore::keep_early(const std::vector<std::int64_t>& blocks) const {
  std::vector<bool> is_early(slots_.size(), false);
  std::size_t bytes = 0;
  for (const std::int64_t block : blocks) {
    bytes += block_bytes_[static_cast<std::size_t>(block)];
    if (bytes > options_.cache_bytes) break;
    is_early[static_cast<std::size_t>(block)] = true;
  }
  for (auto at = idle_.begin(); at != idle_.end();) {
    const auto block = static_cast<std::size_t>(*at);
    if (is_early[block]) {
      ++at;
      continue;
    }
    slots_[block].counts.reset();
    held_bytes_ -= block_bytes_[block];
    idle_bytes_ -= block_bytes_[block];
    at = idle_.erase(at);
  }
}

void CountStore::read_ahead(const std::vector<std::int64_t>& blocks) const {
  for (const std::int64_t block : blocks) {
    Lock lock(mutex_);
    const Slot& slot = slots_[static_cast<std::size_t>(block)];
    const auto is_settled = [&] { return slot.n_promised == 0 || slot.counts; };
    changed_.wait(lock,
                  [&] { return stop_ || is_settled() || (n_urgent_ == 0 && !slot.is_loading && has_room(block)); });
    if (stop_) return;
    if (!is_settled()) load(lock, block);
  }
}

void CountStore::stop_plan() const {
  {
    const Lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
}

void CountStore::end_plan() const {
  const Lock lock(mutex_);
  for (std::int64_t block = 0; block < n_blocks(); ++block) set_promised(block, 0);
  has_plan_ = false;
  return_free_memory();
}

CountPlan::CountPlan(std::shared_ptr<const CountStore> store, std::span<const std::int64_t> cells)
    : store_(std::move(store)) {
  std::vector<std::int64_t> blocks = store_->begin_plan(cells);
  is_followed_ = !blocks.empty();
  if (!is_followed_ || effective_threads() < 2) return;
  const SignalsBlocked blocked;
  try {
    worker_ = std::thread([of = store_.get(), blocks = std::move(blocks)] {
      try {
        of->read_ahead(blocks);
      } catch (...) {
        // Whoever needs the block that cannot be read meets the failure itself.
      }
    });
  } catch (const std::system_error&) {
    // No thread to be had: every block is read when it is needed.
  }
}

CountPlan::~CountPlan() {
  if (!is_followed_) return;
  store_->stop_plan();
  if (worker_.joinable()) worker_.join();
  store_->end_plan();
}

}  // namespace scvi
