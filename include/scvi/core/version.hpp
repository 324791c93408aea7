#pragma once

namespace scvi {

/// "0.1.0"
const char* version();

}  // namespace scvi
