// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "claims/check.hpp"

namespace ringscale::claims {

/// The kinds of checks, one maker each; read_check chooses by the "kind" of the JSON form. docs/claims.md has the
/// keys, the acceptance rule and the margin of every kind.
std::unique_ptr<Check> make_ratio_check(const report::ObjectReader &form, const NameScope &scope,
                                        const HypothesisSet *hypotheses);
std::unique_ptr<Check> make_equality_check(const report::ObjectReader &form, const NameScope &scope,
                                           const HypothesisSet *hypotheses);
std::unique_ptr<Check> make_exponent_check(const report::ObjectReader &form, const NameScope &scope,
                                           const HypothesisSet *hypotheses);
std::unique_ptr<Check> make_capacity_check(const report::ObjectReader &form, const NameScope &scope,
                                           const HypothesisSet *hypotheses);
std::unique_ptr<Check> make_physical_limit_check(const report::ObjectReader &form, const NameScope &scope,
                                                 const HypothesisSet *hypotheses);
std::unique_ptr<Check> make_arithmetic_check(const report::ObjectReader &form, const NameScope &scope,
                                             const HypothesisSet *hypotheses);
std::unique_ptr<Check> make_consistency_check(const report::ObjectReader &form, const NameScope &scope,
                                              const HypothesisSet *hypotheses);
std::unique_ptr<Check> make_hypothesis_check(const report::ObjectReader &form, const NameScope &scope,
                                             const HypothesisSet *hypotheses);

} // namespace ringscale::claims
