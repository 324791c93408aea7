#include "scvi/training/history.hpp"

#include <charconv>
#include <cmath>
#include <set>

#include "exact_number.hpp"
#include "scvi/core/error.hpp"

namespace scvi {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t first = 0;
  while (true) {
    const std::size_t end = text.find(separator, first);
    parts.push_back(text.substr(first, end - first));
    if (end == std::string_view::npos) return parts;
    first = end + 1;
  }
}

template <class Number>
Number parse(std::string_view text, const std::string& source, std::size_t line) {
  Number value{};
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size()) {
    throw FormatError({.problem = "holds '" + std::string(text) + "' where a number must be",
                       .file = source,
                       .field = "line " + std::to_string(line)});
  }
  return value;
}

}  // namespace

void History::record(const std::string& series, std::int64_t epoch, double value) {
  if (!values_.contains(series)) order_.push_back(series);
  values_[series][epoch] = value;
}

std::vector<double> History::values(const std::string& series) const {
  std::vector<double> result;
  const auto found = values_.find(series);
  if (found == values_.end()) return result;
  for (const auto& [epoch, value] : found->second) result.push_back(value);
  return result;
}

std::optional<double> History::last(const std::string& series) const {
  const auto found = values_.find(series);
  if (found == values_.end() || found->second.empty()) return std::nullopt;
  return found->second.rbegin()->second;
}

std::optional<double> History::at(const std::string& series, std::int64_t epoch) const {
  const auto found = values_.find(series);
  if (found == values_.end() || !found->second.contains(epoch)) return std::nullopt;
  return found->second.at(epoch);
}

std::string History::to_tsv() const {
  std::string text = "epoch";
  std::set<std::int64_t> epochs;
  for (const auto& name : order_) {
    text += "\t" + name;
    for (const auto& [epoch, value] : values_.at(name)) epochs.insert(epoch);
  }
  text += "\n";
  for (const std::int64_t epoch : epochs) {
    text += std::to_string(epoch);
    for (const auto& name : order_) {
      const auto value = at(name, epoch);
      text += "\t" + (value ? exact(*value) : std::string());
    }
    text += "\n";
  }
  return text;
}

History History::from_tsv(std::string_view text, const std::string& source) {
  History history;
  const auto lines = split(text, '\n');
  const auto header = split(lines.front(), '\t');
  if (header.front() != "epoch") throw FormatError({.problem = "does not begin with 'epoch'", .file = source});
  for (std::size_t column = 1; column < header.size(); ++column) {
    history.order_.emplace_back(header[column]);
    history.values_[history.order_.back()];
  }
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    const auto fields = split(lines[i], '\t');
    if (fields.size() != header.size()) {
      throw FormatError({.problem = "has " + std::to_string(fields.size()) + " fields, but the header has " +
                                    std::to_string(header.size()),
                         .file = source,
                         .field = "line " + std::to_string(i + 1)});
    }
    const auto epoch = parse<std::int64_t>(fields[0], source, i + 1);
    for (std::size_t column = 1; column < fields.size(); ++column) {
      if (fields[column].empty()) continue;
      history.record(std::string(header[column]), epoch, parse<double>(fields[column], source, i + 1));
    }
  }
  return history;
}

}  // namespace scvi
