#pragma once

namespace scvi {

/// Probability that a Beta(alpha, beta) variable is at most x: the regularised incomplete beta function, good to
/// about 1e-12. @pre alpha and beta above 0; x outside [0, 1] gives 0 or 1
double beta_cdf(double x, double alpha, double beta);

}  // namespace scvi
