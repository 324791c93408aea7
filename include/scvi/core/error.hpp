#pragma once

#include <stdexcept>
#include <string>

namespace scvi {

/// What went wrong, where, and what to do. Every part but `problem` may be empty.
struct Fault {
  std::string problem{};  ///< what is wrong, with the value at fault: "is -3, but counts cannot be negative"
  std::string file{};     ///< the file concerned
  std::string field{};    ///< where in it: "X, cell 'AAAC-1', gene 'CD3E'", or the name of an option
  std::string remedy{};   ///< what to do: "give the raw counts with --layer"
};

/// One line: "file: field problem; remedy", empty parts left out.
std::string describe(const Fault& fault);

/// Base of everything this library throws on purpose.
class Error : public std::runtime_error {
 public:
  explicit Error(Fault fault) : std::runtime_error(describe(fault)), fault_(std::move(fault)) {}
  const Fault& fault() const { return fault_; }

 private:
  Fault fault_;
};

/// The user's data or arguments are not usable.
class InputError : public Error {
 public:
  using Error::Error;
};

/// A file is not what it claims to be: damaged, truncated, or of another kind.
class FormatError : public Error {
 public:
  using Error::Error;
};

/// The operating system refused: missing file, no permission, full disk.
class IoError : public Error {
 public:
  using Error::Error;
};

/// Arithmetic left the finite numbers.
class NumericError : public Error {
 public:
  using Error::Error;
};

/// The user asked to stop (Ctrl-C); unwinds so that nothing partial stays behind.
class Interrupted : public Error {
 public:
  using Error::Error;
};

}  // namespace scvi
