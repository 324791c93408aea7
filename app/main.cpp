// The program `scvi`: finds the command and calls it.

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "cli.hpp"
#include "recipe.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/text.hpp"
#include "scvi/core/version.hpp"

namespace {

using scvi::app::Arguments;

constexpr int kOurFault = 1;
constexpr int kUsersFault = 2;
constexpr int kInterrupted = 130;
constexpr std::size_t kNameWidth = 16;  // of commands in the usage

using Run = int (*)(const Arguments&);

struct Command {
  const char* name;
  const char* summary;
  Run run;             // nullptr: in the module
  const char* symbol;  // its name in the module
};

const std::vector<Command> kCommands = {
    {"run", "the whole way from counts to a report", scvi::app::run_run, nullptr},
    {"info", "show what a file of counts holds", scvi::app::run_info, nullptr},
    {"convert", "write counts of any format as .h5ad or .loom", scvi::app::run_convert, nullptr},
    {"prepare", "choose cells and genes of one or several files", scvi::app::run_prepare, nullptr},
    {"datasets", "list, show and get the built-in data sets", scvi::app::run_datasets, nullptr},
    {"simulate", "write a synthetic data set", scvi::app::run_simulate, nullptr},
    {"plot", "draw training curves, maps of cells, volcanoes, heat maps and dot plots", scvi::app::run_plot, nullptr},
    {"train", "train a model on a file of counts", nullptr, "scvi_command_train"},
    {"embed", "write the latent space of a trained model into a copy of the file", nullptr, "scvi_command_embed"},
    {"annotate", "write the cell types that a trained model tells into a copy of the file", nullptr,
     "scvi_command_annotate"},
    {"classify", "learn labels of some cells and write those of all into a copy of the file", nullptr,
     "scvi_command_classify"},
    {"normalize", "write normalised expression, corrected for batches if wished", nullptr, "scvi_command_normalize"},
    {"generate", "draw counts from the posterior predictive distribution", nullptr, "scvi_command_generate"},
    {"correlations", "write correlations of genes without the noise of counting", nullptr,
     "scvi_command_correlations"},
    {"evaluate", "say how well a trained model describes the cells", nullptr, "scvi_command_evaluate"},
    {"cluster", "write neighbours, clusters and a map of the cells into a copy of the file", nullptr,
     "scvi_command_cluster"},
    {"de", "say which genes differ between groups of cells", nullptr, "scvi_command_de"},
    {"loadings", "write what the factors of a linear decoder mean", nullptr, "scvi_command_loadings"},
    {"zero-inflation", "say which genes a trained AutoZI model finds zero-inflated", nullptr,
     "scvi_command_zero_inflation"},
    {"report", "write a page about a trained model and its cells", scvi::app::run_report, nullptr},
};

void print_usage(std::ostream& out) {
  out << "scvi " << scvi::version() << ": deep generative models for single-cell omics\n\n"
      << "usage: scvi COMMAND ...        (scvi COMMAND --help tells more)\n\n";
  for (const auto& command : kCommands) {
    out << "  " << command.name << std::string(kNameWidth - std::string(command.name).size(), ' ') << command.summary
        << "\n";
  }
  out << "\n  --version   print the version\n";
}

/// Loads the commands that need LibTorch. BLAS and OpenMP read these variables once, when they are loaded: they are
/// to run on the calling thread, because the library has threads of its own.
Run load_from_module(const char* symbol) {
  for (const char* variable : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}) {
    ::setenv(variable, "1", 1);
  }
  const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  std::string reason;
  for (const char* place : {SCVI_COMMANDS_BUILD, SCVI_COMMANDS_BESIDE}) {
    const auto path = here / place;
    if (!std::filesystem::exists(path)) continue;
    if (void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
      if (void* found = ::dlsym(module, symbol)) return reinterpret_cast<Run>(found);
    }
    reason = ::dlerror();
  }
  throw scvi::IoError({.problem = "cannot be loaded" + (reason.empty() ? "" : " (" + reason + ")"),
                       .field = "the part of scvi that needs LibTorch",
                       .remedy = "install scvi again, LibTorch included"});
}

int dispatch(const Arguments& words) {
  if (words.empty()) {
    print_usage(std::cerr);
    return kUsersFault;
  }
  const std::string& name = words[0];
  if (name == "--help" || name == "-h" || name == "help") {
    if (name == "help" && words.size() > 1) return dispatch({words[1], "--help"});
    print_usage(std::cout);
    return 0;
  }
  if (name == "--version") {
    std::cout << "scvi " << scvi::version() << "\n";
    return 0;
  }
  std::vector<std::string> names;
  for (const auto& command : kCommands) {
    if (name == command.name) {
      const Run run = command.run ? command.run : load_from_module(command.symbol);
      return run(Arguments(words.begin() + 1, words.end()));
    }
    names.emplace_back(command.name);
  }
  names.insert(names.end(), {"--help", "--version"});
  throw scvi::InputError(
      {.problem = "knows no command '" + name + "'", .field = "scvi", .remedy = scvi::suggest(name, names)});
}

}  // namespace

int scvi::app::run_command(const Arguments& words) {
  return dispatch(words);
}

int main(int argc, char** argv) {
  scvi::catch_interrupts();
  try {
    const int status = dispatch(Arguments(argv + 1, argv + argc));
    // What is lost on a full disk behind a '>' shows only here.
    if (!std::cout.flush()) throw scvi::IoError({.problem = "cannot be written", .field = "standard output"});
    return status;
  } catch (const scvi::Interrupted& stop) {
    std::cerr << "scvi: " << stop.what() << "\n";
    return kInterrupted;
  } catch (const scvi::Error& error) {
    std::cerr << "scvi: error: " << error.what() << "\n";
    return kUsersFault;
  } catch (const std::bad_alloc&) {
    std::cerr << "scvi: error: out of memory\n";
    return kUsersFault;
  } catch (const std::exception& error) {
    // LibTorch appends a backtrace to its messages; the first line says what happened.
    const std::string text = error.what();
    std::cerr << "scvi: internal error: " << text.substr(0, text.find('\n')) << " (please report this)\n";
    return kOurFault;
  }
}
