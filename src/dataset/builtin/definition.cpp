#include "definition.hpp"

#include <algorithm>
#include <charconv>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"

namespace scvi::builtin {
namespace {

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  std::size_t begin = 0;
  for (std::size_t comma; (comma = text.find(',', begin)) != std::string::npos; begin = comma + 1) {
    parts.push_back(text.substr(begin, comma - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

}  // namespace

bool OptionValues::flag(const std::string& option) const {
  const std::string& value = text(option);
  if (value == "true" || value == "yes" || value == "1") return true;
  if (value == "false" || value == "no" || value == "0") return false;
  refuse(option, "true or false");
}

std::int64_t OptionValues::number(const std::string& option) const {
  return parse_number(option, text(option));
}

std::optional<std::int64_t> OptionValues::optional_number(const std::string& option) const {
  if (text(option).empty()) return std::nullopt;
  return number(option);
}

std::vector<std::string> OptionValues::list(const std::string& option) const {
  return split_at_commas(text(option));
}

std::vector<std::int64_t> OptionValues::numbers(const std::string& option) const {
  std::vector<std::int64_t> out;
  for (const std::string& part : list(option)) out.push_back(parse_number(option, part));
  return out;
}

const std::string& OptionValues::choice(const std::string& option, const std::vector<std::string>& choices) const {
  const std::string& value = text(option);
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return value;
  throw InputError({.problem = "cannot be '" + value + "'",
                    .field = "option '" + option + "' of data set '" + entry_->name + "'",
                    .remedy = suggest(value, choices)});
}

std::int64_t OptionValues::parse_number(const std::string& option, const std::string& text) const {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || text.empty()) refuse(option, "a whole number");
  return value;
}

void OptionValues::refuse(const std::string& option, const std::string& needed) const {
  throw InputError({.problem = "is '" + text(option) + "', but must be " + needed,
                    .field = "option '" + option + "' of data set '" + entry_->name + "'",
                    .remedy = "give " + needed});
}

const std::vector<Definition>& definitions() {
  static const std::vector<Definition> all = [] {
    std::vector<Definition> out;
    for (auto family : {cortex_definitions, pbmc_definitions, loom_definitions, hemato_definitions,
                        cite_seq_definitions, brain_definitions, spatial_definitions, tenx_definitions}) {
      for (Definition& definition : family()) out.push_back(std::move(definition));
    }
    return out;
  }();
  return all;
}

}  // namespace scvi::builtin
