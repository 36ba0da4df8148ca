// SPDX-License-Identifier: Apache-2.0
#include "sweep/plan.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "problem/invalid_input.hpp"
#include "sweep/describe.hpp"
#include "tests/report/expect_invalid.hpp"

namespace ringscale::sweep {
namespace {

Plan plan_of(const std::string &rest) {
  return expand(report::parse_json(R"({"schema":"ringscale.experiment","schema_version":1,"name":"test",)" + rest + "}",
                                   "f.json"),
                "f.json");
}

Plan plan_of_grid(const std::string &grid) { return plan_of(R"("grids":[{"name":"g",)" + grid + "}]"); }

void expect_refused(const std::string &rest, const std::vector<std::string> &parts) {
  expect_invalid([&] { plan_of(rest); }, parts);
}

void expect_grid_refused(const std::string &grid, const std::vector<std::string> &parts) {
  expect_invalid([&] { plan_of_grid(grid); }, parts);
}

TEST(Expand, WalksTheGridWithRingSizeFastest) {
  const Plan plan = plan_of_grid(
      R"("kind":"measured","tokens":4099,"query_heads":8,"kv_heads":2,"mask":"causal","placement":["zigzag","striped"],
         "ring_size":{"powers_of_two":[1,4]},"repetitions":3)");
  ASSERT_EQ(plan.points.size(), 6U);
  EXPECT_EQ(plan.points[0].problem().placement, schedule::Placement::zigzag);
  EXPECT_EQ(plan.points[1].problem().ring_size, 2);
  EXPECT_EQ(plan.points[3].problem().placement, schedule::Placement::striped);
  EXPECT_EQ(plan.points[3].problem().ring_size, 1);
  EXPECT_EQ(plan.points[5].problem().attention.tokens, 4099);
  EXPECT_EQ(plan.points[5].problem().attention.kv_heads, 2);
  EXPECT_EQ(plan.points[5].ring.repetitions, 3);
  EXPECT_EQ(plan.largest_measured_ring(), 4);
}

TEST(Expand, ReadsPointsOfMergeErrors) {
  const Plan plan = plan_of_grid(
      R"("kind":"merge_error","dtype":"bfloat16","merge_dtype":["float32","bfloat16"],"tokens":64,"query_heads":2,
         "query_tokens":5,"repetitions":3,"merged_blocks":{"powers_of_two":[1,4]})");
  ASSERT_EQ(plan.points.size(), 6U);
  EXPECT_EQ(plan.points[2].merge_error.merged_blocks, 4);
  EXPECT_EQ(plan.points[2].merge_error.merge_dtype, problem::DType::float32);
  EXPECT_EQ(plan.points[3].merge_error.merge_dtype, problem::DType::bfloat16);
  EXPECT_EQ(plan.points[3].merge_error.problem.dtype, problem::DType::bfloat16);
  EXPECT_EQ(plan.points[3].merge_error.samples, 3);
  EXPECT_EQ(plan.points[3].problem().attention.tokens, 64);
  EXPECT_EQ(plan.largest_measured_ring(), 1);
  EXPECT_EQ(estimate(plan).measured_points, 6U);
  EXPECT_EQ(estimate(plan).measured_flop, 6.0 * 3 * 4 * 5 * 64 * 2 * 64);
  expect_grid_refused(R"("kind":"merge_error","tokens":8,"merged_blocks":9)", {"$.grids[0]", "merged_blocks is 9"});
  expect_grid_refused(R"("kind":"merge_error","tokens":8,"merged_blocks":2,"merge_dtype":"float16")",
                      {"merge_dtype is float16", "float32"});
  expect_grid_refused(R"("kind":"merge_error","tokens":8,"merged_blocks":2,"dtype":"float8_e5m2")", {"float8_e5m2"});
  expect_grid_refused(R"("kind":"merge_error","tokens":8,"merged_blocks":2,"ring_size":2)", {"ring_size is unknown"});
}

TEST(Expand, TakesChunkTokensForWeakScaling) {
  const Plan plan = plan_of_grid(R"("kind":"simulated","chunk_tokens":4096,"ring_size":[1,262144])");
  EXPECT_EQ(plan.points[0].problem().attention.tokens, 4096);
  EXPECT_EQ(plan.points[1].problem().attention.tokens, std::int64_t{4096} * 262144);
  EXPECT_EQ(plan.points[0].problem().attention.kv_heads, 8) << "as many as query heads unless told";
}

TEST(Expand, LetsGridsOverrideDefaults) {
  const Plan plan = plan_of(R"("defaults":{"head_dim":128,"tokens":64,"repetitions":9,"jitter":0.02},"grids":[
      {"name":"a","kind":"measured","ring_size":1},
      {"name":"b","kind":"simulated","ring_size":2,"chunk_tokens":8,"head_dim":32},
      {"name":"c","kind":"analytic","ring_size":4,"model":["ideal_sharded","serial_chunk_loop"]}])");
  ASSERT_EQ(plan.points.size(), 4U);
  EXPECT_EQ(plan.points[0].problem().attention.head_dim, 128);
  EXPECT_EQ(plan.points[0].ring.repetitions, 9);
  EXPECT_EQ(plan.points[1].problem().attention.head_dim, 32);
  EXPECT_EQ(plan.points[1].problem().attention.tokens, 16);
  EXPECT_EQ(plan.points[1].simulate.jitter, "0.02");
  EXPECT_EQ(plan.points[3].model, memory::MemoryModel::serial_chunk_loop);
  EXPECT_EQ(plan.points[3].problem().attention.tokens, 64);
}

TEST(Expand, TakesWhateverSimulateTakes) {
  const Plan plan = plan_of_grid(
      R"("kind":"simulated","chunk_tokens":64,"ring_size":6,"machine":"a.json:4,b.json:2","jitter":["measured",0.25],
         "stragglers":"0.1:1.5","device_speeds":"1,1,1,0.5,2e0,1","tile_speedup":1.25,"engine":"plan","tick_bits":20,
         "device_mtbf_s":1e6,"passes":7,"checkpoint_interval":["daly",3600],"checkpoint_bytes":"40GB",
         "checkpoint_bandwidth":"2GB","failure_detection_s":3,"restart_time_s":4,"failure_trials":0,"balance_chunks":true)");
  ASSERT_EQ(plan.points.size(), 4U);
  EXPECT_EQ(plan.machines(), (std::set<std::string>{"a.json", "b.json"}));
  EXPECT_NE(plan.points[0].id.find("_ring_6_a_b_"), std::string::npos) << plan.points[0].id;
  simulator::SimulationOptions options;
  apply(plan.points[2].simulate, Spelling::keys, options);
  EXPECT_EQ(options.failures.rule, simulator::CheckpointRule::given);
  EXPECT_EQ(options.failures.interval_s, 3600.0);
  EXPECT_EQ(options.failures.checkpoint_bytes, 40e9);
  EXPECT_EQ(options.failures.checkpoint_bandwidth_bytes_per_s, 2e9);
  EXPECT_EQ(options.failures.device_mtbf_s, 1e6);
  EXPECT_EQ(options.failures.detection_s, 3.0);
  EXPECT_EQ(options.failures.restart_s, 4.0);
  EXPECT_EQ(options.failures.passes, 7);
  EXPECT_EQ(options.failures.trials, 0);
  EXPECT_TRUE(options.measured_jitter);
  EXPECT_EQ(options.straggler_share, 0.1);
  EXPECT_EQ(options.straggler_factor, 1.5);
  EXPECT_EQ(options.device_speeds, (std::vector<double>{1, 1, 1, 0.5, 2, 1}));
  EXPECT_EQ(options.tile_speedup, 1.25);
  EXPECT_EQ(options.engine, simulator::Engine::plan);
  EXPECT_EQ(options.tick_bits, 20);
  apply(plan.points[3].simulate, Spelling::keys, options);
  EXPECT_EQ(options.jitter, 0.25);
  EXPECT_FALSE(options.measured_jitter);
}

TEST(Expand, NamesWhatIsWrongWithASimulatedPoint) {
  const auto refused = [](const std::string &settings, const std::vector<std::string> &parts) {
    expect_grid_refused(R"("kind":"simulated","tokens":64,"ring_size":4,)" + settings, parts);
  };
  refused(R"("jitter":0.3)", {"f.json: $.grids[0].jitter is 0.3"});
  refused(R"("jitter":"much")", {"f.json: $.grids[0]", "jitter is 'much'", "measured"});
  refused(R"("stragglers":"half")", {"$.grids[0]", "stragglers is 'half'", "SHARE:FACTOR"});
  refused(R"("stragglers":0.5)", {"$.grids[0]", "SHARE:FACTOR"});
  refused(R"("device_speeds":"1,,2,3")", {"$.grids[0].device_speeds is '1,,2,3'", "commas"});
  refused(R"("device_speeds":"1,2,3,")", {"$.grids[0].device_speeds", "commas"});
  refused(R"("device_speeds":"1,2")", {"device_speeds has 2 entries"});
  refused(R"("machine":"a.json:2,b.json:1")", {"machine names 3 devices", "ring_size 4"});
  refused(R"("machine":"a.json:2,b.json")", {"machine b.json", "FILE:COUNT"});
  refused(R"("engine":"fast")", {"engine 'fast'"});
  refused(R"("tick_bits":41)", {"$.grids[0].tick_bits is 41"});
  refused(R"("passes":0)", {"$.grids[0].passes is 0"});
  refused(R"("checkpoint_interval":"often")", {"checkpoint_interval is 'often'", "daly"});
  refused(R"("checkpoint_bytes":"40GB")", {"no effect without checkpoint_interval"});
  refused(R"("checkpoint_interval":"daly","checkpoint_bytes":"40 parsecs")", {"checkpoint_bytes", "40 parsecs"});
  refused(R"("one_node":true,"ranks_on_node":2)", {"one_node and ranks_on_node exclude"});
  refused(R"("balance_chunks":true,"chunk_weights":"1,1,1,1")", {"balance_chunks and chunk_weights exclude"});
  refused(R"("stragler":"0.1:2")", {"$.grids[0].stragler is unknown", "'stragglers'"});
}

TEST(Expand, GivesStableReadableIds) {
  const Plan small = plan_of_grid(R"("kind":"measured","tokens":64,"ring_size":[1,2])");
  const Plan large = plan_of_grid(R"("kind":"measured","tokens":[32,64],"ring_size":[1,2,4])");
  EXPECT_EQ(small.points[1].id, large.points[4].id);
  EXPECT_EQ(small.points[1].id.substr(0, small.points[1].id.size() - 8),
            "g/ring_contiguous_mask_none_tokens_64_ring_2_");
  std::set<std::string> ids;
  for (const Point &point : large.points) {
    EXPECT_TRUE(ids.insert(point.id).second) << point.id;
  }
  EXPECT_NE(small.identity, large.identity);
}

TEST(Expand, RereadsItsOwnSettings) {
  // Other ranks are sent the settings alone; they must arrive at the same point.
  const Plan plan = plan_of_grid(R"("kind":"measured","chunk_tokens":33,"placement":"zigzag","ring_size":3,
                                    "softmax":"per_chunk","progress":"unpolled","verify":false,"deadline_s":2.5)");
  const Point &point = plan.points[0];
  const Point again = read_point(point.kind, point.grid, point.settings, "order", "$");
  EXPECT_EQ(again.id, point.id);
  EXPECT_EQ(again.ring.softmax, ring::SoftmaxRule::per_chunk);
  EXPECT_FALSE(again.ring.poll_progress);
  EXPECT_FALSE(again.ring.verify);
  EXPECT_EQ(again.ring.deadline_s, 2.5);
}

TEST(Expand, RefusesBadDocuments) {
  expect_invalid([] { expand(report::parse_json("{}", "f.json"), "f.json"); }, {"$.schema is missing"});
  expect_invalid(
      [] { expand(report::parse_json(R"({"schema":"ringscale.experiment","schema_version":9})", "f"), "f"); },
      {"schema_version is 9"});
  expect_refused(R"("grids":[])", {"$.grids is empty"});
  expect_refused(R"("grid":[])", {"$.grids is missing", "'grid'"});
  expect_refused(R"("grids":[],"defualts":{})", {"$.defualts is unknown", "'defaults'"});
  expect_refused(R"("grids":[],"defaults":{"toknes":1})", {"$.defaults.toknes is unknown", "'tokens'"});
  expect_refused(R"("grids":[{"name":"a","kind":"measured","tokens":8,"ring_size":1},
                             {"name":"a","kind":"measured","tokens":9,"ring_size":1}])",
                 {"$.grids[1].name", "another grid has already"});
  expect_refused(R"("grids":[{"name":"a b","kind":"measured","tokens":8,"ring_size":1}])", {"$.grids[0].name"});
}

