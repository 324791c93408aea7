#include "counts_input.hpp"

#include <map>

namespace scvi::app {

void add_input_options(CLI::App& app, CountsInput& input) {
  const char* group = "How the input is read";
  app.add_option("--format", input.format,
                 "what the input is, where that is not seen from its content: h5ad, loom, 10x_h5, 10x, mtx, text")
      ->check(one_of(io::count_format_names()))
      ->group(group);
  app.add_option("--layer", input.open.layer, "of .h5ad and .loom: the matrix to read (X, raw, or a layer)")
      ->group(group);
  app.add_option("--genome", input.open.genome, "of 10x with several genomes: the one to read")->group(group);
  app.add_flag("--gene-ids", input.gene_ids, "of 10x: name genes by identifier (ENSG...) instead of symbol")
      ->group(group);
  app.add_option("--lines-are", input.lines_are, "of text and .mtx: genes or cells (default: genes)")
      ->check(one_of({"genes", "cells"}))
      ->group(group);
  app.add_option("--separator", input.separator,
                 "of text: comma, tab, semicolon or blank (default: as the file shows)")
      ->check(one_of({"comma", "tab", "semicolon", "blank"}))
      ->group(group);
  app.add_option("--annotation-columns", input.open.annotation_columns,
                 "of text: columns behind the name of a line that are no counts")
      ->check(whole_number(0, 1 << 20))
      ->group(group);
  app.add_option("--member", input.open.member, "of a .zip with several tables: the one to read")->group(group);
}

Arguments words_of(const CountsInput& input) {
  Arguments words;
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) words.insert(words.end(), {option, value});
  };
  add("--format", input.format);
  add("--layer", input.open.layer);
  add("--genome", input.open.genome);
  if (input.gene_ids) words.emplace_back("--gene-ids");
  add("--lines-are", input.lines_are);
  add("--separator", input.separator);
  if (const auto n = input.open.annotation_columns) add("--annotation-columns", std::to_string(*n));
  add("--member", input.open.member);
  return words;
}

io::OpenCountsOptions open_options(const CountsInput& input) {
  io::OpenCountsOptions options = input.open;
  if (!input.format.empty()) options.format = io::parse_count_format(input.format);
  if (input.gene_ids) options.gene_ids = true;
  if (!input.lines_are.empty()) options.gene_by_cell = input.lines_are == "genes";
  const std::map<std::string, char> separators = {{"comma", ','}, {"tab", '\t'}, {"semicolon", ';'}, {"blank", ' '}};
  if (!input.separator.empty()) options.separator = separators.at(input.separator);
  return options;
}

}  // namespace scvi::app
