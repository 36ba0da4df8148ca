// SPDX-License-Identifier: Apache-2.0
#include "report/results_document.hpp"

#include <stdexcept>

#include "problem/invalid_input.hpp"

namespace ringscale::report {

Json results_document(const std::string &verb, const Json &config, const Json &rows, const std::string &verdict,
                      const std::vector<std::string> &reasons, const Json &provenance) {
  if (verdict != "valid" && verdict != "invalid") {
    throw std::logic_error("a verdict is valid or invalid, not " + verdict);
  }
  Json document = Json::object();
  document["schema"] = "ringscale.results";
  document["schema_version"] = 1;
  document["run_id"] = provenance.at("run_id");
  document["verb"] = verb;
  document["verdict"] = verdict;
  document["reasons"] = reasons;
  document["config"] = config;
  document["rows"] = rows;
  document["provenance"] = provenance;
  return document;
}

void require_schema(const Json &document, const std::string &source, const std::string &schema, int version) {
  const ObjectReader reader(document, source);
  if (!reader.has("schema")) {
    throw problem::InvalidInput(source + ": $.schema is missing; it must be '" + schema + "'");
  }
  if (const std::string found = reader.text("schema"); found != schema) {
    throw problem::InvalidInput(source + ": $.schema is '" + found + "'; it must be '" + schema + "'");
  }
  const std::int64_t found = reader.integer("schema_version");
  if (found < 1 || found > version) {
    throw problem::InvalidInput(source + ": $.schema_version is " + std::to_string(found) +
                                "; this program reads versions up to " + std::to_string(version));
  }
}

} // namespace ringscale::report