TEST(Expand, RefusesBadGrids) {
  expect_grid_refused(R"("kind":"guessed")", {"$.grids[0].kind", "measured, simulated, analytic"});
  expect_grid_refused(R"("kind":"measured","tokens":8)", {"$.grids[0].ring_size is missing"});
  expect_grid_refused(R"("kind":"measured","tokens":8,"ring_size":0)", {"$.grids[0].ring_size is 0", "between 1"});
  expect_grid_refused(R"("kind":"measured","tokens":-8,"ring_size":1)", {"$.grids[0].tokens is -8"});
  expect_grid_refused(R"("kind":"measured","ring_size":1)", {"either tokens or chunk_tokens"});
  expect_grid_refused(R"("kind":"measured","tokens":8,"chunk_tokens":4,"ring_size":1)",
                      {"either tokens or chunk_tokens"});
  expect_grid_refused(R"("kind":"measured","tokens":3,"ring_size":[1,4])", {"$.grids[0]", "tokens"});
  expect_grid_refused(R"("kind":"measured","tokens":8,"ring_size":1,"placement":"diagonal")",
                      {"$.grids[0].placement", "contiguous, zigzag"});
  expect_grid_refused(R"("kind":"measured","tokens":8,"ring_size":1,"query_heads":8,"kv_heads":3)", {"multiple"});
  expect_grid_refused(R"("kind":"measured","tokens":8,"ring_size":1,"dtype":"float16")",
                      {"$.grids[0].dtype", "float16", "float32"});
  expect_grid_refused(R"("kind":"measured","tokens":8,"ring_size":1,"dtype":"bfloat16","pass":"backward")",
                      {"$.grids[0].dtype", "bfloat16", "backward"});
  expect_grid_refused(R"("kind":"measured","tokens":8,"ring_size":1,"jitter":0.1)", {"$.grids[0].jitter is unknown"});
  expect_grid_refused(R"("kind":"simulated","tokens":8,"ring_size":1,"jitter":-0.1)", {"$.grids[0].jitter is -0.1"});
  expect_grid_refused(R"("kind":"measured","tokens":8,"ring_size":1,"repetitions":[1,2])",
                      {"$.grids[0].repetitions is an array"});
  expect_grid_refused(R"("kind":"analytic","tokens":8,"ring_size":1,"model":"magic")", {"$.grids[0].model"});
  expect_grid_refused(R"("kind":"simulated","chunk_tokens":1125899906842624,"ring_size":2)", {"chunk_tokens"});
}

