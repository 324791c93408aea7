#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hdf5_filters.hpp"
#include "hdf5_numbers.hpp"

namespace scvi::io::hdf5 {

/// What ChunkReader needs to know of a dataset.
struct ChunkedLayout {
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> chunk;  ///< extents, each at least 1
  std::int64_t chunk_bytes = 0;
  std::int64_t file_bytes = 0;
  std::int64_t kept_bytes = 0;  ///< of the chunks kept for the next call; one is kept even if it is larger
  std::vector<StoredFilter> filters;
};

/// Reads the chunks of one dataset and unpacks them itself, several at a time: HDF5 fetches what is stored, on the
/// calling thread, and the pool unpacks, checks and converts it. A few chunks that were read in part are kept for the
/// next call.
class ChunkReader {
 public:
  /// @param file,path for messages
  /// @pre there are filters (or HDF5 may write more bytes than it says that a chunk has) and we can_unpack() them
  ChunkReader(hid_t dataset, ChunkedLayout layout, std::string file, std::string path);

  /// Whether read() can: the values are numbers of a type that we know.
  bool holds_numbers() const { return number_.has_value(); }

  /// The values of a rectangle within the shape, row-major. @pre holds_numbers()
  /// @throws FormatError for a damaged chunk
  template <class T>
  void read(std::span<const std::int64_t> start, std::span<const std::int64_t> extent, T* out);

  /// Unpacks every chunk that overlaps a rectangle, and nothing more: what HDF5 reads then is sound.
  /// @throws FormatError for a damaged chunk
  void verify(std::span<const std::int64_t> start, std::span<const std::int64_t> extent);

 private:
  using Corner = std::vector<std::int64_t>;

  /// A chunk on its way from the file.
  struct Job {
    Corner corner;
    unsigned mask = 0;
    bool is_absent = false;    ///< never written: the fill value
    bool is_unpacked = false;  ///< came from kept_
    std::vector<std::uint8_t> bytes;
  };
  struct Kept {
    std::vector<std::uint8_t> bytes;
    std::list<Corner>::iterator place;  ///< in order_
  };
  using Use = std::function<void(const Job&)>;

  void for_each_chunk(std::span<const std::int64_t> start, std::span<const std::int64_t> extent, const Use& use);
  bool advance(Corner& corner, std::span<const std::int64_t> start, std::span<const std::int64_t> extent) const;
  Job fetch(const Corner& corner);
  void unpack(Job& job) const;
  void run(std::vector<Job>& jobs, const Use& use) const;
  void keep_partly_read(std::vector<Job>& jobs, std::span<const std::int64_t> start,
                        std::span<const std::int64_t> extent);
  bool is_whole(const Corner& corner, std::span<const std::int64_t> start,
                std::span<const std::int64_t> extent) const;
  std::vector<std::uint8_t> fill_value(hid_t creation, hid_t type) const;
  [[noreturn]] void fail(std::string problem) const;

  hid_t dataset_;
  ChunkedLayout layout_;
  std::string file_;
  std::string path_;
  std::optional<NumberType> number_;
  std::size_t item_bytes_ = 0;
  std::vector<std::uint8_t> fill_;  ///< of one value
  bool plain_edges_ = false;        ///< chunks that reach over the edge are stored unpacked
  std::map<Corner, Kept> kept_;
  std::list<Corner> order_;  ///< of kept_, the newest first
};

}  // namespace scvi::io::hdf5
