#include "entry_buckets.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <numeric>
#include <utility>

#include "large_pages.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi::io {
namespace {

/// Rows of so many entries are written to at once: 0.5 MB, which a second-level cache holds.
constexpr std::int64_t kEntriesPerBucket = std::int64_t{1} << 16;
constexpr std::int64_t kMostBuckets = 1024;
constexpr std::int64_t kBucketsOfUnknown = 256;
/// Entries for which memory is taken at once, 24 MB.
constexpr std::int64_t kEntriesAtOnce = std::int64_t{1} << 21;
constexpr std::size_t kAlignment = std::size_t{2} << 20;

}  // namespace

void EntryBuckets::Free::operator()(void* memory) const {
  std::free(memory);
}

EntryBuckets::EntryBuckets(std::int64_t n_cells, std::int64_t n_entries) : n_expected_(n_entries) {
  const std::int64_t wanted =
      n_entries > 0 ? std::clamp<std::int64_t>(n_entries / kEntriesPerBucket, 1, kMostBuckets) : kBucketsOfUnknown;
  const std::int64_t last = std::max<std::int64_t>(n_cells - 1, 0);
  while (last >> shift_ >= wanted) ++shift_;
  n_buckets_ = static_cast<std::size_t>(last >> shift_) + 1;
}

void EntryBuckets::append(std::span<const EntryView> batches) {
  const std::size_t before = runs_.size();
  for (const EntryView& batch : batches) runs_.push_back({take_memory(batch.size()), {}});
  parallel_for(std::ssize(batches), 1, [&](std::int64_t at, std::int64_t) {
    sort(batches[static_cast<std::size_t>(at)], runs_[before + static_cast<std::size_t>(at)]);
  });
}

EntryBuckets::Entry* EntryBuckets::take_memory(std::size_t n_entries) {
  if (room_ < n_entries) {
    const auto needed = static_cast<std::int64_t>(n_entries);
    const std::int64_t expected = std::max(n_expected_ - n_entries_, n_entries_);
    room_ = static_cast<std::size_t>(std::max(needed, std::min(expected, kEntriesAtOnce)));
    const std::size_t bytes = (room_ * sizeof(Entry) + kAlignment - 1) / kAlignment * kAlignment;
    memory_.emplace_back(static_cast<Entry*>(std::aligned_alloc(kAlignment, bytes)));
    next_ = memory_.back().get();
    if (next_ == nullptr) throw std::bad_alloc();
    ask_for_large_pages(next_, bytes);
  }
  n_entries_ += static_cast<std::int64_t>(n_entries);
  room_ -= n_entries;
  return std::exchange(next_, next_ + n_entries);
}

/// A counting sort.
void EntryBuckets::sort(const EntryView& batch, Run& run) const {
  run.ends.assign(n_buckets_, 0);
  std::size_t* const next = run.ends.data();
  for (const std::int32_t cell : batch.cells) ++next[cell >> shift_];
  std::exclusive_scan(run.ends.begin(), run.ends.end(), run.ends.begin(), std::size_t{0});
  for (std::size_t at = 0; at < batch.size(); ++at) {
    const std::int32_t cell = batch.cells[at];
    run.entries[next[cell >> shift_]++] = {cell, batch.genes[at], batch.values[at]};
  }
}

CsrBlock EntryBuckets::take_rows(std::int64_t n_cells) {
  CsrBlock rows;
  rows.indptr.assign(static_cast<std::size_t>(n_cells) + 1, 0);
  const auto n_entries = static_cast<std::size_t>(n_entries_);
  // Filling new memory takes its time, too.
  parallel_for(2, 1, [&](std::int64_t part, std::int64_t) {
    if (part == 0) {
      reserve_large(rows.indices, n_entries);
      rows.indices.resize(n_entries);
    } else {
      reserve_large(rows.values, n_entries);
      rows.values.resize(n_entries);
    }
  });
  std::vector<std::int64_t> firsts(n_buckets_ + 1, 0);
  for (const Run& run : runs_)
    for (std::size_t at = 0; at < n_buckets_; ++at) firsts[at + 1] += std::ssize(run.bucket(at));
  std::partial_sum(firsts.begin(), firsts.end(), firsts.begin());
  parallel_for(static_cast<std::int64_t>(n_buckets_), 1, [&](std::int64_t at, std::int64_t) {
    throw_if_interrupted();
    scatter(static_cast<std::size_t>(at), firsts[static_cast<std::size_t>(at)], rows);
  });
  *this = EntryBuckets(0, 0);
  return rows;
}

/// Fills the rows of one bucket. No other writes to their offsets, which serve as counts and places meanwhile.
void EntryBuckets::scatter(std::size_t bucket, std::int64_t first_entry, CsrBlock& rows) const {
  std::int64_t* const next = rows.indptr.data() + 1;
  for (const Run& run : runs_)
    for (const Entry& entry : run.bucket(bucket)) ++next[entry.cell];
  const std::int64_t width = std::int64_t{1} << shift_;
  const std::int64_t first_cell = static_cast<std::int64_t>(bucket) * width;
  const std::int64_t end_cell = std::min(first_cell + width, rows.n_rows());
  if (first_cell >= end_cell) return;
  std::exclusive_scan(next + first_cell, next + end_cell, next + first_cell, first_entry);
  std::int32_t* const genes = rows.indices.data();
  float* const values = rows.values.data();
  for (const Run& run : runs_) {
    for (const Entry& entry : run.bucket(bucket)) {
      const std::int64_t slot = next[entry.cell]++;
      genes[slot] = entry.gene;
      values[slot] = entry.value;
    }
  }
}

}  // namespace scvi::io
