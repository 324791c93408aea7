#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "hdf5_detail.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "utf8.hpp"

namespace scvi::io::hdf5 {
namespace {

constexpr const char* kReferenceTag = "scvi text reference";

/// "Converts" variable-length text on disk to references: the bytes stay what they are.
herr_t keep_references(hid_t from, hid_t to, H5T_cdata_t* state, std::size_t, std::size_t, std::size_t, void*, void*,
                       hid_t) {
  if (state->command != H5T_CONV_INIT) return 0;
  state->need_bkg = H5T_BKG_NO;
  const std::unique_ptr<char, herr_t (*)(void*)> tag(H5Tget_tag(to), H5free_memory);
  const bool ours = tag && std::strcmp(tag.get(), kReferenceTag) == 0;
  const bool on_disk = H5Tis_variable_str(from) > 0 && H5Tget_size(from) == TextHeap::kReferenceBytes;
  return ours && on_disk ? 0 : -1;
}

template <class T>
T load_little_endian(const char* from) {
  std::uint64_t value = 0;
  for (std::size_t at = sizeof(T); at-- > 0;) value = value << 8 | static_cast<unsigned char>(from[at]);
  return static_cast<T>(value);
}

}  // namespace

hid_t text_reference_type() {
  static const hid_t type = [] {
    const hid_t made = H5Tcreate(H5T_OPAQUE, TextHeap::kReferenceBytes);
    H5Tset_tag(made, kReferenceTag);
    const Hdf5Handle text = make_text_type();
    H5Tregister(H5T_PERS_SOFT, kReferenceTag, text.id(), made, keep_references);
    return made;
  }();
  return type;
}

TextHeap::TextHeap(hid_t object, std::string file, std::string path, std::int64_t budget)
    : file_(std::move(file)), path_(std::move(path)), budget_(budget) {
  const Quiet quiet;
  const Hdf5Handle owner(H5Iget_file_id(object));
  const Hdf5Handle creation(owner ? H5Fget_create_plist(owner.id()) : -1);
  unsigned intent = 0;
  hsize_t user_block = 0;
  hsize_t bytes = 0;
  std::size_t address_bytes = 0;
  std::size_t size_bytes = 0;
  void* descriptor = nullptr;
  if (!creation || H5Fget_intent(owner.id(), &intent) < 0 || H5Pget_userblock(creation.id(), &user_block) < 0 ||
      H5Pget_sizes(creation.id(), &address_bytes, &size_bytes) < 0 ||
      H5Fget_vfd_handle(owner.id(), H5P_DEFAULT, &descriptor) < 0 || descriptor == nullptr)
    throw_failure(take_failure(), file_, path_, "cannot be read");
  // What has been written lately may still be in HDF5's hands.
  if (intent & H5F_ACC_RDWR) H5Fflush(owner.id(), H5F_SCOPE_GLOBAL);
  if (H5Fget_filesize(owner.id(), &bytes) < 0) throw_failure(take_failure(), file_, path_, "cannot be read");
  if (address_bytes != 8 || size_bytes != 8) damaged("has addresses of an unusual size, which is not supported");
  descriptor_ = *static_cast<int*>(descriptor);
  base_ = user_block;
  file_bytes_ = bytes;
}

void TextHeap::damaged(const std::string& problem) const {
  throw FormatError(
      {.problem = problem, .file = file_, .field = path_, .remedy = "the file is damaged: get it anew"});
}

std::string TextHeap::text(const char* reference) {
  const auto length = load_little_endian<std::uint32_t>(reference);
  const auto address = load_little_endian<std::uint64_t>(reference + 4);
  const auto number = load_little_endian<std::uint32_t>(reference + 12);
  if (length == 0 || address == 0) return "";
  const Collection& collection = collection_at(address);
  if (number == 0 || number >= collection.slots.size() || collection.slots[number].size < length)
    damaged("refers to text " + std::to_string(number) + " of " + std::to_string(length) +
            " bytes, which the file does not hold");
  budget_ -= length;
  if (budget_ < 0) damaged("claims more text than the file has bytes");
  const char* const begin = collection.bytes.data() + collection.slots[number].offset;
  return {begin, ::strnlen(begin, length)};
}

const TextHeap::Collection& TextHeap::collection_at(std::uint64_t address) {
  constexpr std::size_t kKept = 8;
  const auto found = std::find_if(recent_.begin(), recent_.end(),
                                  [&](const Collection& collection) { return collection.address == address; });
  if (found != recent_.end()) {
    std::rotate(found, found + 1, recent_.end());
    return recent_.back();
  }
  if (recent_.size() == kKept) recent_.erase(recent_.begin());
  recent_.push_back(load(address));
  return recent_.back();
}

TextHeap::Collection TextHeap::load(std::uint64_t address) const {
  // Signature, version, three reserved bytes, size of the whole.
  constexpr std::size_t kHeader = 16;
  std::array<char, kHeader> header{};
  read_bytes(address, header.data(), header.size());
  const auto size = load_little_endian<std::uint64_t>(header.data() + 8);
  if (std::memcmp(header.data(), "GCOL", 4) != 0 || header[4] != 1)
    damaged("refers to text at address " + std::to_string(address) + ", where the file holds none");
  if (size < kHeader || size > file_bytes_)
    damaged("refers to a text collection of " + std::to_string(size) + " bytes");
  Collection collection;
  collection.address = address;
  collection.bytes.resize(static_cast<std::size_t>(size));
  read_bytes(address, collection.bytes.data(), collection.bytes.size());
  index_slots(collection);
  return collection;
}

void TextHeap::index_slots(Collection& collection) const {
  // Of each text: number, count of references, four reserved bytes, size; then the text, filled up to eight bytes.
  constexpr std::size_t kHeader = 16;
  const std::size_t end = collection.bytes.size();
  std::size_t at = kHeader;
  while (end - at >= kHeader) {
    const auto number = load_little_endian<std::uint16_t>(collection.bytes.data() + at);
    const auto size = load_little_endian<std::uint64_t>(collection.bytes.data() + at + 8);
    // Number 0 is the free rest.
    if (number == 0) return;
    at += kHeader;
    if (size > end - at) damaged("refers to a text collection that overruns its end");
    if (number >= collection.slots.size()) collection.slots.resize(number + std::size_t{1});
    collection.slots[number] = {at, static_cast<std::size_t>(size)};
    at += std::min<std::size_t>((static_cast<std::size_t>(size) + 7) & ~std::size_t{7}, end - at);
  }
}

void TextHeap::read_bytes(std::uint64_t address, char* into, std::size_t size) const {
  if (address > file_bytes_ || base_ > file_bytes_ - address || size > file_bytes_ - address - base_)
    damaged("refers to text beyond the end of the file");
  auto offset = static_cast<off_t>(base_ + address);
  while (size > 0) {
    const ssize_t got = ::pread(descriptor_, into, size, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      throw IoError(
          {.problem = std::string("cannot be read: ") + std::strerror(errno), .file = file_, .field = path_});
    if (got == 0) damaged("refers to text beyond the end of the file");
    into += got;
    offset += got;
    size -= static_cast<std::size_t>(got);
  }
}

TextDecoder::TextDecoder(hid_t object, hid_t type, const std::string& file, const std::string& path,
                         std::int64_t file_bytes)
    : file_(file), path_(path), memory_type_(type) {
  const Quiet quiet;
  space_padded_ = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
  item_bytes_ = H5Tget_size(type);
  if (H5Tis_variable_str(type) <= 0) return;
  // A file that is being written is ours, and grows.
  constexpr std::int64_t kFloor = std::int64_t{64} << 20;
  heap_.emplace(object, file, path, std::max(file_bytes, kFloor));
  memory_type_ = text_reference_type();
  item_bytes_ = TextHeap::kReferenceBytes;
}

std::string TextDecoder::decode(const char* item) {
  std::string text;
  if (heap_) {
    text = heap_->text(item);
  } else {
    text.assign(item, ::strnlen(item, item_bytes_));
    if (space_padded_) text.erase(text.find_last_not_of(' ') + 1);
  }
  if (is_valid_utf8(text)) return text;
  ++n_replaced_;
  return valid_utf8(text);
}

void TextDecoder::finish() const {
  if (n_replaced_ == 0) return;
  log_warning(file_ + ": " + path_ + ": " + std::to_string(n_replaced_) +
              (n_replaced_ == 1 ? " text is" : " texts are") +
              " not valid UTF-8; the bad bytes are shown as \xEF\xBF\xBD");
}

}  // namespace scvi::io::hdf5
