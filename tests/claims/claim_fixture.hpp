// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "claims/ledger.hpp"
#include "claims/result_rows.hpp"
#include "claims/verdict.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::claims::testing {

using report::Json;

/// {row} is the row itself to C++, not an array of one; both are taken.
inline Json as_array(const Json &value) { return value.is_array() ? value : Json::array({value}); }

/// A ledger of one claim with these values and checks.
inline Json ledger_json(const Json &values, const Json &checks, const Json &constants = Json::object()) {
  const Json claim{{"id", "a-claim"},           {"document", "a-document"}, {"section", "A section"},
                   {"statement", "It is so."},  {"values", values},         {"kind", "time"},
                   {"subject", "something"},    {"how_to_check", "look"},   {"testable_by", "measure"},
                   {"checks", as_array(checks)}};
  return {{"schema", "ringscale.claims"},
          {"schema_version", 1},
          {"constants", constants},
          {"claims", Json::array({claim})}};
}

inline Ledger ledger_of(const Json &values, const Json &checks, const Json &constants = Json::object()) {
  return read_ledger(ledger_json(values, checks, constants), "ledger.json", ".");
}

inline ResultRows rows_of(const Json &rows) {
  ResultRows result;
  add_results_document(result, {{"schema", "ringscale.results"}, {"schema_version", 1}, {"rows", as_array(rows)}},
                       "rows.json");
  return result;
}

inline Verdict judge_one(const Json &values, const Json &checks, const Json &rows = Json::array(),
                         const Json &constants = Json::object()) {
  const Ledger ledger = ledger_of(values, checks, constants);
  return judge(ledger.claims.at(0), ledger, rows_of(rows));
}

inline Outcome outcome_of(const Json &check, const Json &values, const Json &rows = Json::array(),
                          const Json &constants = Json::object()) {
  return judge_one(values, Json::array({check}), rows, constants).checks.at(0).outcome;
}

/// The one-line message of the InvalidInput that `action` throws.
template <class Action> std::string refusal(Action &&action) {
  try {
    std::forward<Action>(action)();
  } catch (const problem::InvalidInput &error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "nothing was refused";
}

/// A measured ring row with the fields that selectors use.
inline Json ring_row(std::int64_t ring_size, double time_s, const std::string &point = "p") {
  return {{"kind", "measured"},     {"verb", "ring"},       {"point", point + std::to_string(ring_size)},
          {"ring_size", ring_size}, {"chunk_tokens", 1024}, {"tokens", 1024 * ring_size},
          {"time_s", time_s}};
}

} // namespace ringscale::claims::testing
