// SPDX-License-Identifier: Apache-2.0
// capacity: bytes needed against bytes there. physical_limit: a claimed time against the least time that the devices'
// peak rate and memory bandwidth allow.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "claims/accept_range.hpp"
#include "claims/check_kinds.hpp"
#include "claims/paired_figures.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::claims {

using report::ObjectReader;

namespace {

class CapacityCheck final : public Check {
public:
  CapacityCheck(const ObjectReader &form, Quantity needed, Quantity available, std::vector<std::string> pair_by)
      : Check(form, Meaning::refuted), needed_(std::move(needed)), available_(std::move(available)),
        pair_by_(std::move(pair_by)) {}

private:
  Outcome examine(const Context &context, const std::optional<HypothesisSet> &) const override {
    const PairedFigures paired = pair_figures(needed_, available_, pair_by_, context);
    Outcome outcome;
    if (paired.pairs.empty()) {
      outcome.reason = paired.missing;
      outcome.invalid_rows = paired.invalid_rows;
      return outcome;
    }
    std::vector<PartialFinding> parts;
    std::vector<Evidence> evidence;
    for (const auto &[needed, available] : paired.pairs) {
      PartialFinding part{Finding::undecided, 0.0,
                          shown(needed.value) + " bytes needed, " + shown(available.value) + " bytes there"};
      if (!(needed.low >= 0.0 && needed.high >= 0.0 && available.low > 0.0 && available.high > 0.0)) {
        part.reason += ": no number, no judgement";
      } else {
        part.margin = decades_above(available.value, needed.value);
        if (needed.high <= available.low) {
          part.finding = Finding::agrees;
        } else if (needed.low > available.high) {
          part.finding = Finding::contradicts;
        }
      }
      parts.push_back(std::move(part));
      add_evidence(evidence, needed.evidence);
      add_evidence(evidence, available.evidence);
    }
    outcome = join(parts, MustHold::all);
    outcome.evidence = std::move(evidence);
    outcome.invalid_rows = paired.invalid_rows;
    return outcome;
  }

  Quantity needed_, available_;
  std::vector<std::string> pair_by_;
};

class PhysicalLimitCheck final : public Check {
public:
  PhysicalLimitCheck(const ObjectReader &form, const NameScope &scope)
      : Check(form, Meaning::refuted), claimed_(form, "claimed_time_s", scope) {
    const bool works = form.has("work_flop");
    const bool moves = form.has("traffic_bytes");
    if (!works && !moves) {
      throw problem::InvalidInput(form.where() + " must give work_flop, traffic_bytes or both");
    }
    if (works) {
      work_ = std::pair{Quantity(form, "work_flop", scope), Quantity(form, "peak_flop_per_s", scope)};
    }
    if (moves) {
      traffic_ = std::pair{Quantity(form, "traffic_bytes", scope), Quantity(form, "bandwidth_bytes_per_s", scope)};
    }
    if (form.has("devices")) {
      devices_ = Quantity(form, "devices", scope);
    }
  }

private:
  Outcome examine(const Context &context, const std::optional<HypothesisSet> &) const override {
    Outcome outcome;
    double devices = 1.0;
    if (devices_) {
      devices = single(*devices_, context, outcome);
    }
    double least = 0.0;
    std::string binding = "nothing";
    bool numbers = devices > 0.0;
    const auto consider = [&](const std::pair<Quantity, Quantity> &demand, const std::string &what) {
      const double time = single(demand.first, context, outcome) / (single(demand.second, context, outcome) * devices);
      numbers = numbers && time >= 0.0;
      if (time > least) {
        least = time;
        binding = what;
      }
    };
    if (work_) {
      consider(*work_, "arithmetic at peak rate");
    }
    if (traffic_) {
      consider(*traffic_, "memory traffic at full bandwidth");
    }
    const double claimed = single(claimed_, context, outcome);
    numbers = numbers && claimed > 0.0 && least > 0.0 && std::isfinite(claimed) && std::isfinite(least);
    if (!numbers) {
      outcome.reason = outcome.reason.empty() ? "a figure is no positive number" : outcome.reason;
      return outcome;
    }
    outcome.finding = claimed >= least ? Finding::agrees : Finding::contradicts;
    outcome.margin = decades_above(claimed, least);
    outcome.reason = "claimed " + shown(claimed) + " s; " + binding + " takes at least " + shown(least) + " s, " +
                     (claimed >= least ? "which leaves room" : shown(least / claimed) + " times as long");
    outcome.evidence.push_back(
        {EvidenceKind::analytic,
         "largest of work / peak and traffic / bandwidth over " + shown(devices) + " device(s), binding: " + binding,
         "least_time_s", least, std::nullopt});
    return outcome;
  }

  /// The one figure of a quantity; NaN, with the reason, when there is none or more than one.
  static double single(const Quantity &quantity, const Context &context, Outcome &outcome) {
    const Figures figures = quantity.figures(context);
    outcome.invalid_rows.insert(outcome.invalid_rows.end(), figures.invalid_rows.begin(), figures.invalid_rows.end());
    if (figures.figures.size() != 1) {
      outcome.reason =
          figures.missing.empty() ? "more than one figure where one is needed; add reduce" : figures.missing;
      return std::numeric_limits<double>::quiet_NaN();
    }
    add_evidence(outcome.evidence, figures.figures.front().evidence);
    return figures.figures.front().value;
  }

  Quantity claimed_;
  std::optional<std::pair<Quantity, Quantity>> work_, traffic_;
  std::optional<Quantity> devices_;
};

} // namespace

std::unique_ptr<Check> make_capacity_check(const ObjectReader &form, const NameScope &scope, const HypothesisSet *) {
  Quantity needed(form, "needed_bytes", scope);
  Quantity available(form, "available_bytes", scope);
  return std::make_unique<CapacityCheck>(form, std::move(needed), std::move(available),
                                         form.has("pair_by") ? form.texts("pair_by") : std::vector<std::string>{});
}

std::unique_ptr<Check> make_physical_limit_check(const ObjectReader &form, const NameScope &scope,
                                                 const HypothesisSet *) {
  return std::make_unique<PhysicalLimitCheck>(form, scope);
}

} // namespace ringscale::claims
