// Writes, copies and summarises .h5ad files for check_with_anndata.py.
//   interop_h5ad write FOLDER        new.h5ad, dense.h5ad, plain.h5ad, no_x.h5ad, old06.h5ad, old07.h5ad
//   interop_h5ad copy INPUT OUTPUT   a copy with the columns and arrays that the script expects
//   interop_h5ad summary FILE        what we read, one fact a line

#include <cstdio>
#include <cstring>

#include "../h5ad_fixture.hpp"
#include "../h5ad_legacy_fixture.hpp"

namespace {

using namespace scvi;
using namespace scvi::io;

std::vector<Column> sample_columns(std::size_t n) {
  Categorical levels{std::vector<std::int32_t>(n, 1), {"low", "high"}, true};
  levels.codes[0] = -1;
  std::vector<std::uint8_t> first_missing(n, 0);
  first_missing[0] = 1;
  return {
      {.name = "our_levels", .values = levels, .missing = {}},
      {.name = "our_text", .values = std::vector<std::string>(n, "t\xC3\xA9xt"), .missing = {}},
      {.name = "our_real", .values = std::vector<double>(n, 0.25), .missing = first_missing},
      {.name = "our_whole", .values = std::vector<std::int64_t>(n, -3), .missing = {}},
      {.name = "our_whole_missing", .values = std::vector<std::int64_t>(n, 5), .missing = first_missing},
      {.name = "our_truth", .values = Boolean{std::vector<std::uint8_t>(n, 1)}, .missing = {}},
      {.name = "our_truth_missing", .values = Boolean{std::vector<std::uint8_t>(n, 0)}, .missing = first_missing},
      {.name = "our_text_missing", .values = std::vector<std::string>(n, "x"), .missing = first_missing},
  };
}

UnsDict sample_uns() {
  return {{"our_dict",
           {UnsDict{{"text", {std::string("d\xC3\xA9j\xC3\xA0")}},
                    {"whole", {std::int64_t{400}}},
                    {"real", {0.5}},
                    {"texts", {std::vector<std::string>{"a", "b"}}},
                    {"no_texts", {std::vector<std::string>{}}},
                    {"reals", {std::vector<double>{1.5, 2.5}}},
                    {"deeper", {UnsDict{{"empty", {UnsDict{}}}}}}}}}};
}

void write_all(const std::string& folder) {
  for (const std::string name : {"new", "dense", "plain", "no_x"}) {
    H5adContents contents = scvi::testing::small_contents();
    contents.dense = name == "dense";
    if (name == "no_x") contents.next_rows = nullptr;
    for (Column& column : sample_columns(4)) contents.obs.columns.push_back(column);
    contents.varm = {{"our_loadings", {3, 2, {1, 2, 3, 4, 5, 6}}}};
    for (auto& entry : sample_uns()) contents.uns.push_back(entry);
    write_h5ad(folder + "/" + name + ".h5ad", contents, Overwrite::refuse,
               name == "new"     ? "gzip"
               : name == "dense" ? "lzf"
                                 : "");
  }
  scvi::testing::write_anndata_0_6(folder + "/old06.h5ad");
  scvi::testing::write_anndata_0_7(folder + "/old07.h5ad");
}

void copy(const std::string& input, const std::string& output) {
  const H5adFile file(input);
  const auto n_obs = static_cast<std::size_t>(file.n_obs());
  const auto n_vars = static_cast<std::size_t>(file.n_vars());
  H5adAdditions additions;
  additions.obs = sample_columns(n_obs);
  additions.var = {{.name = "our_gene_real", .values = std::vector<double>(n_vars, 1.5), .missing = {}}};
  std::vector<float> latent(2 * n_obs);
  for (std::size_t at = 0; at < latent.size(); ++at) latent[at] = static_cast<float>(at);
  additions.obsm = {{"our_latent", {file.n_obs(), 2, latent}}};
  additions.varm = {{"our_loadings", {file.n_vars(), 1, std::vector<float>(n_vars, 2)}}};
  additions.uns = sample_uns();
  copy_h5ad_with(input, output, additions, Overwrite::refuse);
}

void print_frame(const char* label, const Frame& frame) {
  std::printf("%s index", label);
  for (const std::string& name : frame.index) std::printf("\t%s", name.c_str());
  std::printf("\n");
  for (const Column& column : frame.columns) {
    std::printf("%s column %s", label, column.name.c_str());
    for (std::int64_t row = 0; row < column.size(); ++row) std::printf("\t%s", column.text(row).c_str());
    std::printf("\n");
  }
}

void summarize(const std::string& path) {
  const H5adFile file(path);
  print_frame("obs", file.obs());
  print_frame("var", file.var());
  std::vector<std::string> matrices = file.layers();
  if (file.has_x()) matrices.push_back("X");
  if (file.has_raw()) matrices.push_back("raw");
  for (const std::string& name : matrices) {
    double sum = 0;
    std::size_t count = 0;
    file.matrix(name)->for_each_block([&](const CsrBlock& block) {
      for (const float value : block.values) sum += value;
      count += block.values.size();
    });
    std::printf("matrix %s\t%.17g\t%zu\n", name.c_str(), sum, count);
  }
  for (const std::string& key : file.obsm_keys()) {
    try {
      const DenseArray array = file.obsm(key);
      double sum = 0;
      for (const double value : array.values) sum += value;
      std::printf("obsm %s\t%.17g\t%lld\n", key.c_str(), sum, static_cast<long long>(array.n_cols));
    } catch (const FormatError&) {
      std::printf("obsm %s\tnot numeric\n", key.c_str());
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "write" && argc == 3)
    write_all(argv[2]);
  else if (command == "copy" && argc == 4)
    copy(argv[2], argv[3]);
  else if (command == "summary" && argc == 3)
    summarize(argv[2]);
  else
    return 2;
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
