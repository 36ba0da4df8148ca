// SPDX-License-Identifier: Apache-2.0
#include "claims/verdict.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "problem/words.hpp"

namespace ringscale::claims {

using report::Json;

namespace {

constexpr std::array<std::pair<std::string_view, Judgement>, 5> judgement_words{
    {{"supported", Judgement::supported},
     {"refuted", Judgement::refuted},
     {"inconsistent", Judgement::inconsistent},
     {"not_testable_here", Judgement::not_testable_here},
     {"out_of_scope", Judgement::out_of_scope}}};

bool contradicts(const CheckResult &check, Meaning meaning, const std::vector<Meaning> &meanings, std::size_t index) {
  return check.role == Role::required && check.outcome.finding == Finding::contradicts && meanings[index] == meaning;
}

std::string sentence(const CheckResult &check) {
  const std::string word = check.role == Role::required ? "" : "for information, ";
  return word + std::string(name(check.outcome.finding)) + " (" + check.kind + "): " + check.asks + " " +
         check.outcome.reason;
}

/// The sentence that fits a table: the figures of the deciding check, or why nothing was decided.
std::string summary_of(const Verdict &verdict, std::optional<std::size_t> deciding) {
  if (deciding) {
    return verdict.checks[*deciding].kind + ": " + verdict.checks[*deciding].outcome.reason;
  }
  for (const CheckResult &check : verdict.checks) {
    if (check.role == Role::required && check.outcome.finding == Finding::undecided) {
      return check.kind + ": " + check.outcome.reason;
    }
  }
  return "no required check";
}

/// Index of the check that decides among those that `decides` admits: the one with the smallest margin.
template <class Predicate> std::optional<std::size_t> smallest_margin(const Verdict &verdict, Predicate decides) {
  std::optional<std::size_t> best;
  for (std::size_t index = 0; index < verdict.checks.size(); ++index) {
    if (decides(index) && (!best || verdict.checks[index].outcome.margin < verdict.checks[*best].outcome.margin)) {
      best = index;
    }
  }
  return best;
}

/// Sets judgement and margin; returns the index of the deciding check.
std::optional<std::size_t> decide(Verdict &verdict, const std::vector<Meaning> &meanings) {
  const auto required = [&](std::size_t index) { return verdict.checks[index].role == Role::required; };
  const auto finding = [&](std::size_t index) { return verdict.checks[index].outcome.finding; };
  for (const auto &[meaning, judgement] :
       {std::pair{Meaning::refuted, Judgement::refuted}, std::pair{Meaning::inconsistent, Judgement::inconsistent}}) {
    const auto deciding = smallest_margin(verdict, [&, sought = meaning](std::size_t index) {
      return contradicts(verdict.checks[index], sought, meanings, index);
    });
    if (deciding) {
      verdict.judgement = judgement;
      return deciding;
    }
  }
  std::size_t agreeing = 0, demanded = 0;
  for (std::size_t index = 0; index < verdict.checks.size(); ++index) {
    demanded += required(index) ? 1 : 0;
    agreeing += required(index) && finding(index) == Finding::agrees ? 1 : 0;
  }
  if (demanded > 0 && agreeing == demanded) {
    verdict.judgement = Judgement::supported;
    return smallest_margin(verdict, required);
  }
  verdict.judgement = Judgement::not_testable_here;
  return std::nullopt;
}

std::string meaning_of_margin(const Verdict &verdict, std::optional<std::size_t> deciding) {
  if (!deciding) {
    return "no margin: no check decided";
  }
  const CheckResult &check = verdict.checks[*deciding];
  static const std::map<std::string, std::string> by_kind{
      {"ratio", "log10 of the ratio over the nearest end of its accepted range"},
      {"consistency", "log10 of the ratio of the two statements over the nearest end of the accepted range"},
      {"equality_within_bound", "log10(bound / difference)"},
      {"arithmetic", "log10(tolerance / difference)"},
      {"fitted_exponent", "exponent's distance to the nearest end of its accepted range times the decades of x"},
      {"capacity", "log10(bytes there / bytes needed)"},
      {"physical_limit", "log10(claimed time / least possible time)"},
      {"best_hypothesis", "log10 of the residual of the next model over that of the claim's own"}};
  return "decades, negative against the claim: " + by_kind.at(check.kind) + "; of the " + check.kind +
         " check that decides";
}

} // namespace

std::string_view name(Judgement judgement) { return problem::word_of(judgement_words, judgement); }

Verdict judge(const Claim &claim, const Ledger &ledger, const ResultRows &rows) {
  const Json no_constants = Json::object();
  const Context context{claim.values, no_constants, ledger.constants, claim.place(), rows};
  Verdict verdict;
  verdict.id = claim.id;
  if (claim.checks.empty()) {
    const bool outside = claim.testable_by == Testability::out_of_scope;
    verdict.judgement = outside ? Judgement::out_of_scope : Judgement::not_testable_here;
    verdict.margin_meaning = "no margin: no check was made";
    verdict.reasons.push_back(
        (outside ? "not for this program to test: " : "no check is written yet; it would need: ") + claim.how_to_check);
    return verdict;
  }
  std::vector<Meaning> meanings;
  for (const auto &check : claim.checks) {
    verdict.checks.push_back({check->kind(), check->asks(), check->role(), check->judge(context, claim.hypotheses)});
    meanings.push_back(check->meaning());
    verdict.invalid_evidence = verdict.invalid_evidence || !verdict.checks.back().outcome.invalid_rows.empty();
  }
  if (claim.hypotheses) {
    verdict.hypotheses = claim.hypotheses->rank(context);
  }
  const auto deciding = decide(verdict, meanings);
  if (deciding) {
    verdict.margin = verdict.checks[*deciding].outcome.margin;
    verdict.reasons.push_back(sentence(verdict.checks[*deciding]));
  }
  verdict.summary = summary_of(verdict, deciding);
  verdict.margin_meaning = meaning_of_margin(verdict, deciding);
  for (const Role role : {Role::required, Role::informative}) {
    for (const Finding finding : {Finding::contradicts, Finding::undecided, Finding::agrees}) {
      for (std::size_t index = 0; index < verdict.checks.size(); ++index) {
        const CheckResult &check = verdict.checks[index];
        if (index != deciding && check.role == role && check.outcome.finding == finding) {
          verdict.reasons.push_back(sentence(check));
        }
      }
    }
  }
  for (const CheckResult &check : verdict.checks) {
    for (const std::string &source : check.outcome.invalid_rows) {
      verdict.reasons.push_back("row " + source + " comes from an invalid run and was not used");
    }
  }
  return verdict;
}

std::vector<Verdict> judge(const Ledger &ledger, const ResultRows &rows) {
  std::vector<Verdict> verdicts;
  verdicts.reserve(ledger.claims.size());
  for (const Claim &claim : ledger.claims) {
    verdicts.push_back(judge(claim, ledger, rows));
  }
  return verdicts;
}

Json verdict_json(const Verdict &verdict, const Claim &claim) {
  Json json{{"id", verdict.id},
            {"verdict", name(verdict.judgement)},
            {"margin", verdict.margin ? Json(*verdict.margin) : Json(nullptr)},
            {"margin_unit", "decades"},
            {"margin_meaning", verdict.margin_meaning},
            {"statement", claim.statement},
            {"document", claim.document},
            {"section", claim.section},
            {"claim_kind", claim.kind},
            {"summary", verdict.summary},
            {"reasons", verdict.reasons}};
  Json evidence = Json::array();
  // The statement itself is evidence too: without it a verdict would hang in the air.
  evidence.push_back({{"kind", name(EvidenceKind::published)},
                      {"source", claim.place()},
                      {"figure", "statement"},
                      {"values", claim.values}});
  Json checks = Json::array();
  for (std::size_t index = 0; index < verdict.checks.size(); ++index) {
    const CheckResult &check = verdict.checks[index];
    const bool decided = check.outcome.finding != Finding::undecided;
    checks.push_back({{"kind", check.kind},
                      {"asks", check.asks},
                      {"role", name(check.role)},
                      {"finding", name(check.outcome.finding)},
                      {"margin", decided ? Json(check.outcome.margin) : Json(nullptr)},
                      {"reason", check.outcome.reason}});
    for (const Evidence &each : check.outcome.evidence) {
      Json entry = evidence_json(each);
      entry["check"] = index;
      evidence.push_back(std::move(entry));
    }
  }
  json["checks"] = std::move(checks);
  json["evidence"] = std::move(evidence);
  if (claim.hypotheses) {
    json["hypotheses"] = hypotheses_json(verdict.hypotheses);
  }
  return json;
}

Json verdicts_document(const std::vector<Verdict> &verdicts, const Ledger &ledger, const ResultRows &rows,
                       const Json &provenance) {
  Json list = Json::array();
  Json counts = Json::object();
  for (const auto &[word, judgement] : judgement_words) {
    counts[std::string(word)] = std::count_if(
        verdicts.begin(), verdicts.end(), [&, sought = judgement](const Verdict &v) { return v.judgement == sought; });
  }
  bool valid = true;
  for (std::size_t index = 0; index < verdicts.size(); ++index) {
    list.push_back(verdict_json(verdicts[index], ledger.claims[index]));
    valid = valid && !verdicts[index].invalid_evidence;
  }
  return {{"schema", "ringscale.verdicts"},
          {"schema_version", 1},
          {"provenance", provenance},
          {"ledger", std::filesystem::path(ledger.file).filename().string()},
          {"results", rows.files},
          {"result_rows", rows.rows.size()},
          {"verdict", valid ? "valid" : "invalid"},
          {"counts", counts},
          {"verdicts", list}};
}

} // namespace ringscale::claims
