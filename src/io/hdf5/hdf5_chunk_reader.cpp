#include "hdf5_chunk_reader.hpp"

#include <algorithm>
#include <utility>

#include "hdf5_detail.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi::io::hdf5 {
namespace {

/// Unpacked bytes of the chunks that are in flight at a time, unless one alone is larger.
constexpr std::int64_t kBatchBytes = 8 << 20;
/// What a chunk takes beside its bytes. Files may have chunks of one value.
constexpr std::int64_t kOverhead = 256;

}  // namespace

ChunkReader::ChunkReader(hid_t dataset, ChunkedLayout layout, std::string file, std::string path)
    : dataset_(dataset), layout_(std::move(layout)), file_(std::move(file)), path_(std::move(path)) {
  const Quiet quiet;
  const Hdf5Handle type(H5Dget_type(dataset));
  const Hdf5Handle creation(H5Dget_create_plist(dataset));
  if (!type || !creation) throw_failure(take_failure(), file_, path_, "cannot be opened");
  number_ = number_type_of(type.id());
  item_bytes_ = static_cast<std::size_t>(layout_.chunk_bytes);
  for (const std::int64_t extent : layout_.chunk) item_bytes_ /= static_cast<std::size_t>(extent);
  unsigned options = 0;
  if (H5Pget_chunk_opts(creation.id(), &options) >= 0) plain_edges_ = options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS;
  if (number_) fill_ = fill_value(creation.id(), type.id());
}

std::vector<std::uint8_t> ChunkReader::fill_value(hid_t creation, hid_t type) const {
  std::vector<std::uint8_t> value(item_bytes_, 0);
  H5D_fill_value_t kind = H5D_FILL_VALUE_UNDEFINED;
  if (H5Pfill_value_defined(creation, &kind) < 0 || kind == H5D_FILL_VALUE_UNDEFINED) return value;
  if (H5Pget_fill_value(creation, type, value.data()) < 0) value.assign(item_bytes_, 0);
  H5Eclear2(H5E_DEFAULT);
  return value;
}

void ChunkReader::fail(std::string problem) const {
  throw FormatError(
      {.problem = std::move(problem), .file = file_, .field = path_, .remedy = "the file is damaged: get it anew"});
}

bool ChunkReader::advance(Corner& corner, std::span<const std::int64_t> start,
                          std::span<const std::int64_t> extent) const {
  for (std::size_t axis = corner.size(); axis-- > 0;) {
    corner[axis] += layout_.chunk[axis];
    if (corner[axis] < start[axis] + extent[axis]) return true;
    corner[axis] = start[axis] - start[axis] % layout_.chunk[axis];
  }
  return false;
}

ChunkReader::Job ChunkReader::fetch(const Corner& corner) {
  Job job{.corner = corner, .bytes = {}};
  if (const auto kept = kept_.find(corner); kept != kept_.end()) {
    job.bytes = std::move(kept->second.bytes);
    job.is_unpacked = true;
    order_.erase(kept->second.place);
    kept_.erase(kept);
    return job;
  }
  const Quiet quiet;
  const std::vector<hsize_t> offset(corner.begin(), corner.end());
  hsize_t size = 0;
  if (H5Dget_chunk_storage_size(dataset_, offset.data(), &size) < 0) {
    // That is how HDF5 1.10 tells of a chunk never written, beside others that were.
    const Failure failure = take_failure();
    if (!failure.mentions("chunk storage is not allocated")) throw_failure(failure, file_, path_, "cannot be read");
    size = 0;
  }
  job.is_absent = size == 0;
  if (job.is_absent) return job;
  if (size > static_cast<hsize_t>(layout_.file_bytes))
    fail("has a chunk of " + std::to_string(size) + " bytes, more than the file has");
  job.bytes.resize(size);
  if (H5Dread_chunk(dataset_, H5P_DEFAULT, offset.data(), &job.mask, job.bytes.data()) < 0)
    throw_failure(take_failure(), file_, path_, "cannot be read");
  return job;
}

void ChunkReader::unpack(Job& job) const {
  if (job.is_unpacked || job.is_absent) return;
  bool is_edge = false;
  for (std::size_t axis = 0; axis < job.corner.size(); ++axis)
    is_edge |= job.corner[axis] + layout_.chunk[axis] > layout_.shape[axis];
  static const std::vector<StoredFilter> kNone;
  thread_local std::vector<std::uint8_t> spare;
  const std::string problem = unpack_chunk(plain_edges_ && is_edge ? kNone : layout_.filters, job.mask, item_bytes_,
                                           static_cast<std::size_t>(layout_.chunk_bytes), job.bytes, spare);
  if (!problem.empty()) fail(problem);
  job.is_unpacked = true;
  // Threads live on: one that met a huge chunk must not keep memory for another.
  if (std::ssize(spare) > kBatchBytes) std::vector<std::uint8_t>().swap(spare);
}

