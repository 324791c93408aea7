#include "dataset_cases.hpp"
#include "replay.hpp"

namespace scvi::parity {

void replay_hvg(const GoldenCase& golden, Comparison& comparison) {
  for (const bool sparse : {false, true}) {
    for (const DatasetQuantity& quantity : replay_gene_selection(golden.file(), sparse)) {
      comparison.at_most(quantity.path + (sparse ? " (sparse)" : " (dense)"), quantity.deviation, quantity.allowed);
    }
  }
}

}  // namespace scvi::parity
