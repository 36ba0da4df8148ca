// SPDX-License-Identifier: Apache-2.0
#include "report/provenance.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>

#include "built_commit.hpp"
#include "built_configuration.hpp"
#include "report/host_facts.hpp"

namespace ringscale::report {

namespace {

std::string random_suffix() {
  std::random_device device;
  const std::uint64_t bits = (std::uint64_t{device()} << 32) | device();
  std::string text;
  for (int digit = 0; digit < 12; ++digit) {
    text += "0123456789abcdef"[(bits >> (4 * digit)) & 15U];
  }
  return text;
}

Json text_or_null(const std::string &text) { return text.empty() ? Json(nullptr) : Json(text); }

} // namespace

BuildFacts build_facts() {
  BuildFacts facts;
  facts.version = built::version;
  facts.commit = std::string(built::commit).append(built::dirty ? "-dirty" : "");
  facts.build_type = built::build_type;
  facts.compiler = built::compiler;
  facts.flags = built::flags;
  facts.kokkos_version = built::kokkos_version;
  return facts;
}

std::string version_line() {
  const BuildFacts facts = build_facts();
  std::string line = "ringscale ";
  line.append(facts.version).append(" (commit ").append(facts.commit).append(", ").append(facts.build_type);
  line.append(", ").append(facts.compiler).append(", Kokkos ").append(facts.kokkos_version).append(")");
  return line;
}

RunIdentity begin_run() {
  RunIdentity run;
  run.started_utc = utc_now();
  run.run_id = run.started_utc;
  run.run_id.erase(
      std::remove_if(run.run_id.begin(), run.run_id.end(), [](char letter) { return letter == '-' || letter == ':'; }),
      run.run_id.end());
  run.run_id.append("-").append(random_suffix());
  return run;
}

Json build_document() {
  const BuildFacts facts = build_facts();
  Json build = Json::object();
  build["version"] = facts.version;
  build["commit"] = facts.commit;
  build["build_type"] = facts.build_type;
  build["compiler"] = facts.compiler;
  build["flags"] = facts.flags;
  build["kokkos_version"] = text_or_null(facts.kokkos_version);
  return build;
}

Json provenance(const RunIdentity &run, const std::vector<std::string> &arguments, const RuntimeFacts &runtime) {
  Json document = Json::object();
  document["run_id"] = run.run_id;
  document["started_utc"] = run.started_utc;
  document["ended_utc"] = utc_now();
  document["arguments"] = arguments;
  document["build"] = build_document();
  Json libraries = Json::object();
  libraries["kokkos_version"] = text_or_null(runtime.kokkos_version);
  libraries["execution_space"] = text_or_null(runtime.execution_space);
  libraries["concurrency"] = runtime.concurrency > 0 ? Json(runtime.concurrency) : Json(nullptr);
  libraries["mpi_library"] = text_or_null(runtime.mpi_library);
  libraries["ranks"] = runtime.ranks > 0 ? Json(runtime.ranks) : Json(nullptr);
  document["runtime"] = libraries;
  document["host"] = host_facts();
  document["clock_resolution_s"] = measured_clock_resolution_s();
  document["environment"] = allowed_environment();
  return document;
}

} // namespace ringscale::report