void ChunkReader::run(std::vector<Job>& jobs, const Use& use) const {
  parallel_for(std::ssize(jobs), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      unpack(jobs[static_cast<std::size_t>(at)]);
      use(jobs[static_cast<std::size_t>(at)]);
    }
  });
}

bool ChunkReader::is_whole(const Corner& corner, std::span<const std::int64_t> start,
                           std::span<const std::int64_t> extent) const {
  for (std::size_t axis = 0; axis < corner.size(); ++axis) {
    const std::int64_t end = std::min(corner[axis] + layout_.chunk[axis], layout_.shape[axis]);
    if (corner[axis] < start[axis] || end > start[axis] + extent[axis]) return false;
  }
  return true;
}

void ChunkReader::keep_partly_read(std::vector<Job>& jobs, std::span<const std::int64_t> start,
                                   std::span<const std::int64_t> extent) {
  for (Job& job : jobs) {
    if (job.is_absent || is_whole(job.corner, start, extent)) continue;
    order_.push_front(job.corner);
    kept_.insert_or_assign(std::move(job.corner), Kept{std::move(job.bytes), order_.begin()});
  }
  while (kept_.size() > 1 && std::ssize(kept_) * (layout_.chunk_bytes + kOverhead) > layout_.kept_bytes) {
    kept_.erase(order_.back());
    order_.pop_back();
  }
}

void ChunkReader::for_each_chunk(std::span<const std::int64_t> start, std::span<const std::int64_t> extent,
                                 const Use& use) {
  if (std::find(extent.begin(), extent.end(), 0) != extent.end()) return;
  Corner corner;
  for (std::size_t axis = 0; axis < start.size(); ++axis)
    corner.push_back(start[axis] - start[axis] % layout_.chunk[axis]);
  std::vector<Job> jobs;
  for (bool more = true; more;) {
    throw_if_interrupted();
    jobs.clear();
    for (std::int64_t bytes = 0; more && (jobs.empty() || bytes + layout_.chunk_bytes <= kBatchBytes);) {
      jobs.push_back(fetch(corner));
      bytes += std::max<std::int64_t>(layout_.chunk_bytes, std::ssize(jobs.back().bytes)) + kOverhead;
      more = advance(corner, start, extent);
    }
    run(jobs, use);
    keep_partly_read(jobs, start, extent);
  }
}

template <class T>
void ChunkReader::read(std::span<const std::int64_t> start, std::span<const std::int64_t> extent, T* out) {
  const std::size_t rank = start.size();
  const auto copy = [&](const Job& job) {
    // What the chunk and the rectangle share, walked over in runs along the last axis.
    Corner low(rank), high(rank);
    for (std::size_t axis = 0; axis < rank; ++axis) {
      low[axis] = std::max(job.corner[axis], start[axis]);
      high[axis] = std::min(job.corner[axis] + layout_.chunk[axis], start[axis] + extent[axis]);
    }
    const auto run = static_cast<std::size_t>(high[rank - 1] - low[rank - 1]);
    for (Corner at = low;;) {
      std::int64_t from = 0;
      std::int64_t to = 0;
      for (std::size_t axis = 0; axis < rank; ++axis) {
        from = from * layout_.chunk[axis] + at[axis] - job.corner[axis];
        to = to * extent[axis] + at[axis] - start[axis];
      }
      if (job.is_absent) {
        convert_numbers(*number_, fill_.data(), 1, out + to);
        std::fill_n(out + to, run, out[to]);
      } else {
        convert_numbers(*number_, job.bytes.data() + static_cast<std::size_t>(from) * item_bytes_, run, out + to);
      }
      std::size_t axis = rank - 1;
      while (axis > 0 && ++at[axis - 1] == high[axis - 1]) {
        at[axis - 1] = low[axis - 1];
        --axis;
      }
      if (axis == 0) break;
    }
  };
  for_each_chunk(start, extent, copy);
}

void ChunkReader::verify(std::span<const std::int64_t> start, std::span<const std::int64_t> extent) {
  for_each_chunk(start, extent, [](const Job&) {});
}

#define SCVI_INSTANTIATE(T) \
  template void ChunkReader::read<T>(std::span<const std::int64_t>, std::span<const std::int64_t>, T*);
SCVI_INSTANTIATE(float)
SCVI_INSTANTIATE(double)
SCVI_INSTANTIATE(std::int32_t)
SCVI_INSTANTIATE(std::int64_t)
SCVI_INSTANTIATE(std::uint8_t)
SCVI_INSTANTIATE(std::uint64_t)
#undef SCVI_INSTANTIATE

}  // namespace scvi::io::hdf5
