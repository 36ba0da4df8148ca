// SPDX-License-Identifier: Apache-2.0
#include "claims/evidence.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "problem/words.hpp"

namespace ringscale::claims {

namespace {
constexpr std::array<std::pair<std::string_view, EvidenceKind>, 4> kind_words{{{"measured", EvidenceKind::measured},
                                                                               {"simulated", EvidenceKind::simulated},
                                                                               {"analytic", EvidenceKind::analytic},
                                                                               {"published", EvidenceKind::published}}};
}

std::string_view name(EvidenceKind kind) { return problem::word_of(kind_words, kind); }
EvidenceKind parse_evidence_kind(std::string_view word) { return problem::parse_word("kind", kind_words, word); }

report::Json evidence_json(const Evidence &evidence) {
  report::Json json{{"kind", name(evidence.kind)}, {"source", evidence.source}, {"figure", evidence.figure}};
  // JSON has no NaN; null says that a number was expected.
  json["value"] = std::isfinite(evidence.value) ? report::Json(evidence.value) : report::Json(nullptr);
  if (evidence.interval && std::isfinite(evidence.interval->low) && std::isfinite(evidence.interval->high)) {
    json["interval"] = {{"low", evidence.interval->low},
                        {"high", evidence.interval->high},
                        {"confidence", evidence.interval->confidence}};
  }
  return json;
}

std::string shown(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

} // namespace ringscale::claims
