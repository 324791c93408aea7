#pragma once

#include <string>
#include <vector>

#include "torch_records.hpp"

namespace scvi::io::torch_detail {

/// The tensors that the description of an archive names, nested names joined by '/', each checked against its record.
/// Nothing is executed. @throws FormatError
std::vector<TensorPlan> plan_tensors(const RecordReader& records, const std::string& path);

}  // namespace scvi::io::torch_detail
