#pragma once

#include <string>
#include <vector>

#include "scvi/io/frame.hpp"

namespace scvi::io {

/// A column of the type that its texts show, as pandas would read them: see read_table.
Column infer_column(std::string name, std::vector<std::string> texts);

}  // namespace scvi::io
