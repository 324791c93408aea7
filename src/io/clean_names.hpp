#pragma once

#include <string>
#include <vector>

#include "scvi/io/byte_stream.hpp"

namespace scvi::io {

/// Makes names valid UTF-8, with one warning for all that are not. @param what "names of genes"
void clean_names(std::vector<std::string>& names, const ByteStream& stream, const std::string& what);

/// @throws FormatError when two are the same. @param what "gene"
void refuse_duplicates(const std::vector<std::string>& names, const ByteStream& stream, const std::string& what);

}  // namespace scvi::io
