// SPDX-License-Identifier: Apache-2.0
#include "claims/check.hpp"

#include <array>
#include <utility>

#include "claims/check_kinds.hpp"
#include "problem/words.hpp"

namespace ringscale::claims {

using report::Json;
using report::ObjectReader;

namespace {

constexpr std::array<std::pair<std::string_view, Finding>, 3> finding_words{
    {{"agrees", Finding::agrees}, {"contradicts", Finding::contradicts}, {"undecided", Finding::undecided}}};
constexpr std::array<std::pair<std::string_view, Role>, 2> role_words{
    {{"required", Role::required}, {"informative", Role::informative}}};

using Maker = std::unique_ptr<Check> (*)(const ObjectReader &, const NameScope &, const HypothesisSet *);
constexpr std::array<std::pair<std::string_view, Maker>, 8> makers{{{"equality_within_bound", make_equality_check},
                                                                    {"fitted_exponent", make_exponent_check},
                                                                    {"ratio", make_ratio_check},
                                                                    {"capacity", make_capacity_check},
                                                                    {"physical_limit", make_physical_limit_check},
                                                                    {"arithmetic", make_arithmetic_check},
                                                                    {"consistency", make_consistency_check},
                                                                    {"best_hypothesis", make_hypothesis_check}}};

} // namespace

std::string_view name(Finding finding) { return problem::word_of(finding_words, finding); }
std::string_view name(Role role) { return problem::word_of(role_words, role); }

Check::Check(const ObjectReader &form, Meaning meaning)
    : kind_(form.text("kind")), asks_(form.text("asks")),
      role_(problem::parse_word(form.where("role"), role_words, form.text_or("role", "required"))), meaning_(meaning),
      constants_(Json::object()) {
  if (form.has("constants")) {
    constants_ = form.any("constants");
  }
}

Outcome Check::judge(const Context &context, const std::optional<HypothesisSet> &hypotheses) const {
  const Context own{context.values, constants_, context.ledger_constants, context.published_source, context.rows};
  return examine(own, hypotheses);
}

std::unique_ptr<Check> read_check(const ObjectReader &form, const Json &values, const Json &ledger_constants,
                                  const HypothesisSet *hypotheses) {
  const Maker maker = problem::parse_word(form.where("kind"), makers, form.text("kind"));
  const Json none = Json::object();
  if (form.has("constants")) {
    check_constants(form.any("constants"), form.where("constants"));
  }
  NameScope scope;
  scope.add_constants(form.has("constants") ? form.any("constants") : none);
  scope.add_values(values);
  scope.add_constants(ledger_constants);
  auto check = maker(form, scope, hypotheses);
  form.finish();
  return check;
}

} // namespace ringscale::claims
