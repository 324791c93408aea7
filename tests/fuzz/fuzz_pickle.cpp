#include <span>

#include "fuzzing.hpp"
#include "scvi/io/pickle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    scvi::io::pickle::parse(
        std::as_bytes(std::span(data, size)),
        {.may_construct = [](std::string_view, std::string_view) { return true; }, .max_values = 1'000'000});
  } catch (const scvi::Error&) {
  }
  return 0;
}
