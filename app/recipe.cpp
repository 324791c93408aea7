#include "recipe.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string_view>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/io/open_counts.hpp"

namespace scvi::app {
namespace {

std::string quoted(const std::string& word) {
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-./,:=+@%").find(c) != std::string::npos;
  };
  if (!word.empty() && std::ranges::all_of(word, is_plain)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

std::string command_line(const Arguments& words) {
  std::string line = "scvi";
  for (const std::string& word : words) line += " " + quoted(word);
  return line;
}

void run_step(const std::string& title, const Arguments& words) {
  if (!title.empty()) log_info("== " + title);
  log_info("$ " + command_line(words));
  if (run_command(words) != 0) throw InputError({.problem = "did not succeed", .field = command_line(words)});
}

std::string score_names(bool has_batches, bool has_labels) {
  std::string names = "elbo,reconstruction_error";
  if (has_labels) names += ",ari,nmi,silhouette";
  if (has_batches) names += ",entropy_batch_mixing";
  return names;
}

bool has_groups(const std::string& path, const std::string& column) {
  constexpr std::int64_t kLeastCells = 10;  // what `scvi de` leaves out
  const io::H5adFile file(path);
  const io::Column* values = file.obs().find(column);
  if (values == nullptr) return false;
  const io::Categorical groups = values->as_categorical();
  std::vector<std::int64_t> sizes(groups.categories.size());
  for (const std::int32_t code : groups.codes) {
    if (code >= 0) ++sizes[static_cast<std::size_t>(code)];
  }
  return std::ranges::count_if(sizes, [](std::int64_t size) { return size > kLeastCells; }) > 1;
}

bool has_map(const std::string& path, const std::string& basis, const std::string& column) {
  if (io::recognise_counts(path) != io::CountFormat::h5ad) return false;
  const io::H5adFile file(path);
  const std::vector<std::string> keys = file.obsm_keys();
  return std::ranges::find(keys, basis) != keys.end() && file.obs().find(column) != nullptr;
}

}  // namespace scvi::app
