#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "scvi/core/atomic_file.hpp"
#include "scvi/io/frame.hpp"
#include "scvi/report/canvas.hpp"

namespace scvi::report {

/// A table that readers sort by a click on a column's head, search, and save as tab-separated text.
struct PageTable {
  std::string id;  ///< letters, digits and '-', of its own on a page: what the page's address calls it
  std::string caption;
  io::Frame rows;  ///< the index is the first column
  /// What columns mean, by name, shown when the mouse rests on their heads.
  std::map<std::string, std::string> help = {};
  std::string row_word = "rows";  ///< what a row is: "genes"
};

/// A page of sections with texts, figures and tables, in the order in which they are added. It becomes one .html file
/// that holds everything it shows and asks no network for anything; without scripts its tables are still there whole.
/// All texts are plain: what looks like markup in them is shown as it is.
///
/// The address says how tables are shown, so that it can be kept and passed on: after '#', joined by '&',
/// ID.sort=3 (by the third column, -3: falling), ID.find=WORDS, ID.all=1 (more than the first 100 rows).
class Page {
 public:
  explicit Page(std::string title, std::string subtitle = "");

  /// Starts a section, which the contents name.
  void section(const std::string& title);
  void paragraph(const std::string& text);
  /// A note that should not be overlooked.
  void warning(const std::string& text);
  /// Names and what they are.
  void facts(const std::vector<std::pair<std::string, std::string>>& facts);
  /// Preformatted text: a command.
  void code(const std::string& text);
  void figure(const Canvas& canvas, const std::string& caption);
  /// Numbers are shown with four digits, large ones as whole numbers; sorted and saved they have nine digits.
  void table(const PageTable& table);

  /// The whole document.
  std::string html() const;
  /// @throws InputError when the file exists and must not be replaced; IoError. It appears whole or not at all.
  void save(const std::string& path, Overwrite overwrite) const;

 private:
  std::string title_;
  std::string subtitle_;
  std::vector<std::string> sections_;
  std::string body_;
};

}  // namespace scvi::report
