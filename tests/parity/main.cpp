// scvi-parity FILE.h5...: replays golden cases through the library.

#include <ATen/Context.h>

#include <algorithm>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "replay.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/settings.hpp"

namespace {

constexpr int kPassed = 0;
constexpr int kDeviates = 1;
constexpr int kUnusable = 2;
constexpr int kNotBuiltYet = 3;

constexpr const char* kUsage =
    "usage: scvi-parity [--quiet] [--aten | --cuda] FILE.h5...\n"
    "\n"
    "Replays cases recorded from scVI 0.6.3 (weights, inputs, noise) through this library and prints, for each\n"
    "quantity, the worst deviation and what is allowed: 1e-4 of the largest expected value plus ten times the\n"
    "reference's own rounding error (trajectories: 1e-3 on the loss of every step).\n"
    "\n"
    "  --quiet   a line for each file only, and the quantities that deviate\n"
    "  --aten    LibTorch's operations instead of the fused kernels\n"
    "  --cuda    the models and likelihoods on the first GPU\n"
    "\n"
    "Exit status: 0 all within, 1 something deviates, 2 a file cannot be used, 3 a kind of case is not built yet.\n";

int replay_file(const std::string& path, c10::Device device, bool quiet) {
  using namespace scvi::parity;
  try {
    const GoldenCase golden(path, device);
    Comparison comparison;
    if (!replay(golden, comparison) || comparison.n_compared() == 0) {
      std::cout << golden.name() << ": not built yet (" << golden.model() << ")\n";
      return kNotBuiltYet;
    }
    std::cout << golden.name() << ": " << comparison.n_compared() << " quantities, " << comparison.n_failed()
              << " deviate\n";
    if (!quiet || !comparison.passed()) comparison.print(std::cout);
    return comparison.passed() ? kPassed : kDeviates;
  } catch (const std::exception& error) {
    std::cerr << "scvi-parity: " << path << ": " << error.what() << "\n";
    return kUnusable;
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> files(argv + 1, argv + argc);
  const bool help = std::find(files.begin(), files.end(), "--help") != files.end();
  const bool quiet = std::erase(files, "--quiet") > 0;
  if (std::erase(files, "--aten") > 0) scvi::settings().kernel = scvi::KernelRoad::aten;
  const c10::Device device(std::erase(files, "--cuda") > 0 ? c10::kCUDA : c10::kCPU);
  if (files.empty() || help) {
    (files.empty() ? std::cerr : std::cout) << kUsage;
    return files.empty() ? kUnusable : kPassed;
  }
  if (device.is_cuda() && !at::hasCUDA()) {
    std::cerr << "scvi-parity: --cuda: there is no usable GPU\n";
    return kUnusable;
  }
  // The cases are odd data on purpose; what the library has to say of them is not what is asked here.
  scvi::set_verbosity(scvi::LogLevel::error);
  std::vector<int> results;
  for (const auto& file : files) results.push_back(replay_file(file, device, quiet));
  // A deviation weighs most, then a file that cannot be used, then what is not built yet.
  for (const int result : {kDeviates, kUnusable, kNotBuiltYet}) {
    if (std::find(results.begin(), results.end(), result) != results.end()) return result;
  }
  return kPassed;
}
