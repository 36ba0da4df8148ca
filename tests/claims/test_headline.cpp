// SPDX-License-Identifier: Apache-2.0
// The headline ledger on rows as the quick sweep delivers them; and for every claim other rows, or other numbers in
// the claim, that turn its verdict: a verdict that could not come out differently would be worth nothing.
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include <gmock/gmock.h>

#include "claim_fixture.hpp"
#include "sample_rows.hpp"

namespace ringscale::claims {
namespace {

using report::Json;
using testing::rows_of;
using testing::sample_rows;
using testing::SampleWorld;

const std::filesystem::path claims_folder = RINGSCALE_CLAIMS_DIR;

Json headline() { return report::read_json_file(claims_folder / "headline.json"); }

Json &claim_of(Json &document, const std::string &id) {
  for (Json &claim : document["claims"]) {
    if (claim["id"] == id) {
      return claim;
    }
  }
  throw std::out_of_range(id);
}

std::map<std::string, Verdict> judged(const Json &document, const Json &rows) {
  const Ledger ledger = read_ledger(document, "headline.json", claims_folder);
  std::map<std::string, Verdict> verdicts;
  for (Verdict &verdict : judge(ledger, rows_of(rows))) {
    verdicts.emplace(verdict.id, std::move(verdict));
  }
  return verdicts;
}

Judgement judgement_of(
    const std::string &id, const SampleWorld &world, const std::function<void(Json &)> &bend = [](Json &) {}) {
  Json document = headline();
  bend(claim_of(document, id));
  return judged(document, sample_rows(world)).at(id).judgement;
}

/// Keeps one check of a claim, so that a test sees it decide alone.
Judgement with_check(const std::string &id, std::size_t index, const SampleWorld &world) {
  return judgement_of(id, world, [index](Json &claim) {
    Json check = claim["checks"][index];
    check["role"] = "required";
    claim["checks"] = Json::array({check});
  });
}

TEST(Headline, HoldsTheFifteenAndTheirTwoTwins) {
  std::set<std::string> ids;
  const Json document = headline();
  for (const Json &claim : document["claims"]) {
    ids.insert(claim["id"]);
    EXPECT_FALSE(claim["checks"].empty()) << claim["id"];
  }
  EXPECT_EQ(ids, (std::set<std::string>{
                     "billion-token-run", "scaling-series-throughput", "processing-time-constant-with-devices",
                     "ring-size-memory-series", "queries-never-divided", "memory-per-device-constant",
                     "equivalence-tolerance-1e-6", "equivalence-zero-difference", "max-chunk-ring-dilated",
                     "projection-1b-ring-dilated", "projection-1b-ring-multihead", "trillion-tokens-2-3-hours",
                     "ring-comm-overhead-10-15", "overlap-15-25", "packed-kv-50-percent-latency", "gpu-count-series",
                     "block-sparse-5-50x"}));
}

TEST(Headline, VerdictsOnSampleRows) {
  const auto verdicts = judged(headline(), sample_rows(SampleWorld{}));
  const std::map<std::string, Judgement> expected{{"billion-token-run", Judgement::inconsistent},
                                                  {"scaling-series-throughput", Judgement::inconsistent},
                                                  {"processing-time-constant-with-devices", Judgement::refuted},
                                                  {"ring-size-memory-series", Judgement::refuted},
                                                  {"queries-never-divided", Judgement::refuted},
                                                  {"memory-per-device-constant", Judgement::supported},
                                                  {"equivalence-tolerance-1e-6", Judgement::supported},
                                                  {"equivalence-zero-difference", Judgement::refuted},
                                                  {"max-chunk-ring-dilated", Judgement::refuted},
                                                  {"projection-1b-ring-dilated", Judgement::refuted},
                                                  {"projection-1b-ring-multihead", Judgement::refuted},
                                                  {"trillion-tokens-2-3-hours", Judgement::refuted},
                                                  {"ring-comm-overhead-10-15", Judgement::refuted},
                                                  {"overlap-15-25", Judgement::refuted},
                                                  {"packed-kv-50-percent-latency", Judgement::refuted},
                                                  {"gpu-count-series", Judgement::refuted},
                                                  {"block-sparse-5-50x", Judgement::refuted}};
  for (const auto &[id, judgement] : expected) {
    const Verdict &verdict = verdicts.at(id);
    EXPECT_EQ(name(verdict.judgement), name(judgement)) << id << ": " << verdict.reasons.front();
    EXPECT_EQ(verdict.margin.has_value(), true) << id;
    EXPECT_EQ(*verdict.margin >= 0.0, judgement == Judgement::supported) << id;
  }
}

TEST(Headline, EveryCheckOfTheRowsIsReachable) {
  // A selector with a misspelt value would stay undecided for ever.
  const std::set<std::string> known_to_wait{"a sweep of 16-bit kernels",
                                            "a sweep of dilated kernels",
                                            "a sweep of block-sparse kernels",
                                            "a GPU build that times a kernel with and without a fence",
                                            "ring size 244140625",
                                            "placement replicated_queries too"};
  for (const auto &[id, verdict] : judged(headline(), sample_rows(SampleWorld{}))) {
    for (const CheckResult &check : verdict.checks) {
      const bool waits = std::any_of(known_to_wait.begin(), known_to_wait.end(), [&](const std::string &what) {
        return check.outcome.reason.find(what) != std::string::npos;
      });
      const bool twins = check.kind == "best_hypothesis"; // may be undecided for its own reason
      EXPECT_TRUE(check.outcome.finding != Finding::undecided || waits || twins) << id << ": " << check.outcome.reason;
    }
  }
}

TEST(Headline, WithoutRowsOnlyPublishedNumbersDecide) {
  const auto verdicts = judged(headline(), Json::array());
  EXPECT_EQ(verdicts.at("memory-per-device-constant").judgement, Judgement::not_testable_here);
  EXPECT_EQ(verdicts.at("equivalence-tolerance-1e-6").judgement, Judgement::not_testable_here);
  EXPECT_EQ(verdicts.at("equivalence-zero-difference").judgement, Judgement::not_testable_here);
  EXPECT_EQ(verdicts.at("max-chunk-ring-dilated").judgement, Judgement::refuted);
}

TEST(HeadlineTurns, BillionTokenRun) {
  const auto consistent = [](Json &claim) {
    claim["checks"][0]["constants"]["verified_tokens"]["value"] = 1073741824;
    claim["checks"][1]["constants"]["projection"]["throughput_tokens_per_s"] = 2049;
  };
  // With documents that agree, the series still cannot tell a ring from a loop.
  EXPECT_EQ(judgement_of("billion-token-run", {}, consistent), Judgement::not_testable_here);
  SampleWorld slow;
  slow.gtx_flop_per_s = 5e10;
  EXPECT_EQ(judgement_of("billion-token-run", slow), Judgement::refuted) << "a ring 60 times slower than claimed";
  EXPECT_EQ(judgement_of("billion-token-run", {},
                         [&](Json &claim) {
                           consistent(claim);
                           claim["checks"].erase(2);
                         }),
            Judgement::supported);
}

TEST(HeadlineTurns, ScalingSeries) {
  EXPECT_EQ(judgement_of("scaling-series-throughput", {}, [](Json &claim) { claim["checks"].erase(0); }),
            Judgement::supported)
      << "flat throughput is what an exact ring shows";
  SampleWorld steeper;
  steeper.time_exponent = 1.5;
  EXPECT_EQ(judgement_of("scaling-series-throughput", steeper), Judgement::refuted);
}

TEST(HeadlineTurns, ConstantTime) {
  SampleWorld constant;
  constant.time_exponent = 0.0;
  EXPECT_EQ(with_check("processing-time-constant-with-devices", 0, constant), Judgement::supported);
  EXPECT_EQ(with_check("processing-time-constant-with-devices", 1, constant), Judgement::supported);
  EXPECT_EQ(with_check("processing-time-constant-with-devices", 0, {}), Judgement::refuted);
  EXPECT_EQ(with_check("processing-time-constant-with-devices", 1, {}), Judgement::refuted);
  EXPECT_EQ(with_check("processing-time-constant-with-devices", 2, {}), Judgement::refuted);
  EXPECT_EQ(with_check("processing-time-constant-with-devices", 3, {}), Judgement::inconsistent);
}

TEST(HeadlineTurns, MemorySeries) {
  EXPECT_EQ(judgement_of("ring-size-memory-series", {},
                         [](Json &claim) {
                           const double series[] = {64, 32, 16, 8, 4};
                           for (std::size_t row = 0; row < 5; ++row) {
                             claim["values"]["rows"][row]["memory_mb"] = series[row];
                           }
                           claim["checks"].erase(1);
                         }),
            Judgement::supported)
      << "the numbers of a ring with divided queries";
  EXPECT_EQ(with_check("ring-size-memory-series", 3, {}), Judgement::supported) << "one device in a loop";
  EXPECT_EQ(with_check("ring-size-memory-series", 2, {}), Judgement::inconsistent);
}

TEST(HeadlineTurns, QueriesNeverDivided) {
  SampleWorld wrong;
  wrong.max_error = 0.5;
  EXPECT_EQ(with_check("queries-never-divided", 0, wrong), Judgement::supported) << "divided queries give wrong output";
  EXPECT_EQ(with_check("queries-never-divided", 0, {}), Judgement::refuted);
  EXPECT_EQ(with_check("queries-never-divided", 1, {}), Judgement::refuted);
  EXPECT_EQ(with_check("queries-never-divided", 2, {}), Judgement::refuted);
}

TEST(HeadlineTurns, ConstantMemory) {
  SampleWorld growing;
  growing.memory_growth = 0.5;
  EXPECT_EQ(judgement_of("memory-per-device-constant", growing), Judgement::refuted);
  SampleWorld heavy;
  heavy.bytes_per_token = 51440;
  EXPECT_EQ(judgement_of("memory-per-device-constant", heavy), Judgement::refuted);
}

TEST(HeadlineTurns, Equivalence) {
  SampleWorld wrong;
  wrong.max_error = wrong.one_rank_error = 2e-6;
  EXPECT_EQ(judgement_of("equivalence-tolerance-1e-6", wrong), Judgement::refuted);
  EXPECT_EQ(judgement_of("equivalence-tolerance-1e-6", {}), Judgement::supported);
  SampleWorld broken;
  broken.max_error = std::nan("");
  EXPECT_EQ(judgement_of("equivalence-tolerance-1e-6", broken), Judgement::not_testable_here);
  SampleWorld exact;
  exact.max_error = exact.one_rank_error = 0.0;
  EXPECT_EQ(judgement_of("equivalence-zero-difference", exact), Judgement::supported);
  EXPECT_EQ(judgement_of("equivalence-zero-difference", broken), Judgement::not_testable_here);
}

TEST(HeadlineTurns, MaximumChunk) {
  EXPECT_EQ(judgement_of("max-chunk-ring-dilated", {}, [](Json &claim) { claim["values"]["time_ms"] = 25; }),
            Judgement::supported)
      << "ten times the time would be possible";
}

TEST(HeadlineTurns, Projections) {
  for (const char *id : {"projection-1b-ring-dilated", "projection-1b-ring-multihead"}) {
    SampleWorld world;
    EXPECT_EQ(with_check(id, 1, world), Judgement::inconsistent);
    EXPECT_EQ(with_check(id, 2, world), Judgement::refuted);
    // Fast enough devices, and a document whose chunk times add up to its projection, would support it.
    world.gtx_flop_per_s = std::string(id) == "projection-1b-ring-dilated" ? 1.2e15 : 2.1e14;
    EXPECT_EQ(judgement_of(id, world,
                           [&](Json &claim) {
                             const double time_s = 1e9 / claim["values"]["throughput_tokens_per_s"].get<double>();
                             claim["checks"][1]["constants"]["chunk_time_s"]["value"] = time_s / 3814;
                             claim["checks"][0]["peak_flop_per_s"]["formula"] = "2 * h100.peak_flop_per_s";
                           }),
              Judgement::supported)
        << id;
  }
}

TEST(HeadlineTurns, TrillionTokens) {
  EXPECT_EQ(with_check("trillion-tokens-2-3-hours", 1, {}), Judgement::inconsistent);
  EXPECT_EQ(judgement_of("trillion-tokens-2-3-hours", {}, [](Json &claim) { claim["values"]["time_hours"] = 88 * 24; }),
            Judgement::supported)
      << "88 days, the guide's own law";
}

TEST(HeadlineTurns, Overhead) {
  SampleWorld in_window;
  in_window.exposed_share = 0.12;
  EXPECT_EQ(with_check("ring-comm-overhead-10-15", 3, in_window), Judgement::supported);
  EXPECT_EQ(with_check("ring-comm-overhead-10-15", 4, in_window), Judgement::supported);
  EXPECT_EQ(with_check("ring-comm-overhead-10-15", 4, {}), Judgement::refuted);
  EXPECT_EQ(judgement_of("ring-comm-overhead-10-15", in_window), Judgement::refuted) << "other chunks refute it";
}

TEST(HeadlineTurns, Overlap) {
  SampleWorld saving;
  saving.polled_over_unpolled = 0.8;
  EXPECT_EQ(with_check("overlap-15-25", 1, saving), Judgement::supported);
  EXPECT_EQ(judgement_of("overlap-15-25", saving), Judgement::inconsistent) << "the overhead claim still excludes it";
  EXPECT_EQ(judgement_of("overlap-15-25", saving,
                         [](Json &claim) { claim["checks"][0]["constants"]["overhead"]["largest"] = 0.3; }),
            Judgement::supported);
}

TEST(HeadlineTurns, PackedMessages) {
  SampleWorld slow_start;
  slow_start.message_latency_s = 1.0;
  EXPECT_EQ(with_check("packed-kv-50-percent-latency", 0, slow_start), Judgement::supported);
  EXPECT_EQ(with_check("packed-kv-50-percent-latency", 0, {}), Judgement::refuted);
  EXPECT_EQ(with_check("packed-kv-50-percent-latency", 1, slow_start), Judgement::refuted);
}

TEST(HeadlineTurns, GpuCounts) {
  SampleWorld lean;
  lean.bytes_per_token = 2.0 * 4096;
  EXPECT_EQ(with_check("gpu-count-series", 0, lean), Judgement::supported);
  EXPECT_EQ(with_check("gpu-count-series", 0, {}), Judgement::refuted);
  EXPECT_EQ(with_check("gpu-count-series", 1, lean), Judgement::refuted);
}

TEST(HeadlineTurns, BlockSparse) {
  const auto modest = [](Json &claim) {
    claim["values"]["speedup_factor_min"] = 0.5;
    claim["values"]["speedup_factor_max"] = 10;
  };
  EXPECT_EQ(judgement_of("block-sparse-5-50x", {}, modest), Judgement::not_testable_here)
      << "what the links allow still waits for measured kernels";
}

} // namespace
} // namespace ringscale::claims
