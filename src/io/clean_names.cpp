#include "clean_names.hpp"

#include <string_view>
#include <unordered_set>

#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "shown_text.hpp"
#include "utf8.hpp"

namespace scvi::io {

void clean_names(std::vector<std::string>& names, const ByteStream& stream, const std::string& what) {
  std::int64_t n_replaced = 0;
  for (std::string& name : names) {
    if (is_valid_utf8(name)) continue;
    name = valid_utf8(name);
    ++n_replaced;
  }
  if (n_replaced == 0) return;
  log_warning(stream.file() + ": " + stream.place(what) + ": " + std::to_string(n_replaced) +
              (n_replaced == 1 ? " text is" : " texts are") +
              " not valid UTF-8; the bad bytes are shown as \xEF\xBF\xBD");
}

void refuse_duplicates(const std::vector<std::string>& names, const ByteStream& stream, const std::string& what) {
  std::unordered_set<std::string_view> seen;
  seen.reserve(names.size());
  for (const std::string& name : names)
    if (!seen.insert(name).second)
      stream.fail("", "has the " + what + " " + shown_text(name) + " twice",
                  "rename one of them, or allow duplicate names");
}

}  // namespace scvi::io
