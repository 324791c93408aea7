#include "scvi/core/version.hpp"

namespace scvi {

const char* version() {
  return "0.1.0";
}

}  // namespace scvi
