#include "entry_buckets.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>
#include <vector>

#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi::io {
namespace {

/// Rows of so many entries are written to at once: 0.5 MB, which a second-level cache holds.
constexpr std::int64_t kEntriesPerBucket = std::int64_t{1} << 16;
constexpr std::int64_t kMostBuckets = 1024;
constexpr std::int64_t kBucketsOfUnknown = 256;
/// Entries for which memory is taken at once.
constexpr std::size_t kEntriesAtOnce = std::size_t{1} << 21;

struct Entry {
  std::int32_t cell;
  std::int32_t gene;
  float value;
};

/// Stores entries as they are.
struct WideCode {
  using Stored = Entry;
  Stored store(const Entry& entry) const { return entry; }
  Entry load(const Stored& stored, std::int32_t) const { return stored; }
};

/// Stores the cell within its bucket, the gene and the value in eight bytes.
struct PackedCode {
  using Stored = std::uint64_t;
  static constexpr int kValueBits = 32;
  int cell_bits = 0;
  int gene_bits = 0;

  Stored store(const Entry& entry) const {
    const std::uint64_t cell = static_cast<std::uint32_t>(entry.cell) & ((std::uint64_t{1} << cell_bits) - 1);
    return (cell << gene_bits | static_cast<std::uint32_t>(entry.gene)) << kValueBits |
           std::bit_cast<std::uint32_t>(entry.value);
  }
  Entry load(Stored stored, std::int32_t first_cell) const {
    const std::uint64_t place = stored >> kValueBits;
    return {first_cell + static_cast<std::int32_t>(place >> gene_bits),
            static_cast<std::int32_t>(place & ((std::uint64_t{1} << gene_bits) - 1)),
            std::bit_cast<float>(static_cast<std::uint32_t>(stored))};
  }
};

template <class Code>
class BucketsOf final : public EntryBuckets {
 public:
  /// Cells of the same cell >> shift are in the same bucket.
  BucketsOf(const ExpectedEntries& expected, int shift, Code code)
      : code_(code),
        shift_(shift),
        n_buckets_(static_cast<std::size_t>(std::max<std::int64_t>(expected.n_cells - 1, 0) >> shift) + 1),
        n_expected_(static_cast<std::size_t>(expected.n_entries)) {}

  void append(std::span<const EntryView> batches) override {
    // A counting sort of all batches together, so that what is in the same bucket lies close together.
    std::vector<std::vector<std::size_t>> next(batches.size(), std::vector<std::size_t>(n_buckets_, 0));
    parallel_for(std::ssize(batches), 1, [&](std::int64_t at, std::int64_t) {
      count(batches[static_cast<std::size_t>(at)], next[static_cast<std::size_t>(at)].data());
    });
    Run run{.entries = nullptr, .ends = std::vector<std::size_t>(n_buckets_)};
    std::size_t size = 0;
    for (std::size_t bucket = 0; bucket < n_buckets_; ++bucket) {
      for (std::vector<std::size_t>& of_batch : next) of_batch[bucket] = std::exchange(size, size + of_batch[bucket]);
      run.ends[bucket] = size;
    }
    if (size == 0) return;
    run.entries = take_memory(size);
    parallel_for(std::ssize(batches), 1, [&](std::int64_t at, std::int64_t) {
      distribute(batches[static_cast<std::size_t>(at)], next[static_cast<std::size_t>(at)].data(), run.entries);
    });
    runs_.push_back(std::move(run));
  }

  CsrBlock take_rows(std::int64_t n_cells) override {
    CsrBlock rows;
    rows.indptr.assign(static_cast<std::size_t>(n_cells) + 1, 0);
    // Filling new memory takes its time, too.
    parallel_for(2, 1, [&](std::int64_t part, std::int64_t) {
      if (part == 0)
        rows.indices.resize(n_entries_);
      else
        rows.values.resize(n_entries_);
    });
    std::vector<std::int64_t> firsts(n_buckets_ + 1, 0);
    for (const Run& run : runs_)
      for (std::size_t at = 0; at < n_buckets_; ++at) firsts[at + 1] += std::ssize(run.bucket(at));
    std::partial_sum(firsts.begin(), firsts.end(), firsts.begin());
    parallel_for(static_cast<std::int64_t>(n_buckets_), 1, [&](std::int64_t at, std::int64_t) {
      throw_if_interrupted();
      scatter(static_cast<std::size_t>(at), firsts[static_cast<std::size_t>(at)], rows);
    });
    runs_.clear();
    memory_.clear();
    room_ = n_entries_ = 0;
    return rows;
  }

