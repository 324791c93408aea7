#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "scvi/io/matrix.hpp"

namespace scvi {

class CountMatrix;

/// What is known of each cell of counts on disk, found by a pass over the matrix that checked every value of it.
struct StoredCells {
  std::vector<std::int64_t> rows{};         ///< row of the matrix, increasing; empty: cell i lies in row i
  std::vector<std::uint32_t> n_nonzero{};   ///< entries over the genes of the store
  std::vector<std::uint8_t> value_bytes{};  ///< 1, 2 or 4: what one of its counts needs in memory
  std::vector<double> totals{};             ///< total count over the genes of the store

  /// Takes memory for so many cells.
  void reserve(std::int64_t n_cells);
  std::int64_t size() const { return static_cast<std::int64_t>(n_nonzero.size()); }
  /// The cell that lies in `row`, which must be below those of later calls. All genes strictly increasing.
  void append(std::int64_t row, std::span<const float> values);
};

/// How the cells of a store are mixed in training; see WindowedSampler.
struct CountWindows {
  std::int64_t block_cells = 1;    ///< consecutive cells of a block
  std::int64_t window_blocks = 1;  ///< blocks of a window
};

struct CountStoreOptions {
  /// Memory for blocks of cells. One block is held even if it takes more, and each thread that is taking counts may
  /// hold another.
  std::size_t cache_bytes = 256 << 20;
  /// Cells of a block; 0: as many as make up about 131,072 counts, so that few chunks of the file are unpacked for
  /// two blocks, but fewer where a window would otherwise hold less than 128 blocks.
  std::int64_t block_cells = 0;
};

/// Counts that stay on disk and are read in blocks of consecutive cells. Blocks are held in the compact form of
/// CountMatrix, the ones asked for last or promised by a CountPlan, within a given memory. May be used from any
/// thread, by several at a time; only one of them is inside the matrix reader (HDF5) at a time. Outside of calls and
/// with no CountPlan alive the reader is not touched.
class CountStore : public std::enable_shared_from_this<CountStore> {
 public:
  /// @param matrix its rows are read again and again, and must not change
  /// @param file its name, for messages
  /// @param genes column of the matrix for each gene
  /// @throws InputError when the parts do not fit each other
  CountStore(std::unique_ptr<io::MatrixReader> matrix, std::string file, StoredCells cells,
             std::vector<std::int64_t> genes, CountStoreOptions options = {});
  ~CountStore();

  std::int64_t n_cells() const { return cells_.size(); }
  std::int64_t n_genes() const { return static_cast<std::int64_t>(genes_.size()); }
  std::int64_t n_nonzero() const { return n_nonzero_; }
  std::int64_t n_nonzero(std::int64_t cell) const { return cells_.n_nonzero[static_cast<std::size_t>(cell)]; }
  const std::vector<double>& cell_totals() const { return cells_.totals; }
  const std::string& file() const;

  /// The last block may hold fewer cells.
  std::int64_t block_cells() const { return block_cells_; }
  std::int64_t n_blocks() const { return static_cast<std::int64_t>(block_bytes_.size()); }
  /// Blocks of the chosen size in windows of half the memory, so that the next one is read while one is in use.
  /// Depends on the counts and the options alone.
  CountWindows windows() const;
  std::size_t cache_bytes() const { return options_.cache_bytes; }
  /// Bytes that the blocks held now and the facts about cells occupy.
  std::size_t memory_bytes() const;
  /// Bytes of all counts as a CountMatrix in memory.
  std::size_t full_bytes() const;

  /// The cells from index * block_cells() on. It stays valid as long as it is held.
  /// @param n_taken how many of the cells that a CountPlan has promised are taken from it now
  /// @throws FormatError when the file is damaged, or is no longer what it was when its counts were checked
  std::shared_ptr<const CountMatrix> block(std::int64_t index, std::int64_t n_taken = 0) const;

