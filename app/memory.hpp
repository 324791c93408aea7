#pragma once

#include <cstdint>
#include <string>

#include "cli.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/io/count_file.hpp"
#include "scvi/model/model.hpp"

namespace scvi::app {

/// Adds --memory.
void add_memory_option(CLI::App& app, std::string& size);

/// "500M", "1.5G", "2Gi" or a number of bytes; K, M, G and T are powers of 1000, Ki, Mi, Gi and Ti of 1024.
/// "" is 0: no limit. @throws InputError naming --memory
std::int64_t parse_memory(const std::string& size);

/// What a command holds in memory beside the counts, in bytes. Estimated from sizes alone, never from the machine's
/// state, because the windows of training follow from it: they must be the same when a run is repeated or resumed.
struct MemoryUse {
  std::int64_t annotation = 0;   ///< of cells and genes
  std::int64_t model = 0;        ///< weights, and in training gradients, moments and saved states
  std::int64_t minibatches = 0;  ///< and what is computed from them
};

/// Of the annotation that a file has, and what grows from it for each cell.
std::int64_t annotation_bytes(const io::CountFile& file);
/// Of the weights and buffers of a model.
std::int64_t weight_bytes(const Model& model);
/// Of minibatches of this size.
std::int64_t minibatch_bytes(std::int64_t batch_size, std::int64_t n_genes);

/// Bytes that are left for counts. @param limit what parse_memory() gave; 0 gives 0
/// @throws InputError when too little is left, with the least that is needed
std::size_t memory_for_counts(std::int64_t limit, const MemoryUse& use);

/// Says whether the counts stay on disk, and with `training` what that means for it. Nothing where there is no limit.
void log_memory(std::int64_t limit, const GeneExpressionDataset& dataset, bool training);

}  // namespace scvi::app
