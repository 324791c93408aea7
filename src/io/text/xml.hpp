#pragma once

// XML read as a stream, without anything that reaches out of the document or blows it up.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace scvi::io {

/// The attributes of one element; names are without their namespace.
class XmlAttributes {
 public:
  explicit XmlAttributes(const char* const* pairs) : pairs_(pairs) {}
  /// The value, or nullptr when there is none of that name.
  const char* find(std::string_view name) const;

 private:
  const char* const* pairs_;
};

/// Receives a document. Names are without their namespace; text comes in pieces.
class XmlHandler {
 public:
  virtual ~XmlHandler() = default;
  virtual void start(std::string_view name, const XmlAttributes& attributes) = 0;
  virtual void end(std::string_view name) = 0;
  virtual void text(std::string_view piece) = 0;
};

/// Reads the document that `read` yields: it fills a buffer and returns the number of bytes, 0 at the end.
/// @param file and place, for messages
/// @throws FormatError when it is not well formed, declares a document type (and so could declare entities), is
///         nested beyond reason or has a tag of more than a megabyte; and whatever read or the handler throw
void parse_xml(const std::function<std::size_t(char* into, std::size_t size)>& read, XmlHandler& handler,
               const std::string& file, const std::string& place);

}  // namespace scvi::io
