// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "claims/check.hpp"
#include "claims/hypotheses.hpp"
#include "report/json.hpp"

namespace ringscale::claims {

/// How a claim could be tested at all: by measuring, simulating, a model, plain arithmetic, or not by this program.
enum class Testability { measure, simulate, model, arithmetic, out_of_scope };

std::string_view name(Testability testability);

/// One published statement with its numbers and the checks that judge it.
struct Claim {
  std::string id, document, section;
  std::string statement;    ///< a paraphrase
  report::Json values;      ///< numbers with units in their names, may hold tables
  std::string kind;         ///< memory, throughput, time, ...
  std::string subject;      ///< the system it is about
  std::string how_to_check; ///< in words
  Testability testable_by = Testability::measure;
  std::vector<std::string> also_in; ///< "document: section"
  std::vector<std::unique_ptr<Check>> checks;
  std::optional<HypothesisSet> hypotheses;

  std::string place() const { return document + ": " + section; }
};

struct Ledger {
  std::string file;
  report::Json constants;
  std::vector<Claim> claims;
};

/// Reads a document of schema ringscale.claims, version 1. A claim with "checks_from": "other.json" takes checks,
/// hypotheses and constants from the claim of the same id in that file beside this one, whose facts must be the
/// same. Throws problem::InvalidInput: unknown key, id met twice, a check whose names stand for nothing, ...
Ledger read_ledger(const std::filesystem::path &file);

/// The same from a document in memory; `folder` is where checks_from is looked up.
Ledger read_ledger(const report::Json &document, const std::string &source, const std::filesystem::path &folder);

/// The facts of a claim (everything but checks and hypotheses) as they stand in a ledger.
report::Json claim_facts(const Claim &claim);

} // namespace ringscale::claims
