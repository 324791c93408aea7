// `scvi plot`: figures of what the other commands write.

#include <limits>

#include "files.hpp"

namespace scvi::testing {
namespace {

/// Width and height that a .png states.
std::pair<int, int> png_size(const std::string& path) {
  const std::string bytes = bytes_of(path);
  EXPECT_EQ(bytes.substr(0, 8), "\x89PNG\r\n\x1a\n") << path;
  const auto number = [&](std::size_t at) {
    int value = 0;
    for (std::size_t i = at; i < at + 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes.at(i));
    return value;
  };
  return {number(16), number(20)};
}

bool is_svg(const std::string& text) {
  return text.starts_with("<svg ") && text.ends_with("</svg>\n");
}

/// Cells with a map in obsm/X_umap, and clusters in obs.
class Plot : public ::testing::Test {
 protected:
  Plot() {
    SmallData data = small_data(90, 14);
    std::vector<std::string> types, many;
    for (int i = 0; i < 90; ++i) {
      types.push_back(i % 4 < 2 ? "T & <B> cell" : "other");
      many.push_back("n" + std::to_string(i));
    }
    data.add_column("type", types);
    data.add_column("many", many);
    write(data, folder_.path("a.h5ad"));
    write_map(std::vector<float>(180, 1));
  }

  void write_map(std::vector<float> values) const {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += static_cast<float>(i % 7) + (i % 4 < 2 ? 30 : 0);
    io::H5adAdditions additions;
    additions.obsm.emplace_back("X_umap", io::FloatArray{.n_rows = 90, .n_cols = 2, .values = std::move(values)});
    io::copy_h5ad_with(folder_.path("a.h5ad"), folder_.path("a.h5ad"), additions, Overwrite::replace);
  }