TEST(Expand, LimitsTheNumberOfPoints) {
  expect_grid_refused(R"("kind":"simulated","tokens":{"range":[1,1000,1]},"seed":{"range":[1,101,1]},"ring_size":1)",
                      {"$.grids[0]", "100000 points"});
  EXPECT_EQ(plan_of_grid(R"("kind":"analytic","tokens":{"range":[1,1000,1]},"ring_size":1)").points.size(), 1000U);
}

TEST(Estimate, CountsWorkFromFirstPrinciples) {
  const Plan plan = plan_of(R"("defaults":{"tokens":64,"query_heads":2,"head_dim":16},"grids":[
      {"name":"a","kind":"measured","ring_size":[1,2],"warmup":1,"repetitions":4},
      {"name":"b","kind":"simulated","ring_size":8}, {"name":"c","kind":"analytic","ring_size":8}])");
  const WorkEstimate work = estimate(plan);
  EXPECT_EQ(work.measured_points, 2U);
  EXPECT_EQ(work.simulated_points, 1U);
  EXPECT_EQ(work.analytic_points, 1U);
  EXPECT_EQ(work.measured_flop, 2.0 * 5.0 * 4.0 * 64.0 * 64.0 * 2.0 * 16.0);
  EXPECT_EQ(work.simulated_device_steps, 64.0);
  const double one_tensor = 64.0 * 2.0 * 16.0 * 4.0;
  EXPECT_GT(work.largest_measured_memory_bytes, 4.0 * one_tensor);
  EXPECT_LT(work.largest_measured_memory_bytes, 8.0 * one_tensor);
}

