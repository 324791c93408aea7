#include "scvi/dataset/align_genes.hpp"

#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"

namespace scvi {

std::vector<std::string> repeated_names(const std::vector<std::string>& names) {
  std::unordered_map<std::string_view, int> times;
  std::vector<std::string> repeated;
  for (const std::string& name : names) {
    if (++times[name] == 2) repeated.push_back(name);
  }
  return repeated;
}

std::vector<std::string> make_names_unique(std::vector<std::string> names) {
  std::unordered_set<std::string> taken(names.begin(), names.end());
  std::unordered_set<std::string> seen;
  std::unordered_map<std::string, std::int64_t> last_suffix;
  for (std::string& name : names) {
    if (seen.insert(name).second) continue;
    std::int64_t& suffix = last_suffix[name];
    std::string candidate;
    do {
      candidate = name + "-" + std::to_string(++suffix);
    } while (!taken.insert(candidate).second);
    name = std::move(candidate);
  }
  return names;
}

std::vector<std::int64_t> align_genes(const std::vector<std::string>& available,
                                      const std::vector<std::string>& wanted) {
  constexpr std::int64_t kTwice = -1;
  std::unordered_map<std::string_view, std::int64_t> position_of;
  for (std::size_t i = 0; i < available.size(); ++i) {
    const auto [found, is_new] = position_of.try_emplace(available[i], static_cast<std::int64_t>(i));
    if (!is_new) found->second = kTwice;
  }
  std::vector<std::int64_t> positions;
  std::vector<std::string> missing;
  for (const std::string& gene : wanted) {
    const auto found = position_of.find(gene);
    if (found == position_of.end()) {
      missing.push_back(gene);
    } else if (found->second == kTwice) {
      throw InputError({.problem = "occurs more than once in the data",
                        .field = "gene '" + gene + "'",
                        .remedy = "make the gene names unique"});
    } else {
      positions.push_back(found->second);
    }
  }
  if (!missing.empty()) {
    std::string remedy = "the data must have every gene that is asked for";
    const std::string meant = nearest_match(missing.front(), available);
    if (!meant.empty()) remedy += "; the nearest to '" + missing.front() + "' is '" + meant + "'";
    throw InputError({.problem = with_thousands(static_cast<long long>(missing.size())) + " of " +
                                 with_thousands(static_cast<long long>(wanted.size())) +
                                 " are missing: " + join_some(missing),
                      .field = "genes",
                      .remedy = remedy});
  }
  if (const std::vector<std::string> repeated = repeated_names(wanted); !repeated.empty()) {
    throw InputError({.problem = "are asked for more than once: " + join_some(repeated), .field = "genes"});
  }
  if (wanted.size() < available.size()) {
    log_info("using " + with_thousands(static_cast<long long>(wanted.size())) + " of " +
             with_thousands(static_cast<long long>(available.size())) + " genes; the others are ignored");
  }
  return positions;
}

void align_genes(GeneExpressionDataset& dataset, const std::vector<std::string>& wanted) {
  align_genes(dataset.gene_names(), wanted);
  dataset.reorder_genes(wanted, true);
}

}  // namespace scvi
