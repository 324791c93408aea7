#include <array>

#include "fuzzing.hpp"
#include "scvi/io/archive.hpp"
#include "scvi/io/byte_stream.hpp"
#include "scvi/io/tenx.hpp"

// Every member to its end, and the archive as one of Cell Ranger.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  scvi::fuzzing::try_reading(data, size, [](const std::string& path) {
    const auto read_to_end = [](const scvi::io::ArchiveMember&, std::unique_ptr<scvi::io::ByteStream> stream) {
      std::array<char, 4096> buffer;
      while (stream->read(buffer.data(), buffer.size()) > 0) {
      }
    };
    scvi::io::visit_archive(path, read_to_end, {.max_members = 1000, .max_total_bytes = 16 << 20});
  });
  return scvi::fuzzing::try_reading(data, size, [](const std::string& path) { scvi::io::read_tenx(path); });
}
