#include "scvi/core/error.hpp"

namespace scvi {

std::string describe(const Fault& fault) {
  std::string line;
  if (!fault.file.empty()) line += fault.file + ": ";
  if (!fault.field.empty()) line += fault.field + " ";
  line += fault.problem;
  if (!fault.remedy.empty()) line += "; " + fault.remedy;
  return line;
}

}  // namespace scvi
