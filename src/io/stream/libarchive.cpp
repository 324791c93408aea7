#include "libarchive.hpp"

#include <archive_entry.h>

#include <cerrno>
#include <cstddef>
#include <new>
#include <utility>

#include "expansion_limit.hpp"
#include "utf8.hpp"

namespace scvi::io {
namespace {

constexpr std::size_t kInputBytes = std::size_t{256} << 10;

class FilterStream final : public ByteStream {
 public:
  FilterStream(std::unique_ptr<ByteStream> packed, bool xz, const ByteStreamOptions& options)
      : ByteStream(packed->file(), packed->member(), packed->stored_bytes()),
        limit_(stored_bytes(), options),
        kind_(xz ? "xz" : "bzip2"),
        source_(std::move(packed)),
        handle_(archive_read_new()) {
    if (!handle_) throw std::bad_alloc();
    if (xz)
      archive_read_support_filter_xz(handle_.get());
    else
      archive_read_support_filter_bzip2(handle_.get());
    archive_read_support_format_raw(handle_.get());
    archive_read_support_format_empty(handle_.get());
    check(source_.open(handle_.get()));
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(handle_.get(), &entry);
    finished_ = result == ARCHIVE_EOF;
    if (!finished_) check(result);
    // What is too short for its format, libarchive passes through as it is.
    const int wanted = xz ? ARCHIVE_FILTER_XZ : ARCHIVE_FILTER_BZIP2;
    if (archive_filter_code(handle_.get(), 0) != wanted) check(ARCHIVE_FATAL);
  }

  std::size_t read(char* into, std::size_t size) override {
    if (finished_ || size == 0) return 0;
    const la_ssize_t got = archive_read_data(handle_.get(), into, size);
    if (got < 0) check(static_cast<int>(got));
    finished_ = got == 0;
    limit_.add(*this, static_cast<std::size_t>(got));
    return static_cast<std::size_t>(got);
  }

 private:
  ExpansionLimit limit_;
  std::string kind_;
  ArchiveSource source_;
  ArchiveHandle handle_;
  bool finished_ = false;

  void check(int result) {
    source_.rethrow();
    if (result == ARCHIVE_OK) return;
    fail("", "holds " + kind_ + " content that is damaged or cut short" + archive_reason(handle_.get()),
         "get the file anew");
  }
};

}  // namespace

ArchiveSource::ArchiveSource(std::unique_ptr<ByteStream> stream) : stream_(std::move(stream)), buffer_(kInputBytes) {}

int ArchiveSource::open(archive* handle) {
  return archive_read_open(handle, this, nullptr, read, nullptr);
}

void ArchiveSource::rethrow() {
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ArchiveSource::drain() {
  while (stream_->read(buffer_.data(), buffer_.size()) > 0) continue;
}

la_ssize_t ArchiveSource::read(archive* handle, void* self, const void** bytes) {
  auto& source = *static_cast<ArchiveSource*>(self);
  *bytes = source.buffer_.data();
  try {
    return static_cast<la_ssize_t>(source.stream_->read(source.buffer_.data(), source.buffer_.size()));
  } catch (...) {
    source.error_ = std::current_exception();
    archive_set_error(handle, EIO, "cannot be read");
    return -1;
  }
}

std::unique_ptr<ByteStream> open_filter_stream(std::unique_ptr<ByteStream> packed, bool xz,
                                               const ByteStreamOptions& options) {
  return std::make_unique<FilterStream>(std::move(packed), xz, options);
}

std::string archive_reason(archive* handle) {
  const char* const said = archive_error_string(handle);
  return said ? " (" + valid_utf8(said) + ")" : std::string();
}

}  // namespace scvi::io
