#pragma once

#include <string_view>

#include "scvi/core/progress.hpp"

namespace scvi {

/// Reports work that cannot say how far it is: that it has begun, and that it is over. @returns what it returns
template <class Work>
auto as_step(Progress& progress, std::string_view what, Work work) {
  progress.start(what, 1, "step");
  auto result = work();
  progress.update(1, "");
  progress.finish();
  return result;
}

}  // namespace scvi
