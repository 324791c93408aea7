#include "scvi/report/page.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <variant>

#include "page_assets.hpp"
#include "plain_text.hpp"
#include "scvi/core/version.hpp"
#include "scvi/report/save_figure.hpp"

namespace scvi::report {
namespace {

std::string shown(const std::string& text) {
  return escaped(cleaned(text));
}

std::string element(const std::string& name, const std::string& text) {
  return "<" + name + ">" + shown(text) + "</" + name + ">\n";
}

std::string with_digits(double value, int digits) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, digits).ptr;
  return {text, end};
}

struct Cell {
  std::string text;   ///< as it is shown
  std::string value;  ///< as it is sorted and saved; "": the text
};

/// Infinities keep their place when sorted; NaN has none.
Cell number_cell(double value) {
  if (std::isnan(value)) return {};
  if (std::isinf(value)) return {value > 0 ? "inf" : "-inf", value > 0 ? "Infinity" : "-Infinity"};
  const double size = std::abs(value);
  const std::string text = size >= 1e4 && size < 1e15 ? std::to_string(std::llround(value)) : with_digits(value, 4);
  return {text, with_digits(value, 9)};
}

bool is_number(const io::Column& column) {
  return std::holds_alternative<std::vector<double>>(column.values) ||
         std::holds_alternative<std::vector<std::int64_t>>(column.values);
}

Cell cell_of(const io::Column& column, std::int64_t row) {
  if (column.is_missing(row)) return {};
  const auto at = static_cast<std::size_t>(row);
  if (const auto* numbers = std::get_if<std::vector<double>>(&column.values)) return number_cell((*numbers)[at]);
  if (const auto* numbers = std::get_if<std::vector<std::int64_t>>(&column.values)) {
    const std::string text = std::to_string((*numbers)[at]);
    return {text, text};
  }
  return {column.text(row), ""};
}

std::string head_of(const std::string& name, const PageTable& table, bool number) {
  std::string head = number ? "<th scope=\"col\" class=\"number\"" : "<th scope=\"col\"";
  const auto help = table.help.find(name);
  if (help != table.help.end()) head += " title=\"" + shown(help->second) + "\"";
  return head + ">" + shown(name) + "</th>";
}

/// What readers handle a table with; of use with scripts alone.
std::string tools_of(const PageTable& table) {
  return "<div class=\"tools\"><input type=\"search\" placeholder=\"Search " + shown(table.row_word) +
         "\" aria-label=\"Search " + shown(table.caption) +
         "\"><span class=\"count\" role=\"status\"></span><button class=\"more\" hidden></button>"
         "<button class=\"save\">Save as .tsv</button></div>\n";
}

}  // namespace

Page::Page(std::string title, std::string subtitle) : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

void Page::section(const std::string& title) {
  sections_.push_back(title);
  body_ += "<h2 id=\"section-" + std::to_string(sections_.size()) + "\">" + shown(title) + "</h2>\n";
}

void Page::paragraph(const std::string& text) {
  body_ += element("p", text);
}

void Page::warning(const std::string& text) {
  body_ += "<p class=\"warning\">" + shown(text) + "</p>\n";
}

void Page::facts(const std::vector<std::pair<std::string, std::string>>& facts) {
  body_ += "<dl>\n";
  for (const auto& [name, value] : facts) body_ += element("dt", name) + element("dd", value);
  body_ += "</dl>\n";
}

void Page::code(const std::string& text) {
  body_ += "<pre>";
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    body_ += shown(text.substr(begin, end - begin)) + "\n";
    begin = end + 1;
  }
  body_ += "</pre>\n";
}

void Page::figure(const Canvas& canvas, const std::string& caption) {
  body_ += "<figure>\n<div class=\"drawing\">\n" + svg_of(canvas) + "</div>\n" + element("figcaption", caption) +
           "</figure>\n";
}

void Page::table(const PageTable& table) {
  body_ += "<figure class=\"sortable\" id=\"" + shown(table.id) + "\" data-word=\"" + shown(table.row_word) +
           "\">\n" + element("figcaption", table.caption) + tools_of(table) +
           "<div class=\"scroll\"><table>\n<thead><tr>" + head_of(table.rows.index_name, table, false);
  for (const io::Column& column : table.rows.columns) body_ += head_of(column.name, table, is_number(column));
  body_ += "</tr></thead>\n<tbody>\n";
  for (std::int64_t row = 0; row < table.rows.n_rows(); ++row) {
    body_ += "<tr><td>" + shown(table.rows.index[static_cast<std::size_t>(row)]) + "</td>";
    for (const io::Column& column : table.rows.columns) {
      const Cell cell = cell_of(column, row);
      body_ += is_number(column) ? "<td class=\"number\"" : "<td";
      if (!cell.value.empty()) body_ += " data-value=\"" + cell.value + "\"";
      body_ += ">" + shown(cell.text) + "</td>";
    }
    body_ += "</tr>\n";
  }
  body_ += "</tbody>\n</table></div>\n</figure>\n";
}

std::string Page::html() const {
  std::string contents;
  for (std::size_t i = 0; i < sections_.size(); ++i) {
    contents += "<a href=\"#section-" + std::to_string(i + 1) + "\">" + shown(sections_[i]) + "</a>\n";
  }
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n" +
         element("title", title_) + "<style>" + kPageStyle + "</style>\n</head>\n<body>\n<header>\n" +
         element("h1", title_) + (subtitle_.empty() ? "" : element("p", subtitle_)) + "</header>\n<nav>\n" +
         contents + "</nav>\n<main>\n" + body_ + "<footer>Made by scvi-cpp " + version() +
         ".</footer>\n</main>\n<script>" + kPageScript + "</script>\n</body>\n</html>\n";
}

void Page::save(const std::string& path, Overwrite overwrite) const {
  const std::string text = html();
  AtomicFile file(path, overwrite);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace scvi::report
