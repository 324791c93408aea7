#pragma once

#include <ATen/Context.h>
#include <gtest/gtest.h>

namespace scvi::testing {

/// For tests that need a GPU: without one they are skipped, and say so.
class WithGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "NO GPU HERE: nothing of this was checked";
  }
  const c10::Device gpu_{c10::kCUDA, 0};
};

}  // namespace scvi::testing
