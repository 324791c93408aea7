#include "hdf5_filters.hpp"

#include <libdeflate.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>

#include "scvi/io/lzf.hpp"

namespace scvi::io::hdf5 {
namespace {

constexpr H5Z_filter_t kLzfFilter = 32000;
constexpr const char* kDoesNotUnpack = "has a chunk that does not unpack to the bytes of its layout";
constexpr std::size_t kChecksumBytes = 4;  // that Fletcher's checksum adds

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};

/// Unpacks a zlib stream to exactly out.size() bytes. @return whether that worked
bool inflate_to(std::span<const std::uint8_t> packed, std::span<std::uint8_t> out) {
  thread_local const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(
      libdeflate_alloc_decompressor());
  if (!decompressor) throw std::bad_alloc();
  std::size_t written = 0;
  return libdeflate_zlib_decompress(decompressor.get(), packed.data(), packed.size(), out.data(), out.size(),
                                    &written) == LIBDEFLATE_SUCCESS &&
         written == out.size();
}

/// Puts byte j of value i, which lies at j * n_values + i, where it belongs. Bytes that make no whole value follow.
void unshuffle(std::span<const std::uint8_t> from, std::size_t item_bytes, std::span<std::uint8_t> to) {
  const std::size_t n_values = from.size() / item_bytes;
  for (std::size_t byte = 0; byte < item_bytes; ++byte) {
    const std::uint8_t* const plane = from.data() + byte * n_values;
    std::uint8_t* out = to.data() + byte;
    for (std::size_t value = 0; value < n_values; ++value, out += item_bytes) *out = plane[value];
  }
  const std::size_t whole = n_values * item_bytes;
  std::copy(from.begin() + static_cast<std::ptrdiff_t>(whole), from.end(),
            to.begin() + static_cast<std::ptrdiff_t>(whole));
}

/// Fletcher's checksum over big-endian words of 16 bits, an odd last byte being the upper half of a word (HDF5 file
/// format specification 3.0, IV.A.2.l).
std::uint32_t fletcher32(std::span<const std::uint8_t> bytes) {
  constexpr std::uint64_t kModulus = 65535;
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 2) {
    first += static_cast<std::uint64_t>(bytes[at]) << 8 | (at + 1 < bytes.size() ? bytes[at + 1] : 0);
    second += first;
    // Long before the sums overflow.
    if (at % 4096 == 0) {
      first %= kModulus;
      second %= kModulus;
    }
  }
  // Sums that are a multiple of the modulus, but not 0, are written as the modulus itself.
  const auto reduced = [](std::uint64_t sum) { return sum == 0 ? sum : (sum - 1) % kModulus + 1; };
  return static_cast<std::uint32_t>(reduced(second) << 16 | reduced(first));
}

/// @return whether the last four bytes are the checksum of the others, which are left
bool take_checksum(std::vector<std::uint8_t>& bytes) {
  if (bytes.size() < kChecksumBytes) return false;
  const std::span<const std::uint8_t> content(bytes.data(), bytes.size() - kChecksumBytes);
  const std::uint8_t* const stored = bytes.data() + content.size();
  const auto number = [&](std::array<int, 4> order) {
    std::uint32_t sum = 0;
    for (const int at : order) sum = sum << 8 | stored[at];
    return sum;
  };
  // A sum of 0 and one of 65,535 are the same; so they are to us. HDF5 before 1.6.3 swapped the bytes of each half.
  const auto same = [](std::uint32_t a, std::uint32_t b) {
    const auto half = [](std::uint32_t sum) { return sum == 0xFFFF ? 0 : sum; };
    return half(a >> 16) == half(b >> 16) && half(a & 0xFFFF) == half(b & 0xFFFF);
  };
  const std::uint32_t found = fletcher32(content);
  const bool good = same(found, number({3, 2, 1, 0})) || same(found, number({2, 3, 0, 1}));
  bytes.resize(content.size());
  return good;
}

bool packs(const StoredFilter& filter) {
  return filter.id == H5Z_FILTER_DEFLATE || filter.id == kLzfFilter;
}

bool is_applied(unsigned mask, std::size_t filter) {
  return filter >= 32 || (mask >> filter & 1U) == 0;
}

}  // namespace

std::vector<StoredFilter> filters_of(hid_t creation) {
  std::vector<StoredFilter> filters;
  const int count = H5Pget_nfilters(creation);
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0;
    unsigned config = 0;
    std::array<unsigned, 16> values{};
    std::size_t n_values = values.size();
    StoredFilter filter;
    filter.id =
        H5Pget_filter2(creation, static_cast<unsigned>(i), &flags, &n_values, values.data(), 0, nullptr, &config);
    filter.values.assign(values.begin(), values.begin() + std::min(n_values, values.size()));
    filters.push_back(std::move(filter));
  }
  return filters;
}

bool can_unpack(const std::vector<StoredFilter>& filters) {
  return std::count_if(filters.begin(), filters.end(), packs) <= 1 &&
         std::all_of(filters.begin(), filters.end(), [](const StoredFilter& filter) {
           return packs(filter) || filter.id == H5Z_FILTER_SHUFFLE || filter.id == H5Z_FILTER_FLETCHER32;
         });
}

bool packs_repeatedly(const std::vector<StoredFilter>& filters) {
  return std::any_of(filters.begin(), filters.end(), packs) && !can_unpack(filters);
}

std::string unpack_chunk(const std::vector<StoredFilter>& filters, unsigned mask, std::size_t item_bytes,
                         std::size_t chunk_bytes, std::vector<std::uint8_t>& bytes,
                         std::vector<std::uint8_t>& spare) {
  std::size_t n_checksums = 0;  // that lie within what is packed at this stage
  for (std::size_t i = 0; i < filters.size(); ++i)
    n_checksums += is_applied(mask, i) && filters[i].id == H5Z_FILTER_FLETCHER32;
  for (std::size_t i = filters.size(); i-- > 0;) {
    if (!is_applied(mask, i)) continue;
    const StoredFilter& filter = filters[i];
    if (filter.id == H5Z_FILTER_FLETCHER32) {
      --n_checksums;
      if (!take_checksum(bytes)) return "has a chunk whose checksum is wrong";
    } else if (filter.id == H5Z_FILTER_SHUFFLE) {
      const std::size_t width = filter.values.empty() ? item_bytes : filter.values[0];
      if (width <= 1 || width > bytes.size()) continue;
      spare.resize(bytes.size());
      unshuffle(bytes, width, spare);
      bytes.swap(spare);
    } else {
      const std::size_t expected = chunk_bytes + n_checksums * kChecksumBytes;
      // Neither method shrinks bytes more than this, so a short chunk gets no memory for what it cannot hold.
      constexpr std::size_t kLargestRatio = 1032;
      if (expected / kLargestRatio > bytes.size() + 16) return kDoesNotUnpack;
      spare.resize(expected);
      const bool good =
          filter.id == H5Z_FILTER_DEFLATE ? inflate_to(bytes, spare) : lzf_decompress(bytes, spare) == spare.size();
      if (!good) return kDoesNotUnpack;
      bytes.swap(spare);
    }
  }
  if (bytes.size() == chunk_bytes) return "";
  return "has a chunk of " + std::to_string(bytes.size()) + " bytes where its layout says " +
         std::to_string(chunk_bytes);
}

}  // namespace scvi::io::hdf5
