// SPDX-License-Identifier: Apache-2.0
// ratio: a figure over another must lie in a range. consistency: the same, between two statements of the documents.
#include <utility>

#include "claims/accept_range.hpp"
#include "claims/check_kinds.hpp"
#include "claims/paired_figures.hpp"

namespace ringscale::claims {

using report::ObjectReader;

namespace {

/// A fraction of two figures that cannot be negative, with the interval that theirs allow.
PartialFinding judge_fraction(const Figure &numerator, const Figure &denominator, const AcceptRange::Limits &limits,
                              const std::string &label) {
  PartialFinding part{Finding::undecided, 0.0, ""};
  const double fraction = numerator.value / denominator.value;
  const double low = numerator.low / denominator.high;
  const double high = numerator.high / denominator.low;
  std::string text = label + (label.empty() ? "" : ": ") + shown(numerator.value) + " / " + shown(denominator.value) +
                     " = " + shown(fraction);
  if (low != high) {
    text += " [" + shown(low) + ", " + shown(high) + "]";
  }
  if (!(numerator.low >= 0.0 && denominator.low > 0.0)) {
    part.reason = text + ": no fraction of figures that are missing, NaN, zero or negative";
    return part;
  }
  part.finding = find_in_range(low, fraction, high, limits);
  part.margin = margin_in_decades(fraction, limits);
  part.reason = text + "; the claim needs it " + shown(limits);
  if (part.finding == Finding::undecided) {
    part.reason += "; the interval straddles the limit, more repetitions would decide";
  }
  return part;
}

class FractionCheck final : public Check {
public:
  FractionCheck(const ObjectReader &form, Meaning meaning, Quantity numerator, Quantity denominator, AcceptRange accept,
                std::vector<std::string> pair_by, MustHold must_hold)
      : Check(form, meaning), numerator_(std::move(numerator)), denominator_(std::move(denominator)),
        accept_(std::move(accept)), pair_by_(std::move(pair_by)), must_hold_(must_hold) {}

private:
  Outcome examine(const Context &context, const std::optional<HypothesisSet> &) const override {
    const PairedFigures paired = pair_figures(numerator_, denominator_, pair_by_, context);
    Outcome outcome;
    if (paired.pairs.empty()) {
      outcome.reason = paired.missing;
    } else {
      const auto limits = accept_.limits(context.scope());
      std::vector<PartialFinding> parts;
      std::vector<Evidence> evidence;
      std::vector<const report::Json *> rows;
      for (const auto &pair : paired.pairs) {
        rows.push_back(&pair.first.fields);
      }
      const auto telling = differing_fields(rows, pair_by_);
      for (const auto &[numerator, denominator] : paired.pairs) {
        parts.push_back(judge_fraction(numerator, denominator, limits, fields_text(numerator.fields, telling)));
        add_evidence(evidence, numerator.evidence);
        add_evidence(evidence, denominator.evidence);
      }
      outcome = join(parts, must_hold_);
      outcome.evidence = std::move(evidence);
    }
    outcome.invalid_rows = paired.invalid_rows;
    return outcome;
  }

  Quantity numerator_, denominator_;
  AcceptRange accept_;
  std::vector<std::string> pair_by_;
  MustHold must_hold_;
};

MustHold read_must_hold(const ObjectReader &form) {
  const std::string word = form.text_or("must_hold", "all");
  if (word != "all" && word != "any") {
    form.refuse("must_hold", "'" + word + "' is unknown; one of: all, any");
  }
  return word == "all" ? MustHold::all : MustHold::any;
}

} // namespace

std::unique_ptr<Check> make_ratio_check(const ObjectReader &form, const NameScope &scope, const HypothesisSet *) {
  Quantity numerator(form, "numerator", scope);
  Quantity denominator =
      form.has("denominator") ? Quantity(form, "denominator", scope) : Quantity("1", form.where("denominator"));
  return std::make_unique<FractionCheck>(
      form, Meaning::refuted, std::move(numerator), std::move(denominator), AcceptRange(form.object("accept"), scope),
      form.has("pair_by") ? form.texts("pair_by") : std::vector<std::string>{}, read_must_hold(form));
}

std::unique_ptr<Check> make_consistency_check(const ObjectReader &form, const NameScope &scope, const HypothesisSet *) {
  Quantity first(form, "first", scope);
  Quantity second(form, "second", scope);
  return std::make_unique<FractionCheck>(form, Meaning::inconsistent, std::move(first), std::move(second),
                                         AcceptRange(form.object("accept"), scope), std::vector<std::string>{},
                                         read_must_hold(form));
}

} // namespace ringscale::claims
