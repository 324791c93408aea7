#pragma once

// What a report says of genes where the model says more of them than how they are expressed.

#include <string>

#include "scvi/report/page.hpp"

namespace scvi::report {

/// The genes at the ends of the factors of a linear decoder. @param path table of `scvi loadings`
void add_factors(Page& page, const std::string& path);

/// How probable zero inflation is for each gene. @param path table of `scvi zero-inflation`
void add_zero_inflation(Page& page, const std::string& path);

}  // namespace scvi::report
