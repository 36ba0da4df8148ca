// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "claims/evidence.hpp"
#include "claims/expression.hpp"
#include "report/json.hpp"

namespace ringscale::claims {

/// The number at a dotted path ("rows.3.ring_size") of a JSON value; nothing where the path does not exist or holds
/// no number. null is NaN: a number was meant and is missing, so that whatever is computed with it is NaN too.
std::optional<double> number_at(const report::Json &document, std::string_view path);

/// Constants of a ledger or a check: {"gtx_1080": {"source": "...", "peak_flop_per_s": 8.9e12}, "embed_width":
/// {"source": "...", "value": 512}}. A bare name stands for its "value". Throws problem::InvalidInput for a constant
/// without a source, or with something that is not a number.
void check_constants(const report::Json &constants, const std::string &where);

/// What the names of an expression stand for: layers of JSON objects, the first one that knows a name answers.
class NameScope {
public:
  /// Values of the claim or of one of its rows, or of a result row.
  void add_values(const report::Json &values);
  /// Constants with sources, in the form check_constants accepts. The object must outlive the scope.
  void add_constants(const report::Json &constants);

  std::optional<double> find(std::string_view name) const;
  struct Origin {
    EvidenceKind kind;
    std::string source;
  };
  /// Where a constant comes from; nothing when the name is a value of the claim or of a row.
  std::optional<Origin> constant_origin(std::string_view name) const;
  NameLookup lookup() const;

  /// Throws problem::InvalidInput naming the first name of `expression` that stands for nothing here.
  void require_names(const Expression &expression, const std::string &where) const;

private:
  struct Layer {
    const report::Json *object;
    bool constants;
  };
  const Layer *layer_of(std::string_view name) const;
  static std::optional<double> find_in(const Layer &layer, std::string_view name);
  std::vector<Layer> layers_;
};

} // namespace ringscale::claims
