#include "scvi/core/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace scvi {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({last[j] + 1, current[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        current[j] = std::min(current[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, current);
  }
  return last[b.size()];
}

std::string joined(std::span<const std::string> items, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < std::min(items.size(), most); ++i) out += (i ? ", " : "") + items[i];
  return out;
}

/// Length of the well-formed UTF-8 sequence at the start of `text`, 0 when there is none.
std::size_t utf8_sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  // The second byte tells overlong forms (E0, F0), surrogates (ED) and values past U+10FFFF (F4) apart.
  const unsigned char second = byte(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F)) return 0;
  if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return 0;
  return length;
}

}  // namespace

std::string nearest_match(std::string_view word, std::span<const std::string> candidates) {
  const std::string wanted = lower(word);
  const std::string* best = nullptr;
  std::size_t best_distance = 0;
  for (const std::string& candidate : candidates) {
    const std::size_t longest = std::max(wanted.size(), candidate.size());
    const std::size_t shortest = std::min(wanted.size(), candidate.size());
    if (3 * (longest - shortest) > longest) continue;
    const std::size_t distance = edit_distance(wanted, lower(candidate));
    const bool meant = 3 * distance <= longest;
    if (meant && (!best || distance < best_distance)) {
      best = &candidate;
      best_distance = distance;
    }
  }
  return best ? *best : std::string();
}

std::string suggest(std::string_view word, std::span<const std::string> candidates, std::size_t most) {
  if (candidates.empty()) return "there are none";
  const std::string nearest = nearest_match(word, candidates);
  if (!nearest.empty()) return "did you mean '" + nearest + "'?";
  return "there are: " + joined(candidates, most) + (candidates.size() > most ? ", ..." : "");
}

std::string join_some(std::span<const std::string> items, std::size_t most) {
  const std::string shown = joined(items, most);
  if (items.size() <= most) return shown;
  return shown + (shown.empty() ? "" : " and ") + std::to_string(items.size() - std::min(items.size(), most)) +
         " more";
}

std::string with_thousands(long long value) {
  std::string digits = std::to_string(value);
  const std::size_t first = value < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

std::string format_bytes(double bytes) {
  constexpr std::array<const char*, 6> kUnits = {"kB", "MB", "GB", "TB", "PB", "EB"};
  char text[64];
  if (std::fabs(bytes) < 999.5) {
    std::snprintf(text, sizeof text, "%.0f B", bytes);
    return text;
  }
  std::size_t unit = 0;
  double value = bytes / 1000;
  for (; std::fabs(value) >= 999.95 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  std::snprintf(text, sizeof text, "%.1f %s", value, kUnits[unit]);
  return text;
}

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace scvi
