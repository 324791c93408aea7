#include "xml.hpp"

#include <expat.h>

#include <exception>
#include <memory>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"

namespace scvi::io {
namespace {

constexpr char kSeparator = '\n';
constexpr int kDeepest = 64;
constexpr std::size_t kPiece = 1 << 16;
/// A token is kept in memory until it is complete, and looked at anew with every piece.
constexpr std::size_t kLongestToken = 1 << 20;

std::string_view local_name(const char* name) {
  const std::string_view whole(name);
  const std::size_t separator = whole.rfind(kSeparator);
  return separator == std::string_view::npos ? whole : whole.substr(separator + 1);
}

/// Hands what Expat finds to the handler; exceptions wait until Expat has returned.
class Reader {
 public:
  Reader(XmlHandler& handler, const std::string& file, const std::string& place)
      : handler_(handler), file_(file), place_(place), parser_(XML_ParserCreateNS(nullptr, kSeparator)) {
    if (!parser_) throw std::bad_alloc();
    XML_SetUserData(parser_.get(), this);
    XML_SetElementHandler(parser_.get(), on_start, on_end);
    XML_SetCharacterDataHandler(parser_.get(), on_text);
    XML_SetStartDoctypeDeclHandler(parser_.get(), on_doctype);
  }

  void run(const std::function<std::size_t(char*, std::size_t)>& read) {
    std::size_t fed = 0;
    for (bool last = false; !last;) {
      throw_if_interrupted();
      void* const buffer = XML_GetBuffer(parser_.get(), static_cast<int>(kPiece));
      if (buffer == nullptr) throw std::bad_alloc();
      const std::size_t got = read(static_cast<char*>(buffer), kPiece);
      last = got == 0;
      fed += got;
      const XML_Status status = XML_ParseBuffer(parser_.get(), static_cast<int>(got), last);
      if (failure_) std::rethrow_exception(failure_);
      if (status != XML_STATUS_OK) fail_for_syntax();
      const XML_Index reached = XML_GetCurrentByteIndex(parser_.get());
      if (!last && reached >= 0 && fed > static_cast<std::size_t>(reached) + kLongestToken)
        fail("has a tag or comment of more than a megabyte");
    }
  }

 private:
  struct Free {
    void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
  };

  XmlHandler& handler_;
  const std::string& file_;
  const std::string& place_;
  std::unique_ptr<XML_ParserStruct, Free> parser_;
  std::exception_ptr failure_;
  int depth_ = 0;

  [[noreturn]] void fail(std::string problem) const {
    throw FormatError({.problem = std::move(problem),
                       .file = file_,
                       .field = place_ + ", line " + std::to_string(XML_GetCurrentLineNumber(parser_.get())) + ","});
  }

  [[noreturn]] void fail_for_syntax() const {
    fail(std::string("is damaged XML (") + XML_ErrorString(XML_GetErrorCode(parser_.get())) + ")");
  }

  template <class Action>
  static void guarded(void* self, Action action) {
    auto* const reader = static_cast<Reader*>(self);
    if (reader->failure_) return;
    try {
      action(*reader);
    } catch (...) {
      reader->failure_ = std::current_exception();
      XML_StopParser(reader->parser_.get(), XML_FALSE);
    }
  }

  static void on_start(void* self, const char* name, const char** attributes) {
    guarded(self, [&](Reader& reader) {
      if (++reader.depth_ > kDeepest) reader.fail("is nested more than " + std::to_string(kDeepest) + " levels deep");
      reader.handler_.start(local_name(name), XmlAttributes(attributes));
    });
  }

  static void on_end(void* self, const char* name) {
    guarded(self, [&](Reader& reader) {
      --reader.depth_;
      reader.handler_.end(local_name(name));
    });
  }

  static void on_text(void* self, const char* text, int size) {
    guarded(self, [&](Reader& reader) { reader.handler_.text({text, static_cast<std::size_t>(size)}); });
  }

  static void on_doctype(void* self, const char*, const char*, const char*, int) {
    guarded(self, [](Reader& reader) { reader.fail("declares a document type, which no file of this kind needs"); });
  }
};

}  // namespace

const char* XmlAttributes::find(std::string_view name) const {
  for (const char* const* pair = pairs_; *pair != nullptr; pair += 2)
    if (local_name(pair[0]) == name) return pair[1];
  return nullptr;
}

void parse_xml(const std::function<std::size_t(char*, std::size_t)>& read, XmlHandler& handler,
               const std::string& file, const std::string& place) {
  Reader(handler, file, place).run(read);
}

}  // namespace scvi::io
