#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace scvi {

/// Eigenvalues, largest first, and their eigenvectors of length 1.
struct EigenPairs {
  std::vector<double> values;
  std::vector<std::vector<double>> vectors;
};

/// All eigenvectors of a symmetric tridiagonal matrix, by implicit QL steps.
/// @param diagonal (n), @param beside (n - 1) what stands beside the diagonal
EigenPairs tridiagonal_eigenpairs(std::vector<double> diagonal, std::vector<double> beside);

/// out = A * in, for a symmetric A. Both have n values; out comes as zeros.
using SymmetricProduct = std::function<void(const std::vector<double>& in, std::vector<double>& out)>;

/// The `count` (or fewer, for small n) eigenvectors with the largest eigenvalues, by Lanczos' method with full
/// reorthogonalisation: exact up to rounding when n_steps >= n, else an approximation, best for well separated
/// eigenvalues. Each vector's entry of the largest size is positive. Does not depend on the number of threads.
/// @param without orthonormal vectors to stay orthogonal to
EigenPairs largest_eigenpairs(std::int64_t n, const SymmetricProduct& product, std::int64_t count,
                              std::int64_t n_steps, const std::vector<std::vector<double>>& without,
                              std::uint64_t seed);

}  // namespace scvi
