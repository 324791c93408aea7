// Readers of files, on synthetic counts that are written first to a temporary folder. Bytes a second are those of the
// text, unpacked, or of the HDF5 file as it lies on disk; entries are counts that are not zero. Files are warm: they
// come from the memory of the system, not from a disk. A copy of text is that of its bytes into new memory; `to_copy`
// is how many times longer than it a reader takes, both timed in turn, medians.

#include <benchmark/benchmark.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "scvi/core/logging.hpp"
#include "scvi/io/byte_stream.hpp"
#include "scvi/io/delimited.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/io/hdf5.hpp"
#include "scvi/io/loom.hpp"
#include "scvi/io/matrix_market.hpp"
#include "scvi/io/tenx.hpp"

namespace {

namespace io = scvi::io;

/// A folder for files that are made when they are first asked for. It goes when the program ends.
class Files {
 public:
  Files() {
    scvi::set_verbosity(scvi::LogLevel::warning);
    std::string pattern = (std::filesystem::temp_directory_path() / "scvi-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
  }
  ~Files() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  std::string get(const std::string& name, const std::function<void(const std::string& path)>& make) const {
    const std::string path = folder_ + "/" + name;
    if (!std::filesystem::exists(path)) make(path);
    return path;
  }

 private:
  std::string folder_;
};

const Files& files() {
  static const Files the_files;
  return the_files;
}

struct Counts {
  std::int64_t n_genes = 0;
  io::CsrBlock rows{};
};

/// Genes differ much in how often they are seen, and most counts are small.
Counts make_counts(std::int64_t n_cells, std::int64_t n_genes, double density) {
  std::mt19937 random(1);
  Counts counts{.n_genes = n_genes};
  counts.rows.clear();
  std::vector<std::uint32_t> limits;
  for (std::int64_t gene = 0; gene < n_genes; ++gene) {
    const double share = static_cast<double>(random()) / 4294967296.0;
    limits.push_back(static_cast<std::uint32_t>(std::min(0.999, 3 * density * share * share) * 4294967295.0));
  }
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    for (std::int64_t gene = 0; gene < n_genes; ++gene) {
      if (random() >= limits[static_cast<std::size_t>(gene)]) continue;
      const std::uint32_t draw = random();
      const int small = 1 + std::min(__builtin_ctz(draw | 0x100), 8);
      counts.rows.indices.push_back(static_cast<std::int32_t>(gene));
      counts.rows.values.push_back(static_cast<float>(draw >> 28 == 0 ? small + (draw >> 20 & 63) : small));
    }
    counts.rows.indptr.push_back(std::ssize(counts.rows.indices));
  }
  return counts;
}

std::int64_t size_of(const std::string& path) {
  return static_cast<std::int64_t>(std::filesystem::file_size(path));
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_gzip(const std::string& path, const std::string& text) {
  const gzFile file = gzopen(path.c_str(), "wb6");
  if (file == nullptr || gzwrite(file, text.data(), static_cast<unsigned>(text.size())) == 0)
    throw std::runtime_error(path + " cannot be written");
  gzclose(file);
}

std::int64_t unpacked_bytes(const std::string& path) {
  std::vector<char> block(std::size_t{1} << 18);
  const auto stream = io::open_byte_stream(path);
  std::int64_t bytes = 0;
  while (const std::size_t got = stream->read(block.data(), block.size())) bytes += static_cast<std::int64_t>(got);
  return bytes;
}

double seconds_of(const std::function<void()>& step) {
  const auto start = std::chrono::steady_clock::now();
  step();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + std::ssize(values) / 2);
  return values[values.size() / 2];
}

void set_rates(benchmark::State& state, std::int64_t bytes, std::int64_t entries) {
  state.SetBytesProcessed(state.iterations() * bytes);
  if (entries > 0)
    state.counters["entries"] =
        benchmark::Counter(static_cast<double>(state.iterations() * entries), benchmark::Counter::kIsRate);
}

// ---- text

/// The order of the entries of a Matrix Market file.
enum Order { by_cell, by_gene, shuffled };
constexpr std::array<const char*, 3> kOrderNames = {"by cell", "by gene", "shuffled"};

const Counts& matrix_market_counts() {
  static const Counts counts = make_counts(4000, 33000, 0.06);
  return counts;
}

std::string matrix_market_file(Order order) {
  return files().get("matrix" + std::to_string(order) + ".mtx", [order](const std::string& path) {
    const auto& [n_genes, rows] = matrix_market_counts();
    std::vector<std::array<std::int32_t, 3>> entries;
    for (std::int64_t cell = 0; cell < rows.n_rows(); ++cell)
      for (auto at = static_cast<std::size_t>(rows.indptr[static_cast<std::size_t>(cell)]);
           at < static_cast<std::size_t>(rows.indptr[static_cast<std::size_t>(cell) + 1]); ++at)
        entries.push_back(
            {rows.indices[at] + 1, static_cast<std::int32_t>(cell) + 1, static_cast<std::int32_t>(rows.values[at])});
    if (order == by_gene) std::ranges::sort(entries);
    if (order == shuffled) std::ranges::shuffle(entries, std::mt19937(1));
    std::string text = "%%MatrixMarket matrix coordinate integer general\n%\n" + std::to_string(n_genes) + " " +
                       std::to_string(rows.n_rows()) + " " + std::to_string(entries.size()) + "\n";
    for (const auto& [gene, cell, count] : entries)
      text += std::to_string(gene) + " " + std::to_string(cell) + " " + std::to_string(count) + "\n";
    std::ofstream(path, std::ios::binary) << text;
  });
}

void copy_bytes(const std::string& path) {
  const auto size = static_cast<std::size_t>(size_of(path));
  const auto bytes = std::make_unique_for_overwrite<char[]>(size);
  const auto stream = io::open_byte_stream(path);
  std::size_t done = 0;
  while (const std::size_t got = stream->read(bytes.get() + done, size - done)) done += got;
  benchmark::DoNotOptimize(bytes[size - 1]);
}

void copy_matrix_market(benchmark::State& state) {
  const std::string path = matrix_market_file(by_cell);
  for (auto _ : state) copy_bytes(path);
  set_rates(state, size_of(path), 0);
}

void read_matrix_market(benchmark::State& state) {
  const auto order = static_cast<Order>(state.range(0));
  const std::string path = matrix_market_file(order);
  std::vector<double> copies;
  std::vector<double> reads;
  std::int64_t entries = 0;
  for (auto _ : state) {
    copies.push_back(seconds_of([&] { copy_bytes(path); }));
    std::unique_ptr<io::MatrixReader> matrix;
    reads.push_back(seconds_of([&] { matrix = io::read_matrix_market(path); }));
    entries = matrix->info().n_stored;
    state.SetIterationTime(reads.back());
  }
  set_rates(state, size_of(path), entries);
  state.counters["to_copy"] = median(reads) / median(copies);
  state.SetLabel(kOrderNames[static_cast<std::size_t>(order)]);
}

std::string packed_matrix_market_file() {
  return files().get("matrix.mtx.gz",
                     [](const std::string& path) { write_gzip(path, read_text(matrix_market_file(by_cell))); });
}

void unpack_matrix_market(benchmark::State& state) {
  const std::string path = packed_matrix_market_file();
  std::int64_t bytes = 0;
  for (auto _ : state) bytes = unpacked_bytes(path);
  set_rates(state, bytes, 0);
}

void read_packed_matrix_market(benchmark::State& state) {
  const std::string path = packed_matrix_market_file();
  std::int64_t entries = 0;
  for (auto _ : state) entries = io::read_matrix_market(path)->info().n_stored;
  set_rates(state, size_of(matrix_market_file(by_cell)), entries);
}

/// A line a gene, as in most tables that people share.
void write_table(const std::string& path, const Counts& counts) {
  const io::CsrBlock& rows = counts.rows;
  std::vector<std::vector<float>> dense(static_cast<std::size_t>(counts.n_genes),
                                        std::vector<float>(static_cast<std::size_t>(rows.n_rows())));
  std::string text = "gene";
  for (std::size_t cell = 0; cell + 1 < rows.indptr.size(); ++cell) {
    text += ",cell" + std::to_string(cell);
    for (auto at = static_cast<std::size_t>(rows.indptr[cell]); at < static_cast<std::size_t>(rows.indptr[cell + 1]);
         ++at)
      dense[static_cast<std::size_t>(rows.indices[at])][cell] = rows.values[at];
  }
  text += '\n';
  for (std::size_t gene = 0; gene < dense.size(); ++gene) {
    text += "gene" + std::to_string(gene);
    for (const float value : dense[gene]) text += "," + std::to_string(static_cast<int>(value));
    text += '\n';
  }
  write_gzip(path, text);
}

void read_delimited(benchmark::State& state) {
  static const Counts counts = make_counts(500, 28000, 0.1);
  const std::string path = files().get("table.csv.gz", [](const std::string& made) { write_table(made, counts); });
  for (auto _ : state) benchmark::DoNotOptimize(io::read_delimited_counts(path).counts->info().n_stored);
  set_rates(state, unpacked_bytes(path), std::ssize(counts.rows.values));
}

// ---- HDF5

const Counts& hdf5_counts() {
  static const Counts counts = make_counts(5000, 4000, 0.1);
  return counts;
}

std::vector<std::string> names(const std::string& word, std::int64_t count) {
  std::vector<std::string> result;
  for (std::int64_t at = 0; at < count; ++at) result.push_back(word + std::to_string(at));
  return result;
}

/// Contents of an .h5ad or .loom file.
template <class Contents>
Contents contents_of(const Counts& counts) {
  Contents contents;
  contents.obs.index = names("cell", counts.rows.n_rows());
  contents.var.index = names("gene", counts.n_genes);
  contents.next_rows = [&counts, given = false](io::CsrBlock& block) mutable {
    if (given) return false;
    block = counts.rows;
    return given = true;
  };
  return contents;
}

void write_tenx_h5(const std::string& path, const Counts& counts) {
  const io::CsrBlock& rows = counts.rows;
  io::Hdf5File file = io::Hdf5File::create(path);
  file.write<std::int32_t>("matrix/data", {rows.values.begin(), rows.values.end()}, io::Hdf5Compression::gzip);
  file.write<std::int64_t>("matrix/indices", {rows.indices.begin(), rows.indices.end()}, io::Hdf5Compression::gzip);
  file.write<std::int64_t>("matrix/indptr", rows.indptr, io::Hdf5Compression::gzip);
  file.write<std::int32_t>("matrix/shape",
                           {static_cast<std::int32_t>(counts.n_genes), static_cast<std::int32_t>(rows.n_rows())});
  file.write_strings("matrix/barcodes", names("barcode", rows.n_rows()));
  file.write_strings("matrix/features/id", names("id", counts.n_genes));
  file.write_strings("matrix/features/name", names("gene", counts.n_genes));
  const auto n_genes = static_cast<std::size_t>(counts.n_genes);
  file.write_strings("matrix/features/feature_type", std::vector<std::string>(n_genes, "Gene Expression"));
  file.write_strings("matrix/features/genome", std::vector<std::string>(n_genes, "synthetic"));
  file.close();
}

/// Opens a file and reads all of its counts.
template <class Open>
void read_all(benchmark::State& state, const std::string& path, Open open) {
  for (auto _ : state) {
    std::int64_t entries = 0;
    open(path).counts->for_each_block([&](const io::CsrBlock& block) { entries += std::ssize(block.values); });
    if (entries != std::ssize(hdf5_counts().rows.values)) throw std::runtime_error("counts are missing from " + path);
  }
  set_rates(state, size_of(path), std::ssize(hdf5_counts().rows.values));
}

void read_h5ad(benchmark::State& state, const std::string& compression) {
  const std::string path = files().get("counts" + compression + ".h5ad", [&](const std::string& made) {
    io::write_h5ad(made, contents_of<io::H5adContents>(hdf5_counts()), scvi::Overwrite::refuse, compression);
  });
  read_all(state, path, [](const std::string& from) { return io::open_h5ad(from); });
}

void read_loom(benchmark::State& state) {
  const std::string path = files().get("counts.loom", [](const std::string& made) {
    io::write_loom(made, contents_of<io::LoomContents>(hdf5_counts()), scvi::Overwrite::refuse);
  });
  read_all(state, path, [](const std::string& from) { return io::open_loom(from); });
}

void read_tenx_h5(benchmark::State& state) {
  const std::string path =
      files().get("counts.h5", [](const std::string& made) { write_tenx_h5(made, hdf5_counts()); });
  read_all(state, path, [](const std::string& from) { return io::read_tenx_h5(from); });
}

BENCHMARK(copy_matrix_market)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(read_matrix_market)
    ->DenseRange(by_cell, shuffled)
    ->UseManualTime()
    ->Iterations(9)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(unpack_matrix_market)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(read_packed_matrix_market)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(read_delimited)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read_h5ad, plain, "")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read_h5ad, gzip, "gzip")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(read_loom)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(read_tenx_h5)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
