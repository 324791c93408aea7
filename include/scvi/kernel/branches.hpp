#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <vector>

namespace scvi::kernel {

/// A part of a forward pass. Gives the places of the tensors that the rest reads; what it keeps to itself must not be
/// used outside of it, nor parameters of its own.
using Branch = std::function<std::vector<at::Tensor*>()>;

/// Runs two branches, on the CPU, that need nothing of each other. On two threads each thread runs one, and in the
/// backward pass one, too, which shares even what is too small to be cut. On more, all of them share each operation,
/// as if the branches were written one after the other. The results are the same to the bit.
/// @param chores further work that is to be done by the end, in any order
/// @pre all of them only read what they share, noise included
void run_branches(const Branch& first, const Branch& second, std::span<const std::function<void()>> chores = {});

}  // namespace scvi::kernel
