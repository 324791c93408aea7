#include "memory.hpp"

#include <malloc.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/count_store.hpp"

namespace scvi::app {
namespace {

/// Of the program with LibTorch before it has any data, with room for what the allocator keeps.
constexpr std::int64_t kProgram = 256'000'000;
/// Pieces of the file on their way: chunks packed and unpacked, and the block they become.
constexpr std::int64_t kReading = 64'000'000;
/// Fewer bytes of counts make windows that are too small to be of use.
constexpr double kLeastForCounts = 8e6;
/// Per cell: original positions, batch, label, library prior, totals, split, orders of an epoch, offsets in the file.
constexpr std::int64_t kPerCell = 200;
/// Of each byte of blocks that come and go, this part again is lost between them.
constexpr double kLostBetween = 0.15;
/// Tensors of (cells, genes) that a step holds at a time: counts, outputs of the decoder, their gradients.
constexpr std::int64_t kDenseTensors = 24;

std::int64_t text_bytes(const std::vector<std::string>& texts) {
  // Short ones lie within the object.
  constexpr std::size_t kInline = 15;
  constexpr std::size_t kAllocation = 16;
  std::size_t bytes = texts.size() * sizeof(std::string);
  for (const auto& text : texts) bytes += text.size() > kInline ? text.size() + kAllocation : 0;
  return static_cast<std::int64_t>(bytes);
}

struct ColumnBytes {
  std::int64_t operator()(const std::vector<std::string>& texts) const { return text_bytes(texts); }
  std::int64_t operator()(const io::Categorical& values) const {
    return std::ssize(values.codes) * static_cast<std::int64_t>(sizeof(std::int32_t)) + text_bytes(values.categories);
  }
  std::int64_t operator()(const io::Boolean& values) const { return std::ssize(values.values); }
  template <class T>
  std::int64_t operator()(const std::vector<T>& numbers) const {
    return std::ssize(numbers) * static_cast<std::int64_t>(sizeof(T));
  }
};

std::int64_t frame_bytes(const io::Frame& frame) {
  std::int64_t bytes = text_bytes(frame.index);
  for (const auto& column : frame.columns) bytes += std::visit(ColumnBytes(), column.values);
  return bytes;
}

/// Blocks of counts are made on one thread and given up on another. With a heap for each thread what was given up
/// would serve that thread alone.
void share_one_heap() {
#ifdef __GLIBC__
  ::mallopt(M_ARENA_MAX, 1);
#endif
}

double unit_of(std::string_view letters) {
  if (letters.ends_with('B') || letters.ends_with('b')) letters.remove_suffix(1);
  if (letters.empty()) return 1;
  const bool binary = letters.size() == 2 && letters[1] == 'i';
  const std::size_t power = std::string_view("KMGT").find(static_cast<char>(std::toupper(letters[0])));
  if (power == std::string_view::npos || (letters.size() > 1 && !binary)) return 0;
  return std::pow(binary ? 1024.0 : 1000.0, static_cast<double>(power + 1));
}

std::string shown(std::int64_t bytes) {
  return format_bytes(static_cast<double>(bytes));
}

}  // namespace

void add_memory_option(CLI::App& app, std::string& size) {
  app.add_option(
      "--memory", size,
      "memory that may be used, e.g. 4G or 500M: counts that need more stay on disk and are read as they are "
      "needed; training then shuffles within windows (default: all counts in memory)");
}

std::int64_t parse_memory(const std::string& size) {
  if (size.empty()) return 0;
  double number = 0;
  const char* const end = size.data() + size.size();
  const auto [rest, error] = std::from_chars(size.data(), end, number);
  const double bytes = error == std::errc() ? number * unit_of({rest, static_cast<std::size_t>(end - rest)}) : 0;
  constexpr double kMost = 1e18;
  if (!(bytes >= 1 && bytes <= kMost)) {
    throw InputError({.problem = "is '" + size + "', which is no amount of memory",
                      .field = "--memory",
                      .remedy = "give a size such as 4G, 500M or 2000000000"});
  }
  share_one_heap();
  return static_cast<std::int64_t>(bytes);
}

std::int64_t annotation_bytes(const io::CountFile& file) {
  return frame_bytes(file.obs) + frame_bytes(file.var) + file.obs.n_rows() * kPerCell;
}

std::int64_t weight_bytes(const Model& model) {
  std::size_t bytes = 0;
  for (const auto& parameter : model.parameters()) bytes += parameter.nbytes();
  for (const auto& buffer : model.buffers()) bytes += buffer.nbytes();
  return static_cast<std::int64_t>(bytes);
}

std::int64_t minibatch_bytes(std::int64_t batch_size, std::int64_t n_genes) {
  return kDenseTensors * batch_size * n_genes * static_cast<std::int64_t>(sizeof(float));
}

std::size_t memory_for_counts(std::int64_t limit, const MemoryUse& use) {
  if (limit == 0) return 0;
  const std::int64_t others = kProgram + kReading + use.annotation + use.model + use.minibatches;
  const auto left = static_cast<double>(limit - others) / (1 + kLostBetween);
  if (left >= kLeastForCounts) return static_cast<std::size_t>(left);
  constexpr double kMega = 1e6;
  const auto least = static_cast<std::int64_t>(
      std::ceil((static_cast<double>(others) + (1 + kLostBetween) * kLeastForCounts) / kMega));
  throw InputError({.problem = "is " + shown(limit) + ", but at least " + std::to_string(least) +
                               "M are needed: the program " + shown(kProgram + kReading) +
                               ", the annotation of cells and genes " + shown(use.annotation) + ", the model " +
                               shown(use.model) + ", minibatches " + shown(use.minibatches) + ", counts " +
                               format_bytes((1 + kLostBetween) * kLeastForCounts),
                    .field = "--memory",
                    .remedy = "give more, or a smaller --batch-size or fewer genes"});
}

void log_memory(std::int64_t limit, const GeneExpressionDataset& dataset, bool training) {
  if (limit == 0) return;
  const auto& store = dataset.X().store();
  if (!store) {
    log_info("the counts fit into --memory " + shown(limit));
    return;
  }
  std::string line = "the counts (" + shown(static_cast<std::int64_t>(store->full_bytes())) +
                     " in memory) stay on disk; of --memory " + shown(limit) + ", " +
                     shown(static_cast<std::int64_t>(store->cache_bytes())) + " are theirs";
  if (training) {
    const CountWindows windows = store->windows();
    const std::int64_t cells = std::min(windows.window_blocks * windows.block_cells, dataset.nb_cells());
    line += "; cells are shuffled within windows of " + with_thousands(cells) + " (" +
            with_thousands(windows.window_blocks) + " random blocks of " + with_thousands(windows.block_cells) + ")";
  }
  log_info(line);
}

}  // namespace scvi::app
