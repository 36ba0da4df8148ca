// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "report/json.hpp"
#include "statistics/summary.hpp"

namespace ringscale::claims {

/// Where a number comes from.
enum class EvidenceKind { measured, simulated, analytic, published };

std::string_view name(EvidenceKind kind);
/// Throws problem::InvalidInput listing the four words.
EvidenceKind parse_evidence_kind(std::string_view word);

/// One number that a verdict rests on. `source` is "file#point" for a result row, "document: section" for a
/// published number, the formula with the sources of its constants for an analytic one.
struct Evidence {
  EvidenceKind kind = EvidenceKind::published;
  std::string source;
  std::string figure; ///< name with its unit, e.g. tokens_per_s
  double value = 0.0;
  std::optional<statistics::Interval> interval;
};

report::Json evidence_json(const Evidence &evidence);

/// A number for people: four significant digits.
std::string shown(double value);

} // namespace ringscale::claims
