#include "cli.hpp"

#include <algorithm>
#include <iostream>

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

}  // namespace

void add_common_options(CLI::App& app, CommonOptions& options) {
  app.add_option("--threads", options.threads, "threads to use (never changes a result); 0: all that are available")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_option("--verbosity", options.verbosity, "debug, info, warning, error or off")->capture_default_str();
  app.add_flag("--no-progress", options.no_progress, "show no progress");
}

void apply(const CommonOptions& options) {
  settings().n_threads = options.threads;
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
    std::cout << app.help("scvi " + app.get_name());
    return false;
  } catch (const CLI::ParseError& error) {
    // An option misspelt is the likelier cause of a complaint about what is missing.
    if (app.remaining().empty()) throw InputError({.problem = error.what(), .remedy = see_help});
  }
  for (const auto& word : app.remaining()) {
    const bool is_option = word.size() > 1 && word.front() == '-';
    if (!is_option) throw InputError({.problem = "does not take '" + word + "'", .field = command, .remedy = see_help});
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

}  // namespace scvi::app
