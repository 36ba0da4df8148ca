// SPDX-License-Identifier: Apache-2.0
#include "report/provenance.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>
#include <set>
#include <string>

#include "report/host_facts.hpp"

namespace ringscale::report {
namespace {

TEST(BuildFacts, NameTheBuild) {
  const BuildFacts facts = build_facts();
  EXPECT_TRUE(std::regex_match(facts.version, std::regex("[0-9]+\\.[0-9]+\\.[0-9]+"))) << facts.version;
  EXPECT_TRUE(std::regex_match(facts.commit, std::regex("unknown|[0-9a-f]{40}(-dirty)?"))) << facts.commit;
  EXPECT_FALSE(facts.compiler.empty());
  EXPECT_THAT(version_line(), testing::HasSubstr("ringscale " + facts.version + " (commit " + facts.commit));
}

TEST(Provenance, HoldsWhatTheRunWas) {
  RuntimeFacts runtime;
  runtime.kokkos_version = "4.7.0";
  runtime.execution_space = "OpenMP";
  runtime.concurrency = 2;
  runtime.mpi_library = "MPICH Version: 4";
  runtime.ranks = 4;
  const RunIdentity run = begin_run();
  const Json document = provenance(run, {"ringscale", "sweep", "--output", "x"}, runtime);
  EXPECT_EQ(document["run_id"], run.run_id);
  EXPECT_EQ(document["arguments"].size(), 4U);
  EXPECT_EQ(document["runtime"]["execution_space"], "OpenMP");
  EXPECT_EQ(document["runtime"]["ranks"], 4);
  EXPECT_LE(document["started_utc"].get<std::string>(), document["ended_utc"].get<std::string>());
  EXPECT_GE(document["host"]["cores_in_affinity_mask"].get<int>(), 1);
  EXPECT_GT(document["host"]["memory_bytes"].get<double>(), 1e6);
  EXPECT_GT(document["clock_resolution_s"].get<double>(), 0.0);
  EXPECT_LT(document["clock_resolution_s"].get<double>(), 1e-3);
  EXPECT_NO_THROW(write_json(document, 2));
}

TEST(Provenance, SaysNullForLibrariesThatWereNotStarted) {
  const Json document = provenance(begin_run(), {"ringscale"}, {});
  EXPECT_TRUE(document["runtime"]["mpi_library"].is_null());
  EXPECT_TRUE(document["runtime"]["ranks"].is_null());
}

TEST(Provenance, LeavesSecretsInTheEnvironment) {
  ::setenv("OMP_RINGSCALE_TEST", "3", 1);
  ::setenv("RINGSCALE_TEST_PASSWORD", "secret", 1);
  ::setenv("SLURM_JOB_ID", "17", 1);
  ::setenv("SLURM_JWT", "secret", 1);
  const Json variables = allowed_environment();
  EXPECT_EQ(variables["OMP_RINGSCALE_TEST"], "3");
  EXPECT_EQ(variables["SLURM_JOB_ID"], "17");
  EXPECT_FALSE(variables.contains("RINGSCALE_TEST_PASSWORD"));
  EXPECT_FALSE(variables.contains("SLURM_JWT"));
  EXPECT_FALSE(variables.contains("PATH"));
  EXPECT_FALSE(environment_variable_allowed("XOMP_NUM_THREADS"));
  EXPECT_TRUE(environment_variable_allowed("MPIR_CVAR_CH4_NETMOD"));
}

TEST(BeginRun, GivesEveryRunItsOwnName) {
  std::set<std::string> names;
  for (int run = 0; run < 100; ++run) {
    names.insert(begin_run().run_id);
  }
  EXPECT_EQ(names.size(), 100U);
  EXPECT_TRUE(std::regex_match(*names.begin(), std::regex("[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}"))) << *names.begin();
}

} // namespace
} // namespace ringscale::report
