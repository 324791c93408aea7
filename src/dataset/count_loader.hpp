#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "count_check.hpp"
#include "scvi/dataset/count_matrix.hpp"
#include "scvi/dataset/count_store.hpp"
#include "scvi/io/count_file.hpp"

namespace scvi::dataset_detail {

inline constexpr const char* kRawCountsRemedy =
    "give the raw counts, with --layer where the file has them; this looks like normalised data";

/// Reads the wanted columns of a matrix of counts, checks every value of it and leaves out empty cells.
class CountLoader {
 public:
  /// @param file with names of cells and genes, for messages; must outlive the loader
  /// @param genes columns to keep, in their new order
  /// @param memory_bytes that the counts may take; 0: no limit
  CountLoader(const io::CountFile& file, const std::vector<std::int64_t>& genes, bool drop_empty_cells,
              std::size_t memory_bytes = 0);

  /// The counts, or nothing where they need more than the memory.
  std::optional<CountMatrix> load();
  /// What there is to know of the cells then.
  StoredCells& stored_cells() { return stored_; }

  /// Rows of the file that were kept.
  std::vector<std::int64_t>& kept_cells() { return kept_; }

 private:
  void use(const io::CsrBlock& block);
  void use_row(const io::CsrBlock& block, std::int64_t row);
  void begin(const io::CsrBlock& first);
  void stay_on_disk();
  std::int64_t expected_nonzero(const io::CsrBlock& first) const;
  [[noreturn]] void throw_bad_count(std::int64_t cell, std::int64_t gene, float value) const;
  std::string place(std::int64_t cell, std::int64_t gene) const;
  void report() const;

  const io::CountFile& file_;
  bool drop_empty_cells_;
  std::size_t memory_bytes_;
  std::int64_t n_wanted_;
  std::vector<std::int32_t> new_gene_;         // per column of the file: the new gene, or -1
  std::optional<CountMatrixBuilder> builder_;  // empty once the counts need more than the memory
  StoredCells stored_;                         // where the memory has a limit
  FractionalCounts fractional_;
  std::int64_t n_rows_ = 0;
  std::vector<std::int64_t> kept_;
  std::vector<std::pair<std::int32_t, float>> entries_;
  std::vector<std::int32_t> genes_;
  std::vector<float> values_;
};

}  // namespace scvi::dataset_detail
