#pragma once

// Values that scVI 0.6.3 loads from the fixtures: tests/dataset/expected/builtin.tsv, made as its README says.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <fstream>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "scvi/dataset/gene_expression_dataset.hpp"
#include "testing.hpp"

namespace scvi::testing {

inline std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back().push_back(c);
    }
  }
  return parts;
}

inline std::vector<double> numbers_of(const std::string& text) {
  std::vector<double> numbers;
  for (const std::string& part : split(text, ',')) numbers.push_back(std::stod(part));
  return numbers;
}

/// FNV-1a, 64 bits, of the strings joined by line ends.
inline std::string fnv(const std::vector<std::string>& strings) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  const auto add = [&](char c) { hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U; };
  for (std::size_t i = 0; i < strings.size(); ++i) {
    if (i > 0) add('\n');
    for (const char c : strings[i]) add(c);
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

/// The fields of one data set.
class Expected {
 public:
  explicit Expected(const std::string& name) : name_(name) {
    std::ifstream in(std::string(SCVI_SOURCE_DIR) + "/tests/dataset/expected/builtin.tsv");
    for (std::string line; std::getline(in, line);) {
      const std::vector<std::string> fields = split(line, '\t');
      if (fields.size() == 3 && fields[0] == name) fields_[fields[1]] = fields[2];
    }
    EXPECT_FALSE(fields_.empty()) << "builtin.tsv says nothing of " << name;
  }

  /// Leaves out fields in which the data set is meant to differ; the test says why.
  Expected& except(const std::set<std::string>& fields) {
    for (const std::string& field : fields) EXPECT_EQ(fields_.erase(field), 1U) << name_ << " has no " << field;
    return *this;
  }

  const std::string& operator[](const std::string& field) const { return fields_.at(field); }

  /// Everything that is left must be so.
  void check(const GeneExpressionDataset& dataset) const {
    SCOPED_TRACE(name_);
    check_counts(dataset);
    check_category("batches", dataset.batch_indices());
    check_category("labels", dataset.labels());
    check_number("n_batches", static_cast<double>(dataset.n_batches()));
    check_number("n_labels", static_cast<double>(dataset.n_labels()));
    check_labels(dataset.labels());
    check_names(dataset);
    for (const auto& [field, value] : fields_) {
      if (field.starts_with("measurement ")) check_measurement(dataset, field.substr(12), value);
      if (field.starts_with("cell ")) check_column(dataset.cell_attribute(field.substr(5)), field, value);
    }
  }

 private:
  bool has(const std::string& field) const { return fields_.contains(field); }

  void check_number(const std::string& field, double value) const {
    if (!has(field)) return;
    EXPECT_DOUBLE_EQ(value, std::stod(fields_.at(field))) << field;
  }

  /// The first values of a list.
  void check_first(const std::string& field, const std::vector<double>& values) const {
    if (!has(field)) return;
    const std::vector<double> expected = numbers_of(fields_.at(field));
    ASSERT_LE(expected.size(), values.size()) << field;
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_FLOAT_EQ(values[i], expected[i]) << field << " " << i;
  }

  void check_counts(const GeneExpressionDataset& dataset) const {
    const CountMatrix& X = dataset.X();
    check_number("n_cells", static_cast<double>(X.n_cells()));
    check_number("n_genes", static_cast<double>(X.n_genes()));
    std::vector<double> genes(static_cast<std::size_t>(X.n_genes()));
    double total = 0;
    double weighted = 0;
    double nonzero = 0;
    for (std::int64_t cell = 0; cell < X.n_cells(); ++cell) {
      X.for_each_nonzero(cell, [&](std::int64_t gene, float value) {
        genes[gene] += value;
        total += value;
        nonzero += 1;
        weighted += static_cast<double>(value) * static_cast<double>((cell % 97 + 1) * (gene % 89 + 1));
      });
    }
    check_number("total", total);
    check_number("nonzero", nonzero);
    check_number("weighted", weighted);
    check_first("cell_totals", X.cell_totals());
    check_first("gene_totals", genes);
  }

  void check_category(const std::string& field, const std::vector<std::int64_t>& values) const {
    if (!has(field)) return;
    std::map<std::int64_t, int> counts;
    for (const std::int64_t value : values) ++counts[value];
    std::string text;
    for (const auto& [value, count] : counts) {
      text += (text.empty() ? "" : ",") + std::to_string(value) + ":" + std::to_string(count);
    }
    EXPECT_EQ(text, fields_.at(field)) << field;
  }

  void check_labels(const std::vector<std::int64_t>& labels) const {
    check_first("labels_first", {labels.begin(), labels.end()});
    double weighted = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) weighted += static_cast<double>(labels[i]) * (i % 97 + 1);
    check_number("labels_weighted", weighted);
  }

  void check_names(const GeneExpressionDataset& dataset) const {
    if (has("gene_names")) {
      EXPECT_EQ(fnv(dataset.gene_names()), split(fields_.at("gene_names"), ';')[0]) << fields_.at("gene_names");
    }
    if (has("cell_types")) {
      EXPECT_EQ(dataset.cell_types(), split(fields_.at("cell_types"), '|'));
    }
  }

  void check_measurement(const GeneExpressionDataset& dataset, const std::string& name,
                         const std::string& value) const {
    const std::vector<std::string> parts = split(value, ';');
    const CellMeasurement& measurement = dataset.cell_measurement(name);
    EXPECT_EQ(std::to_string(dataset.nb_cells()) + "x" + std::to_string(measurement.columns.size()), parts[0]);
    double sum = 0;
    for (const float entry : measurement.data) sum += entry;
    EXPECT_NEAR(sum, std::stod(parts[1]), 1e-6 * (1 + std::abs(sum))) << name;
    const std::vector<double> first = numbers_of(parts[2]);
    for (std::size_t i = 0; i < first.size(); ++i) EXPECT_FLOAT_EQ(measurement.data[i], first[i]) << name;
    EXPECT_EQ(measurement.columns_attr_name, parts[3]);
    EXPECT_EQ(measurement.columns, split(parts[4], '|'));
  }

  void check_column(const io::Column& column, const std::string& field, const std::string& value) const {
    const std::vector<std::string> parts = split(value, ';');
    EXPECT_EQ(std::to_string(column.size()), split(parts[0], 'x')[0]) << field;
    std::vector<std::string> texts;
    for (std::int64_t row = 0; row < column.size(); ++row) texts.push_back(column.text(row));
    if (std::holds_alternative<std::vector<std::string>>(column.values)) {
      EXPECT_EQ(fnv(texts), parts[1]) << field << " " << parts[2];
      return;
    }
    double sum = 0;
    for (const std::string& text : texts) sum += std::stod(text);
    EXPECT_NEAR(sum, std::stod(parts[1]), 1e-9 * std::abs(sum)) << field;
    const std::vector<double> first = numbers_of(parts[2]);
    for (std::size_t i = 0; i < first.size(); ++i) EXPECT_DOUBLE_EQ(std::stod(texts[i]), first[i]) << field;
  }

  std::string name_;
  std::map<std::string, std::string> fields_;
};

}  // namespace scvi::testing
