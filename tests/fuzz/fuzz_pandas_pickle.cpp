#include "fuzzing.hpp"
#include "scvi/io/pandas_pickle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const scvi::io::PandasPickle file("fuzzed", std::string(reinterpret_cast<const char*>(data), size));
    for (const auto& key : file.keys()) {
      try {
        if (file.is_frame(key))
          file.frame(key);
        else
          file.array(key);
      } catch (const scvi::Error&) {
      }
    }
  } catch (const scvi::Error&) {
  }
  return 0;
}