  std::string text_of(const std::string& name) const { return bytes_of(folder_.path(name)); }

  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_F(Plot, DrawsWhatTheOtherCommandsWrite) {
  run_ok({"train", "a.h5ad", "-o", "run", "--epochs", "4", "--metrics", "elbo", "--frequency", "1", "--save-best",
          "elbo", "--no-progress"},
         in_);
  run_ok({"de", "run", "a.h5ad", "--groupby", "type", "--n-samples", "200", "-o", "de.tsv", "--no-progress"}, in_);

  const auto outcome = run_ok({"plot", "curves", "run", "-o", "curves.svg"}, in_);
  EXPECT_TRUE(holds(outcome.err, "wrote curves.svg: 1 panel")) << outcome.err;
  const std::string curves = text_of("curves.svg");
  EXPECT_TRUE(is_svg(curves));
  for (const char* text :
       {"Negative ELBO per cell", "training cells", "test cells", "best: epoch ", "epoch</text>"}) {
    EXPECT_TRUE(holds(curves, text)) << text;
  }

  run_ok({"plot", "volcano", "de.tsv", "-o", "volcano.svg"}, in_);
  EXPECT_TRUE(holds(text_of("volcano.svg"), "T &amp; &lt;B&gt; cell against others"));
  run_ok({"plot", "volcano", "de.tsv", "--group", "other", "--group2", "the rest", "-o", "one.svg"}, in_);
  EXPECT_TRUE(holds(text_of("one.svg"), "other against the rest"));
  EXPECT_FALSE(holds(text_of("one.svg"), "T &amp;"));

  const auto heat =
      run_ok({"plot", "heatmap", "a.h5ad", "--groupby", "type", "--de", "de.tsv", "--top", "3", "-o", "h.svg"}, in_);
  EXPECT_TRUE(holds(heat.err, "wrote h.svg: 2 groups x 6 genes")) << heat.err;
  EXPECT_TRUE(is_svg(text_of("h.svg")));
}

TEST_F(Plot, ShowsCellsByColumnsAndGenes) {
  const auto outcome = run_ok({"plot", "map", "a.h5ad", "--color", "type", "--color", "gene3", "-o", "map.svg"}, in_);
  EXPECT_TRUE(holds(outcome.err, "wrote map.svg: 90 cells in 2 panels")) << outcome.err;
  const std::string map = text_of("map.svg");
  for (const char* text : {"T &amp; &lt;B&gt; cell", "gene3", "UMAP 1", "log(1 + counts"})
    EXPECT_TRUE(holds(map, text));
  run_ok({"plot", "map", "--color", "type", "a.h5ad", "-o", "map.png", "--dpi", "96"}, in_);
  const auto [width, height] = png_size(folder_.path("map.png"));
  run_ok({"plot", "map", "--color", "type", "a.h5ad", "-o", "map.png", "--dpi", "192", "--force"}, in_);
  EXPECT_EQ(png_size(folder_.path("map.png")), std::make_pair(2 * width, 2 * height));
  run_ok({"plot", "map", "a.h5ad", "--color", "gene3", "--no-log", "-o", "linear.svg"}, in_);
  EXPECT_FALSE(holds(text_of("linear.svg"), "log("));
  EXPECT_TRUE(holds(text_of("linear.svg"), "per 10,000"));
  const auto several = run_ok({"plot", "map", "a.h5ad", "--color", "X_umap:2", "--color", "type", "--axes", "1,2",
                               "--axes", "2,1", "-o", "axes.svg"},
                              in_);
  EXPECT_TRUE(holds(several.err, "wrote axes.svg: 90 cells in 4 panels")) << several.err;
}

TEST_F(Plot, DrawsTablesOfGenes) {
  write_bytes(folder_.path("loadings.tsv"), "gene\tZ_0\ng1\t0.5\ng2\t-1\ng3\t0.25\n");
  const auto loadings = run_ok({"plot", "loadings", "loadings.tsv", "--top", "1", "-o", "l.svg"}, in_);
  EXPECT_TRUE(holds(loadings.err, "wrote l.svg: 1 panel")) << loadings.err;
  EXPECT_TRUE(holds(text_of("l.svg"), "g1: 0.5"));
  EXPECT_FALSE(holds(text_of("l.svg"), "g3"));
  write_bytes(folder_.path("zi.tsv"),
              "gene\tzero_inflation_probability\tis_zero_inflated\tmean_count\ng1\t0.9\tTrue\t4\n");
  const auto inflation = run_ok({"plot", "zero-inflation", "zi.tsv", "-o", "z.svg"}, in_);
  EXPECT_TRUE(holds(inflation.err, "wrote z.svg: 1 gene in 1 group")) << inflation.err;
  EXPECT_TRUE(holds(text_of("z.svg"), "1 of 1 (100.0 %) called"));
}

TEST_F(Plot, ShowsGenesInGroups) {
  const std::vector<std::string> genes = {"--groupby", "type", "--genes", "gene0,gene1,gene13"};
  for (const std::string kind : {"heatmap", "dotplot"}) {
    std::vector<std::string> words = {"plot", kind, "a.h5ad", "-o", kind + ".svg"};
    words.insert(words.end(), genes.begin(), genes.end());
    run_ok(words, in_);
    for (const char* text : {"gene0", "gene13", "T &amp; &lt;B&gt; cell", "other"}) {
      EXPECT_TRUE(holds(text_of(kind + ".svg"), text)) << text;
    }
  }
  EXPECT_TRUE(holds(text_of("heatmap.svg"), "z-score of mean"));
  EXPECT_TRUE(holds(text_of("dotplot.svg"), "cells with the gene"));
  write_bytes(folder_.path("genes.txt"), "gene5\ngene6\n");
  run_ok({"plot", "dotplot", "a.h5ad", "--groupby", "type", "--genes", "genes.txt", "-o", "list.svg"}, in_);
  EXPECT_TRUE(holds(text_of("list.svg"), "gene6"));
}

TEST_F(Plot, IsTheSameEachTimeForAnyNumberOfThreads) {
  for (const std::string ending : {".svg", ".png"}) {
    for (const std::string threads : {"1", "3"}) {
      run_ok({"plot", "map", "a.h5ad", "--color", "type", "--labels", "--threads", threads, "-o", threads + ending},
             in_);
    }
    EXPECT_EQ(text_of("1" + ending), text_of("3" + ending));
  }
}

TEST_F(Plot, SaysInOneLineWhatItCannotDo) {
  write_bytes(folder_.path("there.svg"), "mine");
  write_bytes(folder_.path("words.tsv"), "a\tb\n1\t2\n");
  const Untouched untouched(folder_.path());
  const auto expect = [&](std::vector<std::string> words, const std::vector<std::string>& parts) {
    words.insert(words.begin(), "plot");
    words.insert(words.end(), {"-o", "out.svg"});
    expect_only_error(run(words, in_), parts);
  };
  expect_only_error(run({"plot"}, in_), {"KIND", "required"});
  expect({"mpa", "a.h5ad"}, {"no figure 'mpa'", "did you mean 'map'?"});
  expect({"map", "no.h5ad"}, {"no.h5ad"});
  expect({"map", "a.h5ad", "--color", "tpye"}, {"a.h5ad", "'tpye'", "did you mean 'type'?"});
  expect({"map", "a.h5ad", "--color", "gene99"}, {"a.h5ad", "no gene 'gene99'", "did you mean"});
  expect({"map", "a.h5ad", "--color", "many"}, {"'many'", "90 categories", "at most 60"});
  expect({"map", "a.h5ad", "--basis", "X_tsne"}, {"X_tsne", "X_umap"});
  expect({"map", "a.h5ad", "--axes", "1,3"}, {"X_umap", "2 columns", "number 3"});
  expect({"map", "a.h5ad", "--axes", "1"}, {"--axes", "two numbers"});
  expect({"map", "a.h5ad", "--axes", "1,x"}, {"--axes", "'x'"});
  expect({"map", "a.h5ad", "--no-log", "--as-stored"}, {"--no-log", "--as-stored"});
  expect({"map", "a.h5ad", "--dpi", "0"}, {"--dpi", "0"});
  expect({"map", "a.h5ad", "--colour", "type"}, {"did you mean '--color'?"});
  expect({"curves", "a.h5ad"}, {"a.h5ad"});
  expect({"curves", "."}, {"history.tsv"});
  expect({"volcano", "words.tsv"}, {"words.tsv", "scvi de"});
  expect({"zero-inflation", "words.tsv"}, {"words.tsv", "scvi zero-inflation"});
  expect({"loadings", "words.tsv", "--top", "0"}, {"--top", "0"});
  expect({"map", "a.h5ad", "--color", "X_umap:3"}, {"X_umap", "2 columns", "number 3"});
  expect({"heatmap", "a.h5ad", "--groupby", "tpye", "--genes", "gene1"}, {"'tpye'", "did you mean 'type'?"});
  expect({"heatmap", "a.h5ad", "--groupby", "type"}, {"--genes"});
  expect({"dotplot", "a.h5ad", "--groupby", "type", "--genes", ","}, {"genes"});
  expect({"dotplot", "a.h5ad", "--groupby", "type", "--genes", "gene1", "--de", "x.tsv"}, {"--genes", "--de"});
  expect({"dotplot", "a.h5ad", "--groupby", "type", "--genes", "gene1", "--top", "3"}, {"--top", "--de"});
  expect({"heatmap", "a.h5ad", "--groupby", "type", "--genes", "gene1", "--layer", "norm"}, {"norm"});
  expect_only_error(run({"plot", "map", "a.h5ad", "-o", "out.pdf"}, in_), {"out.pdf", ".svg or .png"});
  expect_only_error(run({"plot", "map", "a.h5ad", "-o", "there.svg"}, in_), {"there.svg", "--force"});
  EXPECT_EQ(text_of("there.svg"), "mine");
}

TEST_F(Plot, NamesTheCellWithoutAPlace) {
  std::vector<float> values(180, 1);
  values[2 * 5] = std::numeric_limits<float>::infinity();
  write_map(values);
  expect_only_error(run({"plot", "map", "a.h5ad", "-o", "out.svg"}, in_),
                    {"a.h5ad", "obsm/X_umap", "'cell5'", "inf"});
}

TEST(PlotOfRealData, ShowsTissueAndClusters) {
  SCVI_REQUIRE_TEST_DATA();
  const TemporaryDirectory folder;
  const RunOptions in{.folder = folder.path()};
  run_ok({"convert", test_data_dir() + "/starmap/mpfc-starmap.loom", "cells.h5ad"}, in);
  run_ok({"cluster", "cells.h5ad", "--rep", "Spatial_coordinates", "--umap-epochs", "20", "-o", "map.h5ad"}, in);
  const auto outcome = run_ok({"plot", "map", "map.h5ad", "--basis", "Spatial_coordinates", "--color", "Clusters",
                               "--color", "BatchID", "--color", "slc17a7", "--clip", "99", "-o", "tissue.svg"},
                              in);
  EXPECT_TRUE(holds(outcome.err, "3,704 cells in 3 panels")) << outcome.err;
  const std::string tissue = bytes_of(folder.path("tissue.svg"));
  EXPECT_TRUE(is_svg(tissue));
  for (const char* text : {">Astro<", ">240<", ">L5-1<", ">slc17a7<"}) EXPECT_TRUE(holds(tissue, text)) << text;
  run_ok({"plot", "map", "map.h5ad", "--color", "leiden", "--labels", "-o", "leiden.png"}, in);
  run_ok(
      {"plot", "dotplot", "map.h5ad", "--groupby", "Clusters", "--genes", "slc17a7,gad1,mgp,pvalb", "-o", "dots.svg"},
      in);
  EXPECT_TRUE(holds(bytes_of(folder.path("dots.svg")), "Oligo"));
}

}  // namespace
}  // namespace scvi::testing
