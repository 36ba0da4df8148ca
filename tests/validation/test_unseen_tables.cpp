// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <cmath>

#include "tests/validation/validation_fixture.hpp"
#include "validation/attention_groups.hpp"
#include "validation/attention_time.hpp"

namespace ringscale::validation {
namespace {

using ::testing::HasSubstr;
using validation_tests::column_of;
using validation_tests::document_of;
using validation_tests::Json;
using validation_tests::machine_named;
using validation_tests::table_of;
using validation_tests::validate;

const Prediction &at(const TableResult &result, std::size_t row, const std::string &column) {
  for (const Prediction &prediction : result.predictions) {
    if (prediction.row == row && result.table->columns[prediction.column].name == column) {
      return prediction;
    }
  }
  throw std::out_of_range(column);
}

/// A machine and names that no shipped table has, columns in another order, times made by the simulator with constants
/// that the fit does not know: a table is data, and what it hides is found.
TEST(UnseenTable, OfRingTimesIsPredicted) {
  const Json setup{{"accelerator", "H200 SXM"}, {"interconnect", "NVLink"}, {"causal", true}, {"element_bytes", 2}};
  const Json columns =
      Json::array({column_of("layer_ms", "ms"), column_of("scheme", "-"), column_of("length", "1e3 tokens"),
                   column_of("accelerators", "GPUs"), column_of("width", "elements", "head_dim"),
                   column_of("head_dim", "elements"), column_of("n_query", "heads")});
  AttentionConstants hidden = starting_constants();
  hidden.unmasked_gain = 1.2;
  hidden.merge_bytes = 60.0;
  hidden.iteration_s = 5e-4;
  const machine::Machine &machine = machine_named("h200_ndr");
  Json rows = Json::array();
  for (const std::int64_t tokens : {32, 64, 128, 256}) {
    for (const std::string scheme : {"zigzag", "striped", "ring"}) {
      AttentionCell cell;
      cell.attention.tokens = tokens * 1000;
      cell.attention.query_heads = cell.attention.kv_heads = 16;
      cell.attention.head_dim = 128;
      cell.attention.mask = problem::Mask::causal;
      cell.devices = cell.ring_degree = 4;
      cell.kind = scheme == "zigzag"    ? RingKind::zigzag
                  : scheme == "striped" ? RingKind::striped
                                        : RingKind::contiguous;
      hidden.flop_per_s = tile_rate(machine, 0.8, 128, 2);
      const double seconds = attention_seconds(cell, machine, hidden);
      rows.push_back({{"layer_ms", seconds * 1e3},
                      {"scheme", scheme},
                      {"length", tokens},
                      {"accelerators", 4},
                      {"width", 2048},
                      {"head_dim", 128},
                      {"n_query", 16}});
    }
  }
  const auto tables = validation_tests::read(document_of(Json::array({table_of("Z9", setup, columns, rows)})));
  const auto results = validate(tables);
  const TableSummary &summary = results[0].summary;
  EXPECT_EQ(summary.not_predicted, 0U);
  EXPECT_EQ(summary.fitted, 4U);
  EXPECT_EQ(summary.models.cells, 8U);
  EXPECT_LE(summary.models.largest, 0.05) << "the hidden constants were not found";
  EXPECT_EQ(results[0].predictions[0].method, "ring simulated on h200_ndr");
}

TEST(UnseenTable, OfRatiosNeedsNoFormula) {
  const Json setup{{"gpu", "B200"}, {"gpus", 8}, {"heads", 32}, {"head_dim", 128}, {"causal", true}};
  const Json columns = Json::array({column_of("sequence_tokens", "tokens"), column_of("ring_ms", "ms"),
                                    column_of("zigzag_ms", "ms"), column_of("gain", "x", "ring_ms / zigzag_ms"),
                                    column_of("gain_of_stripes", "x", "striped over ring")});
  const Json rows = Json::array(
      {{{"sequence_tokens", 131072}, {"ring_ms", 30.0}, {"zigzag_ms", 17.0}, {"gain", 1.76}, {"gain_of_stripes", 1.7}},
       {{"sequence_tokens", 262144},
        {"ring_ms", 119.0},
        {"zigzag_ms", 66.0},
        {"gain", 1.8},
        {"gain_of_stripes", 1.75}}});
  const auto tables = validation_tests::read(document_of(Json::array({table_of("Z1", setup, columns, rows)})));
  const auto results = validate(tables);
  EXPECT_NEAR(*at(results[0], 0, "gain").value, 30.0 / 17.0, 1e-12);
  EXPECT_TRUE(at(results[0], 0, "gain").by_formula);
  // Without merges 15/8; with them less.
  const double stripes = *at(results[0], 1, "gain_of_stripes").value;
  EXPECT_GT(stripes, 1.3);
  EXPECT_LT(stripes, 15.0 / 8.0);
}

TEST(UnseenTable, OfKernelsOnOneDeviceIsPredicted) {
  const Json setup{{"gpu", "H100 80GB SXM5"}, {"pass", "fwd"}, {"dtype", "fp16"}};
  const Json columns = Json::array({column_of("causal", "-"), column_of("head_dim", "elements"),
                                    column_of("tflops_1k", "TFLOPs/s"), column_of("tflops_16k", "TFLOPs/s")});
  // FlashAttention-3, figure 5, read off: docs/published-tables.md.
  const Json rows = Json::array({{{"causal", true}, {"head_dim", 128}, {"tflops_1k", 423}, {"tflops_16k", 616}},
                                 {{"causal", false}, {"head_dim", 128}, {"tflops_1k", nullptr}, {"tflops_16k", 648}},
                                 {{"causal", true}, {"head_dim", 64}, {"tflops_1k", nullptr}, {"tflops_16k", 473}},
                                 {{"causal", false}, {"head_dim", 64}, {"tflops_1k", nullptr}, {"tflops_16k", 497}}});
  const auto tables = validation_tests::read(document_of(Json::array({table_of("Z2", setup, columns, rows)})));
  const auto results = validate(tables);
  EXPECT_EQ(results[0].summary.fitted, 2U);
  EXPECT_EQ(results[0].summary.models.cells, 3U);
  EXPECT_LE(results[0].summary.models.median, 0.1);
}

TEST(UnseenTable, OfBlocksContextsAndFlopHasClosedForms) {
  const Json block = table_of("Z3", {{"element_bytes", 2}},
                              Json::array({column_of("host", "-"), column_of("min_tokens_of_block", "tokens")}),
                              Json::array({{{"host", "H100 NVLink"}, {"min_tokens_of_block", 2000}}}));
  const Json ratio =
      table_of("Z4", {{"reference_context_tokens", 4096}},
               Json::array({column_of("hidden_size", "elements"), column_of("context_tokens", "tokens"),
                            column_of("flops_over_4k", "x")}),
               Json::array({{{"hidden_size", 4096}, {"context_tokens", 32768}, {"flops_over_4k", 2.0}}}));
  const auto tables = validation_tests::read(document_of(Json::array({block, ratio})));
  const auto results = validate(tables);
  EXPECT_NEAR(*at(results[0], 0, "min_tokens_of_block").value, 989e12 / 450e9, 1e-6);
  EXPECT_DOUBLE_EQ(*at(results[1], 0, "flops_over_4k").value, (6.0 * 4096.0 + 32768.0) / (7.0 * 4096.0));
}

TEST(UnseenTable, OfTrainingMemoryHasTheFormulasOfThePaper) {
  const Json columns =
      Json::array({column_of("layers", "layers"), column_of("hidden_size", "elements"), column_of("heads", "heads"),
                   column_of("tp", "GPUs"), column_of("pp", "stages"), column_of("batch_size", "sequences"),
                   column_of("micro_batch", "sequences"), column_of("recompute", "-"),
                   column_of("activations_gib", "GiB"), column_of("optimizer_gib", "GiB")});
  const Json rows = Json::array({{{"layers", 48},
                                  {"hidden_size", 6144},
                                  {"heads", 64},
                                  {"tp", 8},
                                  {"pp", 1},
                                  {"batch_size", 4},
                                  {"micro_batch", 4},
                                  {"recompute", "selective with seq parallel"},
                                  {"activations_gib", 9.5625},
                                  {"optimizer_gib", 45.5625}}});
  const auto tables = validation_tests::read(
      document_of(Json::array({table_of("Z5", {{"sequence_tokens", 2048}, {"gpu", "A100"}}, columns, rows)})));
  const auto results = validate(tables);
  EXPECT_NEAR(*at(results[0], 0, "activations_gib").value, 9.5625, 1e-9);
  EXPECT_NEAR(*at(results[0], 0, "optimizer_gib").value, 45.5625, 1e-9);
}

TEST(UnseenTable, OfPartsOfARingHasClosedForms) {
  const Json setup{{"gpu", "A100"}, {"gpus", 8}, {"heads", 32}, {"head_dim", 128}, {"element_bytes", 2}};
  const Json columns = Json::array({column_of("sequence_tokens", "tokens"), column_of("hop_us", "us"),
                                    column_of("communication_ms", "ms"), column_of("peak_memory_gib", "GiB"),
                                    column_of("mfu_percent", "%")});
  const Json rows = Json::array({{{"sequence_tokens", 65536},
                                  {"hop_us", 500},
                                  {"communication_ms", 3.5},
                                  {"peak_memory_gib", 0.5},
                                  {"mfu_percent", 50}}});
  const auto tables = validation_tests::read(document_of(Json::array({table_of("Z8", setup, columns, rows)})));
  const auto results = validate(tables);
  const double hop_s = 2e-6 + 2.0 * 8192.0 * 32.0 * 128.0 * 2.0 / 300e9;
  EXPECT_NEAR(*at(results[0], 0, "hop_us").value, 1e6 * hop_s, 1e-6);
  EXPECT_NEAR(*at(results[0], 0, "communication_ms").value, 7e3 * hop_s, 1e-9);
  EXPECT_EQ(at(results[0], 0, "hop_us").kind, "analytic");
  // Query, two blocks of keys and values, output and its partial: between six and twelve chunk-sized tensors of 64 MiB.
  EXPECT_GT(*at(results[0], 0, "peak_memory_gib").value, 6.0 / 16.0);
  EXPECT_LT(*at(results[0], 0, "peak_memory_gib").value, 12.0 / 16.0);
  EXPECT_GT(*at(results[0], 0, "mfu_percent").value, 30.0);
  EXPECT_LT(*at(results[0], 0, "mfu_percent").value, 75.0);
}

TEST(UnseenTable, SaysWhyItCannotPredict) {
  const Json columns =
      Json::array({column_of("sequence_tokens", "tokens"), column_of("time_ms", "ms"), column_of("power", "W"),
                   column_of("other_s", "s", "measured by others", "derived")});
  const Json rows = Json::array({{{"sequence_tokens", 1024}, {"time_ms", 1.0}, {"power", 300}, {"other_s", 2.0}}});
  const auto tables = validation_tests::read(
      document_of(Json::array({table_of("Z6", {{"gpu", "Gaudi"}, {"head_dim", 64}, {"heads", 8}}, columns, rows)})));
  const auto results = validate(tables);
  EXPECT_EQ(results[0].summary.not_predicted, 3U);
  EXPECT_THAT(at(results[0], 0, "time_ms").reason, HasSubstr("no machine file"));
  EXPECT_THAT(at(results[0], 0, "other_s").reason, HasSubstr("derived"));
  EXPECT_FALSE(at(results[0], 0, "power").reason.empty());
}

TEST(UnseenTable, WhatCannotBeSimulatedIsNamedAndDoesNotStopTheRest) {
  const Json setup{{"gpu", "A100"}, {"gpus", 8}, {"head_dim", 128}, {"heads", 8}};
  const Json columns = Json::array({column_of("sequence_tokens", "tokens"), column_of("ring_ms", "ms")});
  const Json rows =
      Json::array({{{"sequence_tokens", 3}, {"ring_ms", 1.0}}, {{"sequence_tokens", 65536}, {"ring_ms", 9.0}}});
  const auto tables = validation_tests::read(document_of(Json::array({table_of("Z7", setup, columns, rows)})));
  const auto results = validate(tables);
  EXPECT_THAT(at(results[0], 0, "ring_ms").reason, HasSubstr("cannot be simulated"));
  EXPECT_EQ(at(results[0], 1, "ring_ms").role, Role::predicted);
}

/// 300007 devices divide no node evenly and 9e10 steps would take a quarter of a minute; the rest is predicted.
TEST(UnseenTable, ARingOfTooManyStepsIsListedWithTheLimit) {
  const Json setup{{"gpu", "H100"}, {"heads", 16}, {"head_dim", 128}, {"causal", true}, {"seq_len", 1 << 30}};
  const Json columns = Json::array({column_of("gpus", "GPUs"), column_of("ring_ms", "ms"), column_of("zigzag_ms", "ms"),
                                    column_of("bwd_ring_ms", "ms")});
  Json rows = Json::array();
  for (const std::int64_t gpus : {256, 2048, 262144, 300007}) {
    rows.push_back({{"gpus", gpus}, {"ring_ms", 1e3}, {"zigzag_ms", 1e3}, {"bwd_ring_ms", 1e3}});
  }
  const auto tables = validation_tests::read(document_of(Json::array({table_of("Z10", setup, columns, rows)})));
  const auto results = validate(tables);
  for (const std::size_t row : {0U, 1U}) {
    EXPECT_NE(at(results[0], row, "ring_ms").role, Role::not_predicted) << at(results[0], row, "ring_ms").reason;
  }
  EXPECT_NE(at(results[0], 0, "bwd_ring_ms").role, Role::not_predicted);
  EXPECT_NE(at(results[0], 2, "zigzag_ms").role, Role::not_predicted) << "equal devices fold into one node";
  for (const char *column : {"ring_ms", "bwd_ring_ms"}) {
    for (const std::size_t row : {2U, 3U}) {
      const Prediction &cell = at(results[0], row, column);
      EXPECT_EQ(cell.role, Role::not_predicted) << column << row;
      EXPECT_FALSE(cell.value) << column << row;
      EXPECT_THAT(cell.reason, HasSubstr(std::string(column) == "ring_ms" ? "limit 1e+08" : "limit 4.19e+06"))
          << column << row;
    }
  }
}

} // namespace
} // namespace ringscale::validation
