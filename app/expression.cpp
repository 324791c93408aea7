#include "expression.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "cli.hpp"
#include "memory.hpp"
#include "model_data.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"

namespace scvi::app {
namespace {

constexpr const char* kAllBatches = "all";

std::int64_t position_of(const std::string& name, const std::vector<std::string>& names, const char* option,
                         const char* problem) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return found - names.begin();
  throw InputError(
      {.problem = "names '" + name + "', which " + problem, .field = option, .remedy = suggest(name, names)});
}

/// A name as a field of a table.
std::string field_of(const std::string& name, char separator) {
  const std::string special = std::string("\"\n\r") + separator;
  if (name.find_first_of(special) == std::string::npos) return name;
  std::string quoted = "\"";
  for (const char letter : name) quoted += letter == '"' ? "\"\"" : std::string(1, letter);
  return quoted + "\"";
}

}  // namespace

void add_expression_options(CLI::App& app, ExpressionCommand& command, const std::string& output,
                            const std::string& transform_batch) {
  app.add_option("RUN", command.run, "the folder that `scvi train` wrote")->required()->check(not_empty());
  app.add_option("DATA", command.data, kAnyCounts)->required()->check(not_empty());
  app.add_option("--output,-o", command.output, output)->required()->check(not_empty());
  app.add_option("--genes", command.genes, "only these genes, in this order: a,b, or a file with one a line")
      ->check(not_empty());
  app.add_option("--transform-batch", command.transform_batch, transform_batch)->check(not_empty());
}

void add_computing_options(CLI::App& app, ExpressionCommand& command) {
  add_input_options(app, command.reading);
  add_memory_option(app, command.memory);
  add_batch_size_option(app, command.batch_size);
  app.add_option("--seed", command.seed, "seed of the draws")->check(whole_number(0))->capture_default_str();
  add_device_option(app, command.device);
  add_force_option(app, command.force);
  add_kernel_option(app, command.common);
  add_common_options(app, command.common);
}

std::string ending_of(const std::string& path) {
  return std::filesystem::path(path).extension().string();
}

std::vector<std::int64_t> batch_positions(const std::string& text, const std::vector<std::string>& names,
                                          const char* option) {
  if (text.empty()) return {};
  if (names.empty()) throw InputError({.problem = "needs a model that was trained with batches", .field = option});
  std::vector<std::int64_t> batches;
  if (text == kAllBatches) {
    for (std::int64_t batch = 0; batch < std::ssize(names); ++batch) batches.push_back(batch);
    return batches;
  }
  // A name may hold a comma itself.
  const bool is_name = std::find(names.begin(), names.end(), text) != names.end();
  for (const auto& name : is_name ? std::vector{text} : split_list(text)) {
    batches.push_back(position_of(name, names, option, "is no batch that the model was trained with"));
  }
  return batches;
}

std::vector<std::int64_t> gene_positions(const std::string& text, const std::vector<std::string>& names) {
  std::vector<std::int64_t> genes;
  for (const auto& name : text.empty() ? std::vector<std::string>() : list_or_file(text)) {
    const std::int64_t gene = position_of(name, names, "--genes", "is no gene that the model was trained with");
    if (std::find(genes.begin(), genes.end(), gene) != genes.end()) {
      throw InputError({.problem = "names '" + name + "' twice", .field = "--genes"});
    }
    genes.push_back(gene);
  }
  return genes;
}

std::vector<std::string> names_at(const std::vector<std::int64_t>& positions, const std::vector<std::string>& names) {
  if (positions.empty()) return names;
  std::vector<std::string> chosen;
  for (const std::int64_t position : positions) chosen.push_back(names[position]);
  return chosen;
}

void write_number_table(const std::string& path, const TableNames& names, const io::DenseRows& rows,
                        Overwrite overwrite) {
  const char separator = ending_of(path) == ".csv" ? ',' : '\t';
  AtomicFile output(path, overwrite);
  std::string text = names.corner;
  for (const auto& name : names.columns) text += separator + field_of(name, separator);
  text += '\n';
  const std::size_t n_columns = names.columns.size();
  std::size_t row = 0;
  rows([&](std::span<const float> values) {
    for (std::size_t i = 0; i < values.size(); i += n_columns) {
      text += field_of(names.rows[row++], separator);
      for (std::size_t column = 0; column < n_columns; ++column) {
        char number[32];
        const auto end = std::to_chars(number, number + sizeof number, values[i + column]).ptr;
        text += separator;
        text.append(number, end);
      }
      text += '\n';
      if (text.size() < (1U << 20)) continue;
      output.write(text.data(), text.size());
      text.clear();
    }
  });
  output.write(text.data(), text.size());
  output.commit();
}

}  // namespace scvi::app
