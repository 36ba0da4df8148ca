// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "claims/evidence.hpp"
#include "report/json.hpp"

namespace ringscale::claims {

/// One row of a results document.
struct ResultRow {
  report::Json row;
  std::string source; ///< "file#point"
  EvidenceKind kind = EvidenceKind::measured;
  bool valid = true; ///< false when the row's own verdict is "invalid": it is no evidence then
};

struct ResultRows {
  std::vector<ResultRow> rows;
  std::vector<std::string> files; ///< documents read, in order
};

/// Adds the rows of one document. Of a machine file, the ping-pong samples become rows of verb calibrate; documents of
/// another ringscale schema (verdicts) are passed over. Returns whether it was a results document. Throws
/// problem::InvalidInput for a document without schema, a results document of another version, or a row without kind
/// and verb.
bool add_results_document(ResultRows &rows, const report::Json &document, const std::string &file);

/// Reads every *.json below a folder, in the order of their paths. Throws problem::InvalidInput for a missing folder,
/// a file that is no JSON, or a folder without any results document.
ResultRows read_results(const std::filesystem::path &folder);

} // namespace ringscale::claims
