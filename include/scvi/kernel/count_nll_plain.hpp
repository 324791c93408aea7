#pragma once

#include "scvi/kernel/count_nll.hpp"

/// The count likelihoods as their formulas stand, one number at a time: what the fast ones are held against.
/// Arguments and results are those of the functions of the same names, but nothing is written over inputs. In double,
/// for theta up to about 1e7, where lgamma(x + theta) - lgamma(theta) starts to lose digits; in long double up to
/// about 1e10.
namespace scvi::kernel::plain {

template <class T>
void count_nll(const CountNll<T>& cells, T* nll);

template <class T>
void count_nll(const CountNll<T>& cells, T* nll, const CountNllGradients<T>& gradients);

template <class T>
void count_log_likelihood(const CountMeans<T>& cells, T* log_likelihood);

}  // namespace scvi::kernel::plain