  /// Calls use(cell, genes, counts) for all cells in order, in one pass over the file beside the blocks.
  using UseCell = std::function<void(std::int64_t, std::span<const std::int32_t>, std::span<const float>)>;
  void for_each_cell(const UseCell& use) const;

  /// A store of these cells over the same matrix. @throws InputError unless they increase
  std::shared_ptr<const CountStore> select_cells(std::span<const std::int64_t> cells) const;
  /// A store of these genes (each at most once) over the same matrix, or, where that fits into the memory of this
  /// one, their counts in memory. Takes one pass; gives up the blocks that are held.
  CountMatrix select_genes(std::span<const std::int64_t> genes) const;
  /// All counts in memory. Takes one pass.
  CountMatrix in_memory() const;

 private:
  friend class CountPlan;
  struct Matrix;
  struct Slot {
    std::shared_ptr<const CountMatrix> counts{};
    bool is_loading = false;
    std::int64_t n_promised = 0;                  // cells that the plan will still ask for
    std::list<std::int64_t>::iterator idle_at{};  // place in idle_ of a block that is held and not promised
  };
  using Lock = std::unique_lock<std::mutex>;

  CountStore(std::shared_ptr<Matrix> matrix, StoredCells cells, std::vector<std::int64_t> genes,
             CountStoreOptions options);
  void choose_block_cells();
  void measure_blocks();
  std::int64_t row_of(std::int64_t cell) const;
  bool map_row(const io::CsrBlock& rows, std::int64_t row, std::vector<std::int32_t>& genes,
               std::vector<float>& values) const;
  void check_cell(std::int64_t cell, std::span<const float> values) const;
  std::shared_ptr<const CountMatrix> read(std::int64_t block) const;
  std::shared_ptr<const CountMatrix> load(Lock& lock, std::int64_t block) const;
  bool has_room(std::int64_t block) const;
  void make_room(std::int64_t block) const;
  void set_promised(std::int64_t block, std::int64_t n) const;
  void drop_blocks() const;

  /// @return blocks in the order in which these cells need them; empty when there is a plan already
  std::vector<std::int64_t> begin_plan(std::span<const std::int64_t> cells) const;
  void keep_early(const std::vector<std::int64_t>& blocks) const;
  static void return_free_memory();
  void read_ahead(const std::vector<std::int64_t>& blocks) const;
  void stop_plan() const;
  void end_plan() const;

  std::shared_ptr<Matrix> matrix_;
  StoredCells cells_;
  std::vector<std::int64_t> genes_;
  std::vector<std::int32_t> new_gene_;  // per column of the matrix: the gene, or -1
  bool genes_in_order_ = true;
  CountStoreOptions options_;
  std::int64_t n_nonzero_ = 0;
  std::int64_t block_cells_ = 1;
  std::vector<std::size_t> block_bytes_;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::vector<Slot> slots_;       // guarded by mutex_, as are the following
  mutable std::list<std::int64_t> idle_;  // the one to drop next first
  mutable std::size_t held_bytes_ = 0;    // blocks held or being read to be held
  mutable std::size_t idle_bytes_ = 0;
  mutable std::int64_t n_urgent_ = 0;  // threads that wait for a block they need now
  mutable bool has_plan_ = false;
  mutable bool stop_ = false;
};

/// The cells that will be asked of a store, and in which order. While it lives a thread reads their blocks ahead, as
/// far as memory goes, and blocks that are still to be used are kept. Never changes what comes. A store follows one
/// plan at a time; further ones do nothing.
class CountPlan {
 public:
  /// @param cells of the store, in any order, repeats allowed
  CountPlan(std::shared_ptr<const CountStore> store, std::span<const std::int64_t> cells);
  /// Waits until the block that is being read has come. The reader is idle afterwards.
  ~CountPlan();
  CountPlan(const CountPlan&) = delete;
  CountPlan& operator=(const CountPlan&) = delete;

 private:
  std::shared_ptr<const CountStore> store_;
  bool is_followed_ = false;
  std::thread worker_;
};

}  // namespace scvi
