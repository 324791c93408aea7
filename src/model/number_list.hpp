#pragma once

#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/model/spec.hpp"

namespace scvi {

/// "0.1,0.5,0.4" as numbers; "" has none. @throws InputError naming the hyperparameter
template <class Number>
std::vector<Number> parse_number_list(const std::string& text, const char* hyperparameter) {
  std::vector<Number> numbers;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(','));
    Number number{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    const bool ends_in_comma = word.size() + 1 == rest.size();
    if (error != std::errc() || end != word.data() + word.size() || ends_in_comma) {
      throw InputError(
          {.problem = "is '" + text + "', but must be numbers with commas between them", .field = hyperparameter});
    }
    numbers.push_back(number);
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  }
  return numbers;
}

/// The numbers as parse_number_list() reads them back.
template <class Number>
std::string number_list_text(const std::vector<Number>& numbers) {
  std::string text;
  for (const Number number : numbers) text += (text.empty() ? "" : ",") + to_text(HyperparameterValue(number));
  return text;
}

}  // namespace scvi