TEST(Estimate, CountsThePairsAndThePassThatAreRun) {
  const auto flop = [](const std::string &settings) {
    const std::string common =
        R"("kind":"measured","tokens":64,"query_heads":2,"head_dim":16,"ring_size":2,"warmup":0,)"
        R"("repetitions":1)";
    return estimate(plan_of_grid(settings.empty() ? common : common + "," + settings)).measured_flop;
  };
  const double dense = 4.0 * 64.0 * 64.0 * 2.0 * 16.0;
  EXPECT_EQ(flop(""), dense) << "the control";
  EXPECT_EQ(flop(R"("pass":"backward")"), 2.5 * dense);
  EXPECT_EQ(flop(R"("mask":"causal")"), 4.0 * (64.0 * 65.0 / 2.0) * 2.0 * 16.0);
  // Segments of 16 attend among themselves alone: a quarter of the pairs.
  EXPECT_EQ(flop(R"("pattern":"dilated","segment_lengths":"16","dilation_rates":"1")"), dense / 4.0);
}

TEST(Expand, RefusesListsThatEndInAComma) {
  expect_grid_refused(R"("kind":"measured","tokens":64,"ring_size":1,"pattern":"dilated","segment_lengths":"16,",)"
                      R"("dilation_rates":"1")",
                      {"segment_lengths", "commas between"});
}

TEST(Describe, ShowsEveryPoint) {
  const Plan plan = plan_of_grid(R"("kind":"measured","tokens":64,"ring_size":[1,2,4])");
  const std::vector<std::string> lines = describe(plan);
  EXPECT_EQ(lines.front(), "experiment test: 3 points (3 measured, 0 simulated, 0 analytic)");
  EXPECT_NE(lines.back().find(plan.points.back().id), std::string::npos);
  EXPECT_EQ(plan_document(plan)["points"].size(), 3U);
}

} // namespace
} // namespace ringscale::sweep
