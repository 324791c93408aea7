#include "classes.hpp"

#include <algorithm>

namespace scvi {

std::vector<std::int64_t> distinct(std::vector<std::int64_t> values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

std::vector<std::int64_t> codes_of(std::span<const std::int64_t> labels, const std::vector<std::int64_t>& classes) {
  std::vector<std::int64_t> codes(labels.size());
  std::transform(labels.begin(), labels.end(), codes.begin(), [&](std::int64_t label) {
    return std::lower_bound(classes.begin(), classes.end(), label) - classes.begin();
  });
  return codes;
}

}  // namespace scvi
