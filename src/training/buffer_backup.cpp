#include "scvi/training/buffer_backup.hpp"

#include <ATen/ATen.h>

#include <cstring>

namespace scvi {
namespace {

void copy(const at::Tensor& from, at::Tensor& to) {
  if (from.is_cpu() && from.is_contiguous()) {
    // They are small and many: what copy_() does beside copying takes longer.
    std::memcpy(to.data_ptr(), from.data_ptr(), from.nbytes());
  } else {
    at::NoGradGuard no_grad;
    to.copy_(from);
  }
}

}  // namespace

BufferBackup::BufferBackup(const Model& model) {
  for (const auto& buffer : model.buffers()) {
    buffers_.emplace_back(buffer, at::empty_like(buffer, at::MemoryFormat::Contiguous));
  }
}

void BufferBackup::save() {
  for (auto& [buffer, copied] : buffers_) copy(buffer, copied);
}

void BufferBackup::restore() {
  for (auto& [buffer, copied] : buffers_) {
    if (buffer.is_contiguous()) {
      copy(copied, buffer);
    } else {
      at::NoGradGuard no_grad;
      buffer.copy_(copied);
    }
  }
}

}  // namespace scvi
