#include "scvi/dataset/catalogue.hpp"

#include <algorithm>
#include <filesystem>

#include "builtin/definition.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/download.hpp"

namespace scvi {
namespace {

namespace fs = std::filesystem;

/// Names are the same when nothing but case, '_', '-' and spaces tells them apart.
std::string plain(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '_' || c == '-' || c == ' ') continue;
    out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return out;
}

bool is_called(const CatalogueEntry& entry, const std::string& plain_name) {
  return plain(entry.name) == plain_name ||
         std::any_of(entry.aliases.begin(), entry.aliases.end(),
                     [&](const std::string& alias) { return plain(alias) == plain_name; });
}

/// A file counts as there when it is, and an archive also when it lies there unpacked.
bool is_there(const fs::path& path) {
  constexpr std::string_view kTar = ".tar.gz";
  const std::string text = path.string();
  return fs::exists(path) || (text.ends_with(kTar) && fs::is_directory(text.substr(0, text.size() - kTar.size())));
}

const builtin::Definition& definition_of(const CatalogueEntry& entry) {
  return builtin::definitions()[static_cast<std::size_t>(&entry - catalogue().data())];
}

void fetch_published(const CatalogueFile& file, const std::string& path, Progress* progress) {
  io::download(
      file.url, path,
      {.expected_size = file.bytes > 0 ? file.bytes : -1, .expected_sha256 = file.sha256, .progress = progress});
}

void fetch_from_mirror(const CatalogueFile& file, const std::string& path, const std::string& mirror,
                       Progress* progress) {
  const fs::path place = file.mirror_name.empty() ? file.name : file.mirror_name;
  const std::string folder = place.parent_path().string();
  io::download(file.url, path,
               {.mirror = folder.empty() ? mirror : mirror + (mirror.ends_with('/') ? "" : "/") + folder,
                .progress = progress});
  const auto bytes = static_cast<std::int64_t>(fs::file_size(path));
  if (file.bytes > 0 && bytes != file.bytes) {
    log_warning(path + " has " + with_thousands(bytes) + " bytes, but the published file " +
                with_thousands(file.bytes) + ": the mirror holds another version");
  }
}

}  // namespace

const std::vector<CatalogueEntry>& catalogue() {
  static const std::vector<CatalogueEntry> entries = [] {
    std::vector<CatalogueEntry> out;
    for (const builtin::Definition& definition : builtin::definitions()) out.push_back(definition.entry);
    return out;
  }();
  return entries;
}

const CatalogueEntry& find_in_catalogue(std::string_view name) {
  const std::string wanted = plain(name);
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : catalogue()) {
    if (is_called(entry, wanted)) return entry;
    names.push_back(entry.name);
    names.insert(names.end(), entry.aliases.begin(), entry.aliases.end());
  }
  const std::string nearest = nearest_match(name, names);
  throw InputError(
      {.problem = "there is no built-in data set '" + std::string(name) + "'",
       .remedy = nearest.empty() ? "list them with 'scvi datasets'" : "did you mean '" + nearest + "'?"});
}

BuiltinDataset::BuiltinDataset(std::string_view name, std::string save_path)
    : entry_(&find_in_catalogue(name)), save_path_(std::move(save_path)) {
  if (save_path_.empty()) save_path_ = entry_->save_path;
  for (const CatalogueOption& option : entry_->options) options_[option.name] = option.default_value;
}

BuiltinDataset& BuiltinDataset::set(std::string_view option, std::string value) {
  const std::string name(option);
  if (!options_.contains(name)) {
    std::vector<std::string> names;
    for (const CatalogueOption& known : entry_->options) names.push_back(known.name);
    throw InputError({.problem = "data set '" + entry_->name + "' has no option '" + name + "'",
                      .remedy = suggest(option, names)});
  }
  std::map<std::string, std::string> changed = options_;
  changed[name] = std::move(value);
  definition_of(*entry_).prepare(builtin::OptionValues(*entry_, changed));
  options_ = std::move(changed);
  return *this;
}

std::vector<CatalogueFile> BuiltinDataset::files() const {
  const builtin::Definition& definition = definition_of(*entry_);
  return definition.files ? definition.files(builtin::OptionValues(*entry_, options_)) : entry_->files;
}

std::vector<CatalogueFile> BuiltinDataset::missing_files() const {
  std::vector<CatalogueFile> missing = files();
  std::erase_if(missing, [&](const CatalogueFile& file) { return is_there(fs::path(save_path_) / file.name); });
  return missing;
}

void BuiltinDataset::download(Progress* progress) const {
  const std::string mirror = io::datasets_mirror();
  for (const CatalogueFile& file : missing_files()) {
    const std::string path = (fs::path(save_path_) / file.name).string();
    if (mirror.empty()) {
      fetch_published(file, path, progress);
    } else {
      fetch_from_mirror(file, path, mirror, progress);
    }
  }
}

GeneExpressionDataset BuiltinDataset::load(Progress* progress) const {
  const builtin::Load load = definition_of(*entry_).prepare(builtin::OptionValues(*entry_, options_));
  download(progress);
  return load(save_path_);
}

}  // namespace scvi
