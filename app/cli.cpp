#include "cli.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iostream>
#include <optional>
#include <sstream>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/core/text.hpp"

namespace scvi::app {
namespace {

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

/// The whole text as a number, or nothing.
template <class T>
std::optional<T> parsed(const std::string& text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

std::string plain(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

/// "is 'abc', but must be a whole number of at least 1", which parse() puts behind the name of the option.
CLI::Validator must_be(const std::string& what, const std::function<bool(const std::string&)>& fits) {
  return CLI::Validator(
      [=](std::string& text) { return fits(text) ? std::string() : "is '" + text + "', but must be " + what; }, "");
}

/// CLI11's complaint as ours: "--epochs: is 'x'" becomes the field --epochs and the problem "is 'x'".
Fault fault_of(const CLI::ParseError& error) {
  const std::string text = error.what();
  const std::size_t colon = text.find(": ");
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error)) {
    return {.problem = "needs a value", .field = text.substr(0, colon)};
  }
  if (dynamic_cast<const CLI::ValidationError*>(&error) && colon != std::string::npos) {
    return {.problem = text.substr(colon + 2), .field = text.substr(0, colon)};
  }
  // "Could not convert: --threshold = abc"
  const std::size_t equals = text.find(" = ");
  if (dynamic_cast<const CLI::ConversionError*>(&error) && colon != std::string::npos &&
      equals != std::string::npos) {
    return {.problem = "is '" + text.substr(equals + 3) + "', which is not a value that it takes",
            .field = text.substr(colon + 2, equals - colon - 2)};
  }
  return {.problem = text};
}

}  // namespace

CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  const bool has_end = most < std::numeric_limits<std::int64_t>::max();
  const std::string what = has_end ? "a whole number from " + std::to_string(least) + " to " + std::to_string(most)
                                   : "a whole number of at least " + std::to_string(least);
  return must_be(what, [=](const std::string& text) {
    const auto value = parsed<std::int64_t>(text);
    return value && *value >= least && *value <= most;
  });
}

CLI::Validator number(double least, double most) {
  const bool has_end = most < std::numeric_limits<double>::max();
  const std::string what =
      has_end ? "a number from " + plain(least) + " to " + plain(most) : "a number of at least " + plain(least);
  return must_be(what, [=](const std::string& text) {
    const auto value = parsed<double>(text);
    return value && *value >= least && *value <= most;
  });
}

CLI::Validator positive_number() {
  return must_be("a number larger than 0", [](const std::string& text) {
    const auto value = parsed<double>(text);
    return value && std::isfinite(*value) && *value > 0;
  });
}

CLI::Validator one_of(std::vector<std::string> words) {
  return CLI::Validator(
      [words = std::move(words)](std::string& text) {
        const bool known = std::find(words.begin(), words.end(), text) != words.end();
        return known ? std::string() : "is '" + text + "'; " + suggest(text, words);
      },
      "");
}

CLI::Validator not_empty() {
  return CLI::Validator(
      [](std::string& text) { return text.empty() ? std::string("is empty, but must be a name") : std::string(); },
      "");
}

void add_common_options(CLI::App& app, CommonOptions& options) {
  app.add_option("--threads", options.threads, "threads to use (never changes a result); 0: all that are available")
      ->check(whole_number(0, 4096))
      ->capture_default_str();
  app.add_option("--verbosity", options.verbosity, "debug, info, warning, error or off")->capture_default_str();
  app.add_flag("--no-progress", options.no_progress, "show no progress");
}

void add_kernel_option(CLI::App& app, CommonOptions& options) {
  app.add_option("--kernel", options.kernel,
                 "fused: our own kernels; aten: LibTorch's operations, several times slower, for comparison")
      ->check(one_of({"fused", "aten"}))
      ->capture_default_str();
}

void apply(const CommonOptions& options) {
  settings().n_threads = options.threads;
  settings().kernel = options.kernel == "aten" ? KernelRoad::aten : KernelRoad::fused;
  set_verbosity(parse_log_level(options.verbosity));
}

void add_force_option(CLI::App& app, bool& force) {
  app.add_flag("--force", force, "replace the output if it exists");
}

bool parse(CLI::App& app, const Arguments& arguments) {
  app.allow_extras();
  app.get_formatter()->column_width(34);
  for (CLI::Option* option : app.get_options()) {
    if (option->get_expected_max() == 1 && !option->get_positional()) {
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
  }
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  const std::string command = "scvi " + app.get_name();
  const std::string see_help = "see `" + command + " --help`";
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help("scvi");
    return false;
  } catch (const CLI::ParseError& error) {
    // An option misspelt is the likelier cause of a complaint about what is missing.
    if (app.remaining().empty()) {
      Fault fault = fault_of(error);
      fault.remedy = see_help;
      throw InputError(std::move(fault));
    }
  }
  for (const auto& word : app.remaining()) {
    if (word == "--") continue;
    const bool is_option = word.size() > 1 && word.front() == '-';
    if (!is_option)
      throw InputError({.problem = "does not take '" + word + "'", .field = command, .remedy = see_help});
    const std::string name = word.substr(0, word.find('='));
    const std::string near = nearest_match(name, option_names(app));
    throw InputError({.problem = "has no option '" + name + "'",
                      .field = command,
                      .remedy = near.empty() ? see_help : "did you mean '" + near + "'?"});
  }
  return true;
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts;
  for (const auto& part : CLI::detail::split(text, ',')) {
    std::string trimmed = CLI::detail::trim_copy(part);
    if (!trimmed.empty()) parts.push_back(std::move(trimmed));
  }
  return parts;
}

std::vector<std::string> list_or_file(const std::string& text) {
  if (!std::filesystem::is_regular_file(text)) return split_list(text);
  std::vector<std::string> lines;
  std::istringstream in(read_file(text));
  for (std::string line; std::getline(in, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

}  // namespace scvi::app
