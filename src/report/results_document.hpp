// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "report/json.hpp"

namespace ringscale::report {

/// A document of schema ringscale.results, version 1 (experiments/schema/results.schema.json): rows with the run they
/// come from. `verdict` is "valid" or "invalid", `reasons` say why it is invalid; `provenance` is of provenance().
Json results_document(const std::string &verb, const Json &config, const Json &rows, const std::string &verdict,
                      const std::vector<std::string> &reasons, const Json &provenance);

/// Throws problem::InvalidInput when `document` (read from `source`) does not declare `schema` at a version between 1
/// and `version`, naming what it declares instead.
void require_schema(const Json &document, const std::string &source, const std::string &schema, int version);

} // namespace ringscale::report
