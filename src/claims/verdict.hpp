// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "claims/ledger.hpp"
#include "claims/result_rows.hpp"

namespace ringscale::claims {

enum class Judgement { supported, refuted, inconsistent, not_testable_here, out_of_scope };

std::string_view name(Judgement judgement);

/// What became of one check of a claim.
struct CheckResult {
  std::string kind, asks;
  Role role;
  Outcome outcome;
};

/// The judgement of one claim. A required check that contradicts refutes it (or shows the document inconsistent,
/// refuted goes first); it is supported only when every required check agrees; otherwise it is not testable here.
struct Verdict {
  std::string id;
  Judgement judgement = Judgement::not_testable_here;
  std::optional<double> margin; ///< decades, of the deciding check; none when nothing was decided
  std::string margin_meaning;
  std::string summary;              ///< one line: the figures that decided, or what was missing
  std::vector<std::string> reasons; ///< the deciding one first
  std::vector<CheckResult> checks;
  HypothesisRanking hypotheses;
  bool invalid_evidence = false; ///< a row that a check asked for came from a run that was invalid
};

Verdict judge(const Claim &claim, const Ledger &ledger, const ResultRows &rows);
std::vector<Verdict> judge(const Ledger &ledger, const ResultRows &rows);

/// One entry of .verdicts[].
report::Json verdict_json(const Verdict &verdict, const Claim &claim);

/// The whole document of schema ringscale.verdicts.
report::Json verdicts_document(const std::vector<Verdict> &verdicts, const Ledger &ledger, const ResultRows &rows,
                               const report::Json &provenance);

} // namespace ringscale::claims
