#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace scvi {

/// Numbers recorded while training, each series by name ("elbo_test_set") and number of finished epochs.
class History {
 public:
  void record(const std::string& series, std::int64_t epoch, double value);

  /// Names of the series in the order in which they first appeared.
  const std::vector<std::string>& series() const { return order_; }
  /// Values of a series in the order of epochs; empty for an unknown one.
  std::vector<double> values(const std::string& series) const;
  /// The newest value.
  std::optional<double> last(const std::string& series) const;
  /// The value at an epoch.
  std::optional<double> at(const std::string& series, std::int64_t epoch) const;

  /// A table with a header: epoch, then the series; cells without a value are empty. Numbers read back exactly.
  std::string to_tsv() const;
  /// @param source for messages. @throws FormatError for a damaged table
  static History from_tsv(std::string_view text, const std::string& source);

 private:
  std::vector<std::string> order_;
  std::map<std::string, std::map<std::int64_t, double>> values_;
};

}  // namespace scvi
