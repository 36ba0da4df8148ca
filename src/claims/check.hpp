// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "claims/hypotheses.hpp"
#include "claims/quantity.hpp"

namespace ringscale::claims {

/// What a check found. undecided: rows are missing, an interval straddles a limit, or a number is no number.
enum class Finding { agrees, contradicts, undecided };

/// required: a contradiction decides the verdict, and the claim is supported only when every required check agrees.
/// informative: reported, never decides.
enum class Role { required, informative };

/// What a contradiction means: the claim is refuted by evidence, or its document contradicts itself.
enum class Meaning { refuted, inconsistent };

std::string_view name(Finding finding);
std::string_view name(Role role);

/// `margin` is in decades (powers of ten): how far inside (positive) or outside (negative) the acceptance rule the
/// deciding figure lies, between -20 and 20; docs/claims.md defines it for each kind of check.
struct Outcome {
  Finding finding = Finding::undecided;
  double margin = 0.0;
  std::string reason;
  std::vector<Evidence> evidence;
  std::vector<std::string> invalid_rows; ///< sources of rows whose own runs were invalid
};

/// One question put to a claim. Kinds differ in `examine`; the rest is common.
class Check {
public:
  virtual ~Check() = default;
  Check(const Check &) = delete;
  Check &operator=(const Check &) = delete;

  Outcome judge(const Context &context, const std::optional<HypothesisSet> &hypotheses) const;

  const std::string &kind() const { return kind_; }
  const std::string &asks() const { return asks_; }
  Role role() const { return role_; }
  Meaning meaning() const { return meaning_; }
  const report::Json &constants() const { return constants_; }

protected:
  Check(const report::ObjectReader &form, Meaning meaning);
  virtual Outcome examine(const Context &context, const std::optional<HypothesisSet> &hypotheses) const = 0;

private:
  std::string kind_, asks_;
  Role role_ = Role::required;
  Meaning meaning_;
  report::Json constants_;
};

/// Reads one check of a ledger by its "kind": equality_within_bound, fitted_exponent, ratio, capacity, physical_limit,
/// arithmetic, consistency, best_hypothesis. Throws problem::InvalidInput for an unknown kind, key or name.
std::unique_ptr<Check> read_check(const report::ObjectReader &form, const report::Json &values,
                                  const report::Json &ledger_constants, const HypothesisSet *hypotheses);

} // namespace ringscale::claims
