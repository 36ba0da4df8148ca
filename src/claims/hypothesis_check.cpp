// SPDX-License-Identifier: Apache-2.0
// best_hypothesis: the execution model that the claim describes must be the one that its own numbers fit best.
#include <algorithm>
#include <utility>

#include "claims/accept_range.hpp"
#include "claims/check_kinds.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::claims {

using report::ObjectReader;

namespace {

class HypothesisCheck final : public Check {
public:
  HypothesisCheck(const ObjectReader &form, std::vector<std::string> accepted)
      : Check(form, Meaning::refuted), accepted_(std::move(accepted)) {}

private:
  bool accepts(const HypothesisFit &fit) const {
    return std::find(accepted_.begin(), accepted_.end(), fit.name) != accepted_.end();
  }

  Outcome examine(const Context &context, const std::optional<HypothesisSet> &hypotheses) const override {
    Outcome outcome;
    const HypothesisRanking ranking = hypotheses ? hypotheses->rank(context) : HypothesisRanking{};
    const auto best_with = [&](bool accepted) {
      return std::find_if(ranking.fits.begin(), ranking.fits.end(),
                          [&](const HypothesisFit &fit) { return accepts(fit) == accepted; });
    };
    const auto ours = best_with(true);
    const auto other = best_with(false);
    if (ours == ranking.fits.end() || other == ranking.fits.end()) {
      outcome.reason = "the series holds a number that is missing, NaN, zero or negative; nothing to rank";
      return outcome;
    }
    outcome.evidence = ranking.evidence;
    const auto described = [](const HypothesisFit &fit) {
      return fit.name + " (residual " + shown(fit.relative_residual_rms) + ", " + std::to_string(fit.fitted_constants) +
             " fitted)";
    };
    const auto usable = [](const HypothesisFit &fit) { return fit.determined && fit.physical; };
    if (ours->rank == 1 && other->rank == 1) {
      outcome.reason = "the numbers fit " + described(*ours) + " and " + described(*other) +
                       " alike and cannot tell them apart; outputs of the run, checked against a reference, would";
      return outcome;
    }
    if (!usable(ranking.fits.front())) {
      outcome.reason = "no model is determined by so few points";
      return outcome;
    }
    outcome.finding = ours->rank == 1 ? Finding::agrees : Finding::contradicts;
    outcome.margin = ours->rank == 1
                         ? decades_above(other->relative_residual_rms, ours->relative_residual_rms)
                         : -std::abs(decades_above(ours->relative_residual_rms, other->relative_residual_rms));
    outcome.reason = ours->rank == 1
                         ? "best fit: " + described(*ours) + "; next: " + described(*other)
                         : "best fit: " + described(*other) + "; best of the claim's own: " + described(*ours);
    return outcome;
  }

  std::vector<std::string> accepted_;
};

} // namespace

std::unique_ptr<Check> make_hypothesis_check(const ObjectReader &form, const NameScope &,
                                             const HypothesisSet *hypotheses) {
  const auto accepted = form.texts("accept");
  if (hypotheses == nullptr) {
    throw problem::InvalidInput(form.where() + " needs the claim to have hypotheses");
  }
  for (const std::string &name : accepted) {
    if (!hypotheses->knows(name)) {
      form.refuse("accept", "names '" + name + "', which is no model of the claim's hypotheses");
    }
  }
  if (accepted.empty()) {
    form.refuse("accept", "is empty");
  }
  return std::make_unique<HypothesisCheck>(form, accepted);
}

} // namespace ringscale::claims