 private:
  using Stored = typename Code::Stored;
  /// Some batches, sorted: bucket b is entries [ends[b - 1], ends[b]).
  struct Run {
    Stored* entries = nullptr;
    std::vector<std::size_t> ends{};

    std::span<const Stored> bucket(std::size_t at) const {
      const std::size_t begin = at == 0 ? 0 : ends[at - 1];
      return {entries + begin, ends[at] - begin};
    }
  };

  Code code_;
  int shift_;
  std::size_t n_buckets_;
  std::size_t n_expected_;
  std::size_t n_entries_ = 0;
  std::vector<Run> runs_;
  std::vector<std::unique_ptr<Stored[]>> memory_;
  Stored* next_ = nullptr;
  std::size_t room_ = 0;  ///< entries that the last piece of memory still holds

  Stored* take_memory(std::size_t count) {
    if (room_ < count) {
      const std::size_t to_come = std::max(n_expected_ - std::min(n_expected_, n_entries_), n_entries_);
      room_ = std::max(count, std::min(to_come, kEntriesAtOnce));
      // Not cleared: memory that no entry reaches is never touched.
      memory_.push_back(std::make_unique_for_overwrite<Stored[]>(room_));
      next_ = memory_.back().get();
    }
    n_entries_ += count;
    room_ -= count;
    return std::exchange(next_, next_ + count);
  }

  void count(const EntryView& batch, std::size_t* counts) const {
    for (const std::int32_t cell : batch.cells) ++counts[cell >> shift_];
  }

  void distribute(const EntryView& batch, std::size_t* next, Stored* entries) const {
    for (std::size_t at = 0; at < batch.size(); ++at) {
      const std::int32_t cell = batch.cells[at];
      entries[next[cell >> shift_]++] = code_.store({cell, batch.genes[at], batch.values[at]});
    }
  }

  /// Fills the rows of one bucket. No other writes to their offsets, which serve as counts and places meanwhile.
  void scatter(std::size_t bucket, std::int64_t first_entry, CsrBlock& rows) const {
    const auto first_cell = static_cast<std::int32_t>(bucket << shift_);
    std::int64_t* const next = rows.indptr.data() + 1;
    for (const Run& run : runs_)
      for (const Stored& stored : run.bucket(bucket)) ++next[code_.load(stored, first_cell).cell];
    const std::int64_t end_cell = std::min((static_cast<std::int64_t>(bucket) + 1) << shift_, rows.n_rows());
    if (first_cell >= end_cell) return;
    std::exclusive_scan(next + first_cell, next + end_cell, next + first_cell, first_entry);
    std::int32_t* const genes = rows.indices.data();
    float* const values = rows.values.data();
    for (const Run& run : runs_) {
      for (const Stored& stored : run.bucket(bucket)) {
        const Entry entry = code_.load(stored, first_cell);
        const std::int64_t slot = next[entry.cell]++;
        genes[slot] = entry.gene;
        values[slot] = entry.value;
      }
    }
  }
};

int bits_below(std::int64_t count) {
  return std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(count - 1, 0)));
}

}  // namespace

std::unique_ptr<EntryBuckets> make_entry_buckets(const ExpectedEntries& expected) {
  const std::int64_t wanted = expected.n_entries > 0
                                  ? std::clamp<std::int64_t>(expected.n_entries / kEntriesPerBucket, 1, kMostBuckets)
                                  : kBucketsOfUnknown;
  const int cell_bits = bits_below(expected.n_cells);
  const int gene_bits = bits_below(expected.n_genes);
  const int wanted_shift = std::max(0, cell_bits - bits_below(wanted));
  const int packed_shift = std::min(wanted_shift, std::max(0, 32 - gene_bits));
  if (cell_bits - packed_shift <= bits_below(kMostBuckets))
    return std::make_unique<BucketsOf<PackedCode>>(expected, packed_shift, PackedCode{packed_shift, gene_bits});
  return std::make_unique<BucketsOf<WideCode>>(expected, wanted_shift, WideCode{});
}

}  // namespace scvi::io
