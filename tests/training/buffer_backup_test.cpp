#include "scvi/training/buffer_backup.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "scvi/model/vae.hpp"

namespace scvi {
namespace {

TEST(BufferBackup, BringsBackWhatWasSavedLast) {
  VAE model({.n_input = 12, .n_layers = 2}, 1);
  ASSERT_FALSE(model.buffers().empty());
  BufferBackup backup(model);
  at::NoGradGuard no_grad;
  for (const double value : {1.0, 2.0}) {
    for (const auto& buffer : model.buffers()) buffer.fill_(value);
    if (value == 1.0) backup.save();
  }
  backup.restore();
  for (const auto& buffer : model.buffers()) EXPECT_TRUE((buffer == 1).all().item<bool>());
}

}  // namespace
}  // namespace scvi
