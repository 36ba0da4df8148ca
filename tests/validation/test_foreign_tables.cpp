// SPDX-License-Identifier: Apache-2.0
// Tables as strangers write them: figures are made up, settings and units are spelt as papers spell them. A setting
// that is misread by 8 or 1000 is the worst that can happen here, so these tests look at what was understood.
#include <gmock/gmock.h>

#include <cmath>

#include "tests/validation/validation_fixture.hpp"

namespace ringscale::validation {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using validation_tests::column_of;
using validation_tests::document_of;
using validation_tests::Json;
using validation_tests::read;
using validation_tests::table_of;

/// Tables and what came out of them; the results point into the tables.
struct Answer {
  std::vector<Table> tables;
  std::vector<TableResult> results;

  explicit Answer(const Json &list) : tables(read(document_of(list))), results(validation_tests::validate(tables)) {}

  const Prediction &at(std::size_t row, const std::string &column, std::size_t table = 0) const {
    for (const Prediction &prediction : results[table].predictions) {
      if (prediction.row == row && tables[table].columns[prediction.column].name == column) {
        return prediction;
      }
    }
    throw std::out_of_range(column);
  }
};

/// One row of one column beside others, in a setup of eight A100.
Json setup_of(const Json &changes) {
  Json setup{{"gpu", "A100"},   {"gpus", 8},      {"heads", 32},
             {"head_dim", 128}, {"causal", true}, {"sequence_tokens", 65536}};
  for (const auto &[key, value] : changes.items()) {
    if (value.is_null()) {
      setup.erase(key);
    } else {
      setup[key] = value;
    }
  }
  return setup;
}

Answer of_one(const Json &setup, const Json &columns, const Json &row) {
  return Answer(Json::array({table_of("F", setup, columns, Json::array({row}))}));
}

const Json ring_ms = Json::array({column_of("ring_ms", "ms")});

TEST(ForeignTable, UnitsInNamesOfSettingsCount) {
  const Answer setup =
      of_one(setup_of({{"sequence_tokens", nullptr}, {"context_ktokens", 64}}), ring_ms, {{"ring_ms", 20}});
  EXPECT_THAT(setup.at(0, "ring_ms").read_as, HasSubstr("64000 tokens in all"));
  const Answer column = of_one(setup_of({{"sequence_tokens", nullptr}}),
                               Json::array({column_of("context_ktokens", "-"), column_of("ring_ms", "ms")}),
                               {{"context_ktokens", 64}, {"ring_ms", 20}});
  EXPECT_THAT(column.at(0, "ring_ms").read_as, HasSubstr("64000 tokens in all"));
  const Answer words =
      of_one(setup_of({{"sequence_tokens", "64K"}, {"gpus", "16 x A100"}}), ring_ms, {{"ring_ms", 20}});
  EXPECT_THAT(words.at(0, "ring_ms").read_as, AllOf(HasSubstr("65536 tokens in all"), HasSubstr("16 x a100")));
  EXPECT_EQ(words.tables[0].remarks.size(), 2U);
}

TEST(ForeignTable, TokensOfADeviceAreNotThoseOfAll) {
  const Answer answer =
      of_one(setup_of({{"sequence_tokens", nullptr}}),
             Json::array({column_of("sequence_tokens", "tokens per GPU"), column_of("ring_ms", "ms")}),
             {{"sequence_tokens", 8192}, {"ring_ms", 40}});
  EXPECT_THAT(answer.at(0, "ring_ms").read_as, HasSubstr("65536 tokens in all"));
}

TEST(ForeignTable, DevicesAreFoundInWordsNamesAndNodes) {
  const Json columns = Json::array({column_of("system", "-"), column_of("ring_ms", "ms")});
  const Answer words = of_one(setup_of({{"gpu", nullptr}, {"gpus", nullptr}}), columns,
                              {{"system", "16 x A100-80GB-SXM"}, {"ring_ms", 20}});
  EXPECT_THAT(words.at(0, "ring_ms").read_as, HasSubstr("16 x a100_nvlink_hdr"));
  const Answer nodes =
      of_one(setup_of({{"gpus", nullptr}, {"nodes", 4}, {"gpus_per_node", 8}}), ring_ms, {{"ring_ms", 20}});
  EXPECT_THAT(nodes.at(0, "ring_ms").read_as, HasSubstr("32 x a100_nvlink_hdr"));
  const Answer names = of_one(setup_of({{"gpus", nullptr}}), Json::array({column_of("ring_16_gpus_ms", "ms")}),
                              {{"ring_16_gpus_ms", 20}});
  EXPECT_THAT(names.at(0, "ring_16_gpus_ms").read_as, HasSubstr("16 x a100_nvlink_hdr"));
  const Answer no_tokens = of_one(setup_of({{"gpus", nullptr}, {"sequence_tokens", nullptr}}),
                                  Json::array({column_of("ring_1024_gpus_ms", "ms")}), {{"ring_1024_gpus_ms", 20}});
  EXPECT_THAT(no_tokens.at(0, "ring_1024_gpus_ms").reason, HasSubstr("no tokens")) << "1024 are devices";
  const Answer none = of_one(setup_of({{"gpus", nullptr}}), ring_ms, {{"ring_ms", 20}});
  EXPECT_THAT(none.at(0, "ring_ms").reason, HasSubstr("no number of devices")) << "a ring is not one device";
}

TEST(ForeignTable, AnUnclearNumberOfDevicesIsNotGuessed) {
  const auto said = [](const Json &changes, const char *column = "time") {
    Json all{{"gpus", nullptr}, {"gpu", nullptr}};
    all.update(changes);
    const Answer answer = of_one(setup_of(all), Json::array({column_of(column, "ms")}), {{column, 60}});
    return answer.at(0, column).read_as + answer.at(0, column).reason;
  };
  EXPECT_THAT(said({{"hardware", "8x H100 SXM"}}), HasSubstr("8 x h100_ndr"));
  EXPECT_THAT(said({{"hardware", "H100"}, {"nodes", 4}, {"gpus_per_node", 8}}), HasSubstr("32 x h100_ndr"));
  EXPECT_THAT(said({{"hardware", "8x H100 per node"}, {"nodes", 4}}), HasSubstr("32 x h100_ndr"));
  EXPECT_THAT(said({{"hardware", "8x H100"}, {"nodes", 1}}), HasSubstr("8 x h100_ndr"));
  EXPECT_THAT(said({{"hardware", "8x H100"}, {"nodes", 4}}), HasSubstr("not clear")) << "8 or 32";
  EXPECT_THAT(said({{"hardware", "H100"}, {"nodes", 4}}), HasSubstr("not clear")) << "not one";
  EXPECT_THAT(said({{"hardware", "2 nodes (8 H100)"}}), HasSubstr("not clear"));
  EXPECT_THAT(said({{"hardware", "H100"}}), HasSubstr("not said and assumed: one device"));
  EXPECT_THAT(said({{"hardware", "H100"}}, "ring_time"), HasSubstr("no number of devices"));
}

TEST(ForeignTable, TensorParallelDevicesDivideHeadsAndNotTokens) {
  const Answer answer = of_one(setup_of({{"gpus", 32}, {"tp", 4}, {"cp", 8}}), ring_ms, {{"ring_ms", 12}});
  EXPECT_THAT(answer.at(0, "ring_ms").read_as, AllOf(HasSubstr("ring of 8"), HasSubstr("8/8 heads")));
  const Answer wrong = of_one(setup_of({{"gpus", 32}, {"tp", 4}, {"cp", 4}}), ring_ms, {{"ring_ms", 12}});
  EXPECT_THAT(wrong.at(0, "ring_ms").reason, HasSubstr("are not all devices"));
  const Answer data = of_one(setup_of({{"gpus", 32}, {"dp", 4}, {"cp", 8}}), ring_ms, {{"ring_ms", 12}});
  EXPECT_THAT(data.at(0, "ring_ms").reason, HasSubstr("not modelled"));
}

TEST(ForeignTable, TheNearestWordsNameTheDevice) {
  const Answer note = of_one(setup_of({{"gpu", "H100"}, {"about", "compare with the A100 figures of another paper"}}),
                             ring_ms, {{"ring_ms", 12}});
  EXPECT_THAT(note.at(0, "ring_ms").read_as, HasSubstr("h100_ndr"));
  const Answer columns = of_one(setup_of({{"gpu", nullptr}}),
                                Json::array({column_of("ring_a100_ms", "ms"), column_of("ring_h100_ms", "ms")}),
                                {{"ring_a100_ms", 48}, {"ring_h100_ms", 20}});
  EXPECT_THAT(columns.at(0, "ring_a100_ms").read_as, HasSubstr("a100_nvlink_hdr"));
  EXPECT_THAT(columns.at(0, "ring_h100_ms").read_as, HasSubstr("h100_ndr"));
  const Answer unknown = of_one(setup_of({{"gpu", "GH200"}, {"about", "as on A100"}}), ring_ms, {{"ring_ms", 12}});
  EXPECT_THAT(unknown.at(0, "ring_ms").reason, HasSubstr("no machine file"));
  const Answer two = of_one(setup_of({{"gpu", "A100 and H100"}}), ring_ms, {{"ring_ms", 12}});
  EXPECT_THAT(two.at(0, "ring_ms").reason, AllOf(HasSubstr("a100"), HasSubstr("h100")));
}

/// One implementation at 280 TFLOP/s of each device, printed for one and for all: both columns must mean the same time.
TEST(ForeignTable, FlopRatesAreOfOneDeviceUnlessTheyAreBeyondItsPeak) {
  const Json columns = Json::array({column_of("gpus", "GPUs"), column_of("tflops_per_gpu", "TFLOP/s"),
                                    column_of("throughput", "TFLOPs"), column_of("speed", "TFLOP/s")});
  Json rows = Json::array();
  for (const int gpus : {2, 4, 8}) {
    rows.push_back({{"gpus", gpus}, {"tflops_per_gpu", 200}, {"throughput", 200 * gpus}, {"speed", 200}});
  }
  const Answer answer(Json::array({table_of("F", setup_of({{"gpus", nullptr}, {"causal", false}}), columns, rows)}));
  for (const std::size_t row : {0U, 1U, 2U}) {
    const double one = *answer.at(row, "tflops_per_gpu").value;
    EXPECT_NEAR(*answer.at(row, "throughput").value, one * std::pow(2.0, row + 1.0), 1e-6 * one);
    EXPECT_NEAR(*answer.at(row, "speed").value, one, 1e-6 * one);
  }
}

/// 32 devices at 300 TFLOP/s each, 4 of them dividing the heads: printed in four ways it is one time.
TEST(ForeignTable, RatesOfTensorParallelDevicesAreOfAllOfThem) {
  const double flop = 4.0 * 65536.0 * 65536.0 * 32.0 * 128.0;
  const double seconds = flop / (32.0 * 200e12);
  const Json columns = Json::array({column_of("total_tflops", "TFLOP/s"), column_of("tflops_per_gpu", "TFLOP/s"),
                                    column_of("tokens_of_one", "tokens/s/GPU"), column_of("time", "s")});
  const Answer answer = of_one(setup_of({{"gpus", 32}, {"tp", 4}, {"cp", 8}, {"causal", false}}), columns,
                               {{"total_tflops", 6400},
                                {"tflops_per_gpu", 200},
                                {"tokens_of_one", 65536.0 / seconds / 32.0},
                                {"time", seconds}});
  const double predicted_s = *answer.at(0, "time").value;
  EXPECT_NEAR(*answer.at(0, "total_tflops").value, flop / predicted_s / 1e12, 1e-6 * flop / predicted_s / 1e12);
  EXPECT_NEAR(*answer.at(0, "tflops_per_gpu").value * 32.0, *answer.at(0, "total_tflops").value, 1e-3);
  EXPECT_NEAR(*answer.at(0, "tokens_of_one").value, 65536.0 / predicted_s / 32.0, 1e-6 * 65536.0 / predicted_s);
  for (const char *column : {"total_tflops", "tflops_per_gpu", "tokens_of_one", "time"}) {
    EXPECT_EQ(answer.at(0, column).doubt, "") << column;
  }
  const Answer no_heads = of_one(setup_of({{"gpus", 32}, {"tp", 4}, {"heads", nullptr}}),
                                 Json::array({column_of("ring_ms", "ms")}), {{"ring_ms", 12}});
  EXPECT_THAT(no_heads.at(0, "ring_ms").reason, HasSubstr("no heads"));
}

TEST(ForeignTable, AHopBesideAnAllToAllMovesTheHeadsOfOneDevice) {
  const auto hop_us = [](int ring, int all_to_all) {
    return *of_one(setup_of({{"gpus", ring * all_to_all}, {"ring_degree", ring}, {"ulysses_degree", all_to_all}}),
                   Json::array({column_of("hop", "us")}), {{"hop", 500}})
                .at(0, "hop")
                .value;
  };
  // Both move 65536 / 4 x 32 / 2 tokens x heads on the node's links; latency 2 us.
  EXPECT_NEAR(hop_us(4, 2) - 2.0, (hop_us(4, 1) - 2.0) / 2.0, 1e-6);
  const Answer backward = of_one(setup_of({}), Json::array({column_of("bwd_comm", "us")}), {{"bwd_comm", 500}});
  EXPECT_THAT(backward.at(0, "bwd_comm").reason, HasSubstr("backward pass"));
}

TEST(ForeignTable, LettersAreUnitsOfLengthsAndUnknownUnitsAreNoSettings) {
  const auto read_as = [](const char *unit, const Json &length) {
    const Answer answer = of_one(setup_of({{"sequence_tokens", nullptr}}),
                                 Json::array({column_of("seq_len", unit), column_of("ring_ms", "ms")}),
                                 {{"seq_len", length}, {"ring_ms", 60}});
    const Prediction &prediction = answer.at(0, "ring_ms");
    return prediction.read_as + prediction.reason;
  };
  EXPECT_THAT(read_as("K", 128), HasSubstr("131072 tokens in all"));
  EXPECT_THAT(read_as("k", 100), HasSubstr("100000 tokens in all"));
  EXPECT_THAT(read_as("furlongs", 128), HasSubstr("no tokens")) << "and not 128";
  const Answer labels =
      of_one(setup_of({}), Json::array({column_of("method", "name"), column_of("note", ""), column_of("time", "ms")}),
             {{"method", "striped"}, {"note", "x"}, {"time", 60}});
  EXPECT_THAT(labels.at(0, "time").read_as, HasSubstr("striped ring of 8")) << "texts alone are labels";
}

TEST(ForeignTable, ABatchInTokensIsNotOneOfSequences) {
  const Json setup{{"gpu", "A100"}, {"gpus", 64}, {"tp", 2}, {"model", "7B"}, {"sequence_tokens", 4096}};
  const auto read_as = [&](const Json &changes, const Json &columns, const Json &row) {
    Json changed = setup;
    changed.update(changes);
    return of_one(changed, columns, row).at(0, "mfu").read_as;
  };
  const Json mfu = Json::array({column_of("mfu", "%")});
  EXPECT_THAT(read_as({{"global_batch", 1024}}, mfu, {{"mfu", 45}}), HasSubstr("batch 1024")) << "the control";
  EXPECT_THAT(read_as({{"global_batch", "4M tokens"}}, mfu, {{"mfu", 45}}), HasSubstr("batch 1024"));
  EXPECT_THAT(read_as(Json::object(), Json::array({column_of("global_batch", "M tokens"), column_of("mfu", "%")}),
                      {{"global_batch", 4.194304}, {"mfu", 45}}),
              HasSubstr("batch 1024"));
}

TEST(ForeignTable, FiguresPrintedAsTextsAreFiguresWhereTheNameSaysTheirUnit) {
  const Json columns = Json::array({column_of("Method", "-"), column_of("Seq len", "-"), column_of("Fwd (ms)", "-"),
                                    column_of("MFU", "-"), column_of("Max context", "-"), column_of("remark", "-")});
  const Json rows = Json::array({{{"Method", "Ring"},
                                  {"Seq len", "64K"},
                                  {"Fwd (ms)", "32.1*"},
                                  {"MFU", "40%"},
                                  {"Max context", "1M"},
                                  {"remark", "12"}},
                                 {{"Method", "Striped"},
                                  {"Seq len", "128K"},
                                  {"Fwd (ms)", "OOM"},
                                  {"MFU", "-"},
                                  {"Max context", "2M"},
                                  {"remark", "13"}}});
  const Json setup{{"GPU", "8x H100 SXM"}, {"Heads", "32"}, {"Head dim", 128}, {"causal", "True"}};
  const Answer answer(Json::array({table_of("F", setup, columns, rows)}));
  EXPECT_EQ(*answer.tables[0].number(0, 2), 32.1);
  EXPECT_THAT(answer.at(0, "Fwd (ms)").read_as,
              AllOf(HasSubstr("8 x h100_ndr, contiguous ring"), HasSubstr("65536 tokens"),
                    HasSubstr("32/32 heads of 128"), HasSubstr(", causal")));
  EXPECT_EQ(answer.at(1, "Fwd (ms)").printed, "OOM");
  EXPECT_EQ(*answer.tables[0].number(0, 3), 40.0);
  EXPECT_EQ(answer.tables[0].columns[3].unit.dimension, "%");
  EXPECT_EQ(*answer.tables[0].number(0, 4), 1048576.0);
  EXPECT_EQ(answer.tables[0].columns[5].unit.dimension, "text") << "the control: numbers without a unit are labels";
  // Nothing is said of a mask: that is an assumption and printed as one.
  const Answer bare = of_one(setup_of({{"causal", nullptr}, {"attention", "flash"}}), ring_ms, {{"ring_ms", 20}});
  EXPECT_THAT(bare.at(0, "ring_ms").read_as, HasSubstr("assumed: batch 1, no mask"));
}

TEST(ForeignTable, AFigureBeyondThePeakIsDoubted) {
  const Answer doubted = of_one(setup_of({}), ring_ms, {{"ring_ms", 2.0}});
  EXPECT_THAT(doubted.at(0, "ring_ms").doubt, AllOf(HasSubstr("beyond its peak of 312"), HasSubstr("TFLOP/s")));
  EXPECT_EQ(doubted.results[0].summary.doubted, 1U);
  const Answer fine = of_one(setup_of({}), ring_ms, {{"ring_ms", 30.0}});
  EXPECT_EQ(fine.at(0, "ring_ms").doubt, "");
  EXPECT_EQ(fine.results[0].summary.doubted, 0U);
}

TEST(ForeignTable, WhatChangesTheWorkAndIsNotModelledIsSaid) {
  const Answer window = of_one(setup_of({{"window_tokens", 4096}}), ring_ms, {{"ring_ms", 12}});
  EXPECT_THAT(window.at(0, "ring_ms").reason, HasSubstr("windows, sparsity and dilation"));
  const Answer none = of_one(setup_of({{"window_tokens", nullptr}, {"sparsity", 0}}), ring_ms, {{"ring_ms", 30}});
  EXPECT_EQ(none.at(0, "ring_ms").reason, "") << "the control";
}

TEST(ForeignTable, MaskAndDtypeAreReadWhereverTheyStand) {
  const Json columns = Json::array({column_of("mask", "-"), column_of("fp8_ring_ms", "ms")});
  const Answer without =
      of_one(setup_of({{"causal", nullptr}}), columns, {{"mask", "no causal mask"}, {"fp8_ring_ms", 60}});
  EXPECT_THAT(without.at(0, "fp8_ring_ms").read_as, AllOf(HasSubstr("no mask"), HasSubstr("1 bytes")));
  const Answer with = of_one(setup_of({{"causal", "yes"}}), ring_ms, {{"ring_ms", 30}});
  EXPECT_THAT(with.at(0, "ring_ms").read_as, AllOf(HasSubstr(", causal"), Not(HasSubstr("no mask"))));
}

TEST(ForeignTable, ARatioOfTimesIsTheInverseOfOneOfSpeeds) {
  const Answer answer =
      of_one(setup_of({}),
             Json::array({column_of("striped_over_ring_speedup", "x"), column_of("striped_over_ring_time", "x")}),
             {{"striped_over_ring_speedup", 1.5}, {"striped_over_ring_time", 0.67}});
  EXPECT_GT(*answer.at(0, "striped_over_ring_speedup").value, 1.2);
  EXPECT_NEAR(*answer.at(0, "striped_over_ring_speedup").value * *answer.at(0, "striped_over_ring_time").value, 1.0,
              1e-12);
}

TEST(ForeignTable, TextsInPlaceOfFiguresAreRowsAndOutOfMemoryIsChecked) {
  const Json columns = Json::array(
      {column_of("sequence_tokens", "K tokens"), column_of("batch_size", "sequences"), column_of("time", "s/step")});
  const Json setup{{"gpu", "A100 80GB"}, {"gpus", 64}, {"tp", 8}, {"layers", 40}, {"hidden_size", 5120}, {"heads", 40}};
  Json rows = Json::array({{{"sequence_tokens", 4}, {"batch_size", 512}, {"time", 13.5}},
                           {{"sequence_tokens", 128}, {"batch_size", 16}, {"time", "OOM"}},
                           {{"sequence_tokens", 4}, {"batch_size", 512}, {"time", "OOM"}},
                           {{"sequence_tokens", 8}, {"batch_size", 256}, {"time", "> 3 h"}}});
  Json table = table_of("F", setup, columns, rows);
  const Answer answer(Json::array({table}));
  const Prediction &large = answer.at(1, "time");
  ASSERT_TRUE(large.memory_check);
  // Korthikanti et al. 2022: 18 x 12 L h^2 / t and s b h L 34 / t, by hand.
  EXPECT_NEAR(large.memory_check->needed_bytes,
              18.0 * 12.0 * 40.0 * 5120.0 * 5120.0 / 8.0 + 128e3 * 5120.0 * 40.0 * 34.0 / 8.0, 1.0);
  EXPECT_FALSE(large.memory_check->fits());
  EXPECT_THAT(large.reason, AllOf(HasSubstr("printed as 'OOM'"), HasSubstr("does not fit")));
  EXPECT_TRUE(answer.at(2, "time").memory_check->fits()) << "the control: the model disagrees and says so";
  EXPECT_FALSE(answer.at(3, "time").memory_check);
  EXPECT_THAT(answer.at(3, "time").reason, HasSubstr("> 3 h"));
  EXPECT_EQ(answer.results[0].summary.memory_exceeds, 1U);
  EXPECT_EQ(answer.results[0].summary.memory_fits, 1U);
  EXPECT_EQ(answer.results[0].summary.missing, 0U);
  // The device's memory as the text states it.
  table["setup"]["gpu"] = "A100 40GB";
  EXPECT_EQ(Answer(Json::array({table})).at(1, "time").memory_check->device_bytes, 40e9);
}

TEST(ForeignTable, InferenceAndWholeRunsAreNoTrainingSteps) {
  const Json columns =
      Json::array({column_of("ttft", "s"), column_of("training_time", "days"), column_of("step", "s")});
  const Answer answer = of_one({{"gpu", "H100"},
                                {"gpus", 8},
                                {"tp", 8},
                                {"model", "Llama-3 8B"},
                                {"batch_size", 8},
                                {"sequence_tokens", 8192},
                                {"precision", "bf16"}},
                               columns, {{"ttft", 1.0}, {"training_time", 3.0}, {"step", 1.5}});
  EXPECT_THAT(answer.at(0, "ttft").reason, HasSubstr("inference"));
  EXPECT_THAT(answer.at(0, "training_time").reason, HasSubstr("whole run"));
  EXPECT_THAT(answer.at(0, "step").read_as, HasSubstr("32 layers of 4096")) << "the control: a size in a name";
}

TEST(ForeignTable, LayoutsOfTrainingAreReadOrRefusedAndNotBent) {
  const auto said = [](const Json &changes) {
    Json setup{
        {"model", "7B"}, {"hardware", "64x A100 80GB"}, {"sequence_tokens", 4096}, {"global_batch", 512}, {"tp", 2}};
    setup.update(changes);
    const Answer answer = of_one(setup, Json::array({column_of("step", "s")}), {{"step", 10}});
    return answer.at(0, "step").read_as + answer.at(0, "step").reason;
  };
  EXPECT_THAT(said(Json::object()), AllOf(HasSubstr("data 32"), HasSubstr("no mask"), HasSubstr("nothing recomputed")));
  EXPECT_THAT(said({{"recompute", true}}), AllOf(HasSubstr("all recomputed"), Not(HasSubstr("nothing recomputed"))));
  EXPECT_THAT(said({{"activation_checkpointing", "yes"}}), HasSubstr("all recomputed"));
  EXPECT_THAT(said({{"gradient_checkpointing", "selective"}}), HasSubstr("attention recomputed"));
  EXPECT_THAT(said({{"recompute", "block-wise"}}), HasSubstr("known words: none, selective, full"));
  EXPECT_THAT(said({{"mask", "causal"}}), HasSubstr(", causal"));
  EXPECT_THAT(said({{"attention", "non-causal"}}), HasSubstr("no mask"));
  EXPECT_THAT(said({{"gpus", 64}, {"tp", 8}, {"pp", 4}, {"dp", 4}}), HasSubstr("are not all devices"));
  EXPECT_THAT(said({{"gpus", 60}, {"tp", 8}}), HasSubstr("are not all devices"));
  EXPECT_THAT(said({{"hardware", "8 nodes of 8x A100 80GB"}}), HasSubstr("64 x a100"));
  EXPECT_THAT(said({{"hardware", "A100 80GB"}}), HasSubstr("no data parallelism"));
  EXPECT_THAT(said({{"global_batch", 4}}), AllOf(HasSubstr("context 8"), HasSubstr("beyond the batch share")));
  EXPECT_THAT(said({{"model", "Mixtral 8x7B"}}), Not(HasSubstr("layers of")));
  EXPECT_THAT(said({{"model", "some MoE 7B"}}), HasSubstr("mixture of experts"));
}

/// 18 bytes for each of L h^2 (2 + 2 k + f) parameters, with key/value heads and three matrices of the stated width.
TEST(ForeignTable, ModelsNamedBySizeHaveTheirPublicShape) {
  const Json columns = Json::array({column_of("weights_gb", "GB")});
  const Json setup{{"gpu", "H100"}, {"gpus", 8}, {"tp", 8}, {"sequence_tokens", 8192}, {"global_batch", 8}};
  Json named = setup;
  named["model"] = "Llama-3 8B";
  const double expected = 18.0 * 32.0 * 4096.0 * 4096.0 * (2.0 + 2.0 * 8.0 / 32.0 + 3.0 * 14336.0 / 4096.0) / 8.0 / 1e9;
  EXPECT_NEAR(*of_one(named, columns, {{"weights_gb", 18}}).at(0, "weights_gb").value, expected, 1e-9);
  Json stated = setup;
  stated.update({{"layers", 32}, {"hidden_size", 4096}, {"heads", 32}, {"kv_heads", 8}, {"ffn_size", 14336}});
  EXPECT_NEAR(*of_one(stated, columns, {{"weights_gb", 18}}).at(0, "weights_gb").value, expected, 1e-9);
  Json of_device = stated;
  of_device["gpus"] = 32;
  of_device.erase("global_batch");
  of_device["batch_per_gpu"] = 2;
  EXPECT_THAT(of_one(of_device, Json::array({column_of("step", "s")}), {{"step", 1}}).at(0, "step").read_as,
              HasSubstr("data 4, context 1; 32 layers of 4096, 8192 tokens, batch 8 "));
}

/// The state of 16 bytes a parameter leaves room for tokens: one figure gives the bytes of a token, the next follows.
TEST(ForeignTable, LongestContextsFollowTheMemoryLeft) {
  const Json columns = Json::array({column_of("model_size", "B"), column_of("max_context", "tokens")});
  const Answer answer(Json::array({table_of(
      "F", {{"gpu", "A100 80GB"}, {"gpus", 8}}, columns,
      Json::array({{{"model_size", 7}, {"max_context", 100000}}, {{"model_size", 13}, {"max_context", 50000}}}))}));
  const double small = (80e9 - 16.0 * 7e9 / 8.0) / (4096.0 * 32.0);
  const double large = (80e9 - 16.0 * 13e9 / 8.0) / (5120.0 * 40.0);
  const Prediction &fitted = answer.at(0, "max_context");
  const Prediction &other = answer.at(1, "max_context");
  const bool first = fitted.role == Role::fitted;
  EXPECT_NEAR(first ? *other.value : *fitted.value, first ? 100000.0 * large / small : 50000.0 * small / large, 1e-6);
}

TEST(ForeignTable, FlopRatesOfTrainingBeyondThePeakAreOfAllDevices) {
  const Json setup{{"model", "7B"}, {"gpu", "A100"}, {"gpus", 64}, {"sequence_tokens", 4096}, {"global_batch", 512}};
  const Json columns = Json::array({column_of("tflops_per_gpu", "TFLOP/s"), column_of("speed", "TFLOPS")});
  const Answer answer = of_one(setup, columns, {{"tflops_per_gpu", 150}, {"speed", 9600}});
  EXPECT_NEAR(*answer.at(0, "speed").value, 64.0 * *answer.at(0, "tflops_per_gpu").value, 1e-6);
  EXPECT_EQ(answer.at(0, "speed").doubt, "");
  // The same of tokens, which are one run printed twice.
  const Json tokens =
      Json::array({column_of("tokens_of_one", "tokens/s/GPU"), column_of("tokens_of_all", "K tokens/s")});
  const Answer twice = of_one(setup, tokens, {{"tokens_of_one", 3000}, {"tokens_of_all", 192}});
  EXPECT_NEAR(*twice.at(0, "tokens_of_all").value * 1e3, 64.0 * *twice.at(0, "tokens_of_one").value, 1e-6);
}

TEST(ForeignTable, DevicesThatShareASequenceHoldMoreOfIt) {
  const Json columns =
      Json::array({column_of("method", "-"), column_of("max_context_8_gpus", "K tokens"),
                   column_of("max_context_16_gpus", "K tokens"), column_of("max_context_64_gpus", "K tokens")});
  const auto row = [](const char *method, int eight, int sixteen, int many) {
    return Json{{"method", method},
                {"max_context_8_gpus", eight},
                {"max_context_16_gpus", sixteen},
                {"max_context_64_gpus", many}};
  };
  const Answer answer(Json::array({table_of("F", {{"gpu", "A100 80GB"}, {"model", "7B"}}, columns,
                                            Json::array({row("ring", 256, 512, 2048), row("fsdp", 32, 32, 32)}))}));
  EXPECT_EQ(*answer.at(0, "max_context_64_gpus").value, 2048.0);
  EXPECT_EQ(*answer.at(1, "max_context_64_gpus").value, 32.0);
  EXPECT_THAT(answer.at(0, "max_context_64_gpus").read_as, HasSubstr("64 x a100_nvlink_hdr of 80 GB, LLaMA 7B"));
  EXPECT_THAT(answer.at(1, "max_context_64_gpus").read_as, HasSubstr("no method that divides one"));
  EXPECT_EQ(answer.results[0].summary.fitted, 2U);
}

/// Formulas of formulas that double with every level, and tables that refer to one another in a circle.
TEST(ForeignTable, FormulasThatNeverEndAreListed) {
  Json formulas = Json::object();
  const auto name = [](int level) {
    std::string text(1, 'f');
    return text.append(std::to_string(level));
  };
  for (int level = 0; level < 60; ++level) {
    formulas[name(level)] = std::string(name(level + 1)).append(" + ").append(name(level + 1));
  }
  formulas["f60"] = "1";
  formulas["v"] = "f0";
  formulas["w"] = "f58";
  Json table = table_of("F", Json::object(), Json::array({column_of("v", "x"), column_of("w", "x")}),
                        Json::array({{{"v", 1.0}, {"w", 4.0}}}));
  table["reference_formula"] = formulas;
  const Answer doubling(Json::array({table}));
  EXPECT_THAT(doubling.at(0, "v").reason, HasSubstr("look up more than 10000 names"));
  EXPECT_EQ(*doubling.at(0, "w").value, 4.0) << "the control";
  const auto circle = [](const char *id, const char *other) {
    Json one = table_of(id, {{"models", std::string("as in ").append(other)}},
                        Json::array({column_of("model", "-"), column_of("v", "x")}),
                        Json::array({{{"model", "m"}, {"v", 1.0}}}));
    one["reference_formula"] = {{"v", "z * 2"}};
    return one;
  };
  const Answer round(Json::array({circle("C1", "C2"), circle("C2", "C1")}));
  EXPECT_EQ(round.at(0, "v").role, Role::not_predicted);
  Json many = table_of("F", Json::object(), Json::array({column_of("v", "x")}), Json::array());
  for (int row = 0; row < 10001; ++row) {
    many["rows"].push_back({{"v", 1.0}});
  }
  EXPECT_THAT(validation_tests::refusal([&] { read(document_of(Json::array({many}))); }), HasSubstr("10000 cells"));
}

} // namespace
} // namespace ringscale::validation
