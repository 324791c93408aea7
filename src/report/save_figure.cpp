#include "scvi/report/save_figure.hpp"

#include <filesystem>

#include "scvi/core/error.hpp"

namespace scvi::report {

FigureFormat figure_format_of(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension().string();
  if (ending == ".svg") return FigureFormat::svg;
  if (ending == ".png") return FigureFormat::png;
  throw InputError({.problem = "cannot be written in a format that its name ends with",
                    .file = path,
                    .remedy = "end the name with .svg or .png"});
}

void save_figure(const std::string& path, const Canvas& canvas, Overwrite overwrite, double dpi) {
  const FigureFormat format = figure_format_of(path);
  AtomicFile file(path, overwrite);
  const std::string bytes = format == FigureFormat::svg ? svg_of(canvas, dpi) : png_of(canvas, dpi);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}  // namespace scvi::report
