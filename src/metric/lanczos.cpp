#include "lanczos.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// Takes from v what lies along the vectors of `basis`. Twice is enough against rounding (Kahan and Parlett).
void orthogonalise(Vector& v, const std::vector<Vector>& basis) {
  constexpr std::int64_t kValuesAtOnce = 4096;
  for (int pass = 0; pass < 2; ++pass) {
    Vector along(basis.size());
    parallel_for(std::ssize(basis), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) along[i] = dot(basis[i], v);
    });
    parallel_for(std::ssize(v), kValuesAtOnce, [&](std::int64_t begin, std::int64_t end) {
      for (std::size_t i = 0; i < basis.size(); ++i)
        for (std::int64_t at = begin; at < end; ++at) v[at] -= along[i] * basis[i][at];
    });
  }
}

/// Divides v by its length. @returns the length; where that is nothing but rounding, 0 and v as it was
double normalise(Vector& v, double scale) {
  const double length = std::sqrt(dot(v, v));
  if (!(length > scale * 1e-12)) return 0;
  for (double& value : v) value /= length;
  return length;
}

/// An orthonormal basis grown one vector at a time, in which the matrix is tridiagonal.
class Lanczos {
 public:
  Lanczos(std::int64_t n, const SymmetricProduct& product, const std::vector<Vector>& without, std::uint64_t seed)
      : n_(static_cast<std::size_t>(n)),
        product_(product),
        basis_(without),
        first_(without.size()),
        random_(seed, "lanczos") {}

  /// @returns false when the basis spans everything
  bool step() {
    if (!next_.empty() || start_anew()) {
      basis_.push_back(std::move(next_));
      next_.assign(n_, 0);
      product_(basis_.back(), next_);
      diagonal_.push_back(dot(next_, basis_.back()));
      scale_ = std::max(scale_, std::sqrt(dot(next_, next_)));
      orthogonalise(next_, basis_);
      beside_.push_back(normalise(next_, scale_));
      if (beside_.back() == 0) next_.clear();
      return true;
    }
    return false;
  }

  EigenPairs largest(std::int64_t count) const {
    Vector beside = beside_;
    if (!beside.empty()) beside.pop_back();
    const EigenPairs small = tridiagonal_eigenpairs(diagonal_, beside);
    EigenPairs found;
    for (std::size_t i = 0; i < std::min(small.values.size(), static_cast<std::size_t>(count)); ++i) {
      found.values.push_back(small.values[i]);
      found.vectors.push_back(combined(small.vectors[i]));
    }
    return found;
  }

 private:
  /// A random vector orthogonal to all so far: at the beginning, and when those span a space that A maps to itself.
  bool start_anew() {
    Vector v(n_);
    for (double& value : v) value = random_.standard_normal();
    orthogonalise(v, basis_);
    if (normalise(v, std::sqrt(static_cast<double>(n_))) == 0) return false;
    next_ = std::move(v);
    return true;
  }

  Vector combined(const Vector& weights) const {
    Vector v(n_);
    for (std::size_t i = 0; i < weights.size(); ++i)
      for (std::size_t at = 0; at < n_; ++at) v[at] += weights[i] * basis_[first_ + i][at];
    const auto largest =
        std::max_element(v.begin(), v.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
    if (largest != v.end() && *largest < 0)
      for (double& value : v) value = -value;
    return v;
  }

  std::size_t n_;
  const SymmetricProduct& product_;
  std::vector<Vector> basis_;
  std::size_t first_;
  RandomStream random_;
  Vector next_, diagonal_, beside_;
  double scale_ = 0;
};

/// Rotates the rows i and i + 1.
void rotate(std::vector<Vector>& vectors, std::size_t i, double cosine, double sine) {
  for (std::size_t at = 0; at < vectors[i].size(); ++at) {
    const double a = vectors[i][at], b = vectors[i + 1][at];
    vectors[i][at] = cosine * a - sine * b;
    vectors[i + 1][at] = sine * a + cosine * b;
  }
}

/// The first place from `from` on where the matrix falls apart.
std::size_t end_of_block(const Vector& d, const Vector& e, std::size_t from) {
  std::size_t end = from;
  while (end + 1 < d.size() &&
         std::abs(e[end]) > std::numeric_limits<double>::epsilon() * (std::abs(d[end]) + std::abs(d[end + 1])))
    ++end;
  return end;
}

/// One implicit QL step with Wilkinson's shift on the block from `begin` to `end`, both included.
void ql_step(Vector& d, Vector& e, std::vector<Vector>& vectors, std::size_t begin, std::size_t end) {
  double g = (d[begin + 1] - d[begin]) / (2 * e[begin]);
  double r = std::hypot(g, 1.0);
  g = d[end] - d[begin] + e[begin] / (g + std::copysign(r, g));
  double sine = 1, cosine = 1, p = 0;
  for (std::size_t i = end; i-- > begin;) {
    const double f = sine * e[i], b = cosine * e[i];
    r = std::hypot(f, g);
    e[i + 1] = r;
    if (r == 0) {  // the block falls apart here
      d[i + 1] -= p;
      e[end] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = d[i + 1] - p;
    r = (d[i] - g) * sine + 2 * cosine * b;
    p = sine * r;
    d[i + 1] = g + p;
    g = cosine * r - b;
    rotate(vectors, i, cosine, sine);
  }
  d[begin] -= p;
  e[begin] = g;
  e[end] = 0;
}

}  // namespace

EigenPairs tridiagonal_eigenpairs(Vector diagonal, Vector beside) {
  const std::size_t n = diagonal.size();
  beside.resize(n);  // one more, which the steps use
  std::vector<Vector> vectors(n, Vector(n));
  for (std::size_t i = 0; i < n; ++i) vectors[i][i] = 1;
  constexpr int kMostSteps = 100;
  for (std::size_t begin = 0; begin < n; ++begin) {
    for (int step = 0; step < kMostSteps; ++step) {
      const std::size_t end = end_of_block(diagonal, beside, begin);
      if (end == begin) break;
      ql_step(diagonal, beside, vectors, begin, end);
    }
  }
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return diagonal[a] > diagonal[b]; });
  EigenPairs sorted;
  for (const std::size_t i : order) {
    sorted.values.push_back(diagonal[i]);
    sorted.vectors.push_back(std::move(vectors[i]));
  }
  return sorted;
}

EigenPairs largest_eigenpairs(std::int64_t n, const SymmetricProduct& product, std::int64_t count,
                              std::int64_t n_steps, const std::vector<Vector>& without, std::uint64_t seed) {
  Lanczos lanczos(n, product, without, seed);
  for (std::int64_t i = 0; i < n_steps; ++i) {
    throw_if_interrupted();
    if (!lanczos.step()) break;
  }
  return lanczos.largest(count);
}

}  // namespace scvi
