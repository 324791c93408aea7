#pragma once

#include <cstdint>
#include <string>

#include "scvi/report/canvas.hpp"
#include "scvi/report/differential_table.hpp"

namespace scvi::report {

struct VolcanoOptions {
  bool probability = false;    ///< up the axis: the probability; else the Bayes factor
  std::int64_t n_labels = 15;  ///< genes to name, the most evident first; those without room have no label
  double width = 400;          ///< of a panel's axes, in pixels
  double height = 340;         ///< likewise
  int columns = 0;             ///< panels side by side; 0: up to three
  /// What the two groups are called; "": the name of the comparison, and "others".
  std::string first_group = {};
  std::string second_group = {};
};

/// Change against evidence, one panel a comparison; genes that are called different in colour. Changes that are
/// infinite lie on the edge.
/// @throws InputError when there is no comparison or none of its genes has numbers
Canvas draw_volcano(const DifferentialTable& table, const VolcanoOptions& options = {});

}  // namespace scvi::report
