// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <functional>
#include <tuple>

#include "tests/validation/validation_fixture.hpp"
#include "validation/setting_rules.hpp"

namespace ringscale::validation {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using validation_tests::column_of;
using validation_tests::document_of;
using validation_tests::Json;
using validation_tests::read;
using validation_tests::refusal;
using validation_tests::table_of;
using Corrupt = std::function<void(Json &)>;

Json settings() {
  const Json setup{{"gpu", "H100"},    {"gpus", 8},          {"heads", 16},    {"head_dim", 128},
                   {"mask", "causal"}, {"pass", "fwd only"}, {"dtype", "bf16"}};
  const Json columns = Json::array({column_of("sequence", "1e3 tokens"), column_of("batch_size", "sequences"),
                                    column_of("direction", "-"), column_of("ring_ms", "ms")});
  const Json rows = Json::array({{{"sequence", 65.536}, {"batch_size", 1}, {"direction", "out"}, {"ring_ms", 9.0}}});
  return document_of(Json::array({table_of("S2", setup, columns, rows)}));
}

std::string refusal_after(const Corrupt &corrupt) {
  Json document = settings();
  corrupt(document["tables"][0]);
  return refusal([&] { read(document); });
}

/// What is said of the file after a change: its refusal, or why no model is used for the table.
std::string line_after(const Corrupt &corrupt) {
  const std::string line = refusal_after(corrupt);
  if (!line.empty()) {
    return line;
  }
  Json document = settings();
  corrupt(document["tables"][0]);
  return read(document)[0].unclear_setting;
}

TEST(SettingRules, AWrongSettingIsOneLineThatNamesItsPath) {
  ASSERT_EQ(refusal_after([](Json &) {}), "");
  const std::vector<std::tuple<std::string, Corrupt, std::string, std::string>> faults{
      {"parts of a GPU", [](Json &table) { table["setup"]["gpus"] = 7.5; }, "$.tables[0].setup.gpus is 7.5", "whole"},
      {"no GPU", [](Json &table) { table["setup"]["gpus"] = 0; }, "setup.gpus is 0", "at least 1"},
      {"fewer than none", [](Json &table) { table["setup"]["heads"] = -8; }, "setup.heads is -8", "at least 1"},
      {"text", [](Json &table) { table["setup"]["head_dim"] = "abc"; }, "setup.head_dim is \"abc\"", "number"},
      {"truth", [](Json &table) { table["setup"]["layers"] = true; }, "setup.layers is true", "number"},
      {"list", [](Json &table) { table["setup"]["tp"] = Json::array(); }, "setup.tp", "number"},
      {"huge", [](Json &table) { table["setup"]["seq_len"] = 1e300; }, "setup.seq_len is 1e+300", "1e60"},
      {"beyond 2^50", [](Json &table) { table["setup"]["seq_len"] = 1125899906842625; }, "setup.seq_len", "2^50"},
      {"row beyond 2^50", [](Json &table) { table["rows"][0]["sequence"] = 1.2e12; }, "rows[0].sequence", "2^50"},
      {"parts of a token", [](Json &table) { table["rows"][0]["sequence"] = 8.1925; }, "rows[0].sequence is 8.1925",
       "whole number"},
      {"part of a batch", [](Json &table) { table["rows"][0]["batch_size"] = 1.5; }, "rows[0].batch_size", "whole"},
      {"huge figure", [](Json &table) { table["rows"][0]["ring_ms"] = 1e300; }, "rows[0].ring_ms", "1e60"},
      {"mask", [](Json &table) { table["setup"]["mask"] = "casual"; }, "setup.mask is \"casual\"", "non-causal"},
      {"masks", [](Json &table) { table["setup"]["mask"] = "not causal"; }, "setup.mask", "none, no, full"},
      {"causal", [](Json &table) { table["setup"]["causal"] = "often"; }, "setup.causal is \"often\"", "true, false"},
      {"pass", [](Json &table) { table["setup"]["pass"] = "fwdd"; }, "setup.pass is \"fwdd\"", "fwd, forward, bwd"},
      {"half of a pass", [](Json &table) { table["setup"]["pass"] = "fwd+bwdd"; }, "setup.pass", "backward"},
      {"no pass", [](Json &table) { table["setup"]["pass"] = "both"; }, "setup.pass", "backward"},
      {"dtype", [](Json &table) { table["setup"]["dtype"] = "fp12"; }, "setup.dtype is \"fp12\"", "bf16"},
      {"local", [](Json &table) { table["setup"]["sequence_is"] = "globl"; }, "setup.sequence_is", "global, local"},
      {"label",
       [](Json &table) {
         table["columns"][2]["name"] = "pass";
         table["rows"][0].erase("direction");
         table["rows"][0]["pass"] = "forwards";
       },
       "$.tables[0].rows[0].pass is \"forwards\"", "forward"},
      {"line in id", [](Json &table) { table["id"] = "S2\nverdict: valid"; }, "$.tables[0].id", "control character"},
      {"escape in title", [](Json &table) { table["title"] = "a\x1b[2J"; }, "$.tables[0].title", "control character"},
  };
  for (const auto &[name, corrupt, path, reason] : faults) {
    const std::string line = line_after(corrupt);
    // Numbers and texts that nothing can be done with refuse the file; a setting that is not understood costs the table
    // its models.
    EXPECT_EQ(!refusal_after(corrupt).empty(), reason == "1e60" || reason == "control character") << name;
    EXPECT_THAT(line, AllOf(HasSubstr("tables.json: $.tables[0]"), HasSubstr(path), HasSubstr(reason))) << name;
    EXPECT_EQ(line.find('\n'), std::string::npos) << name;
  }
}

/// The control: what is right, or free text, stays accepted.
TEST(SettingRules, RightSettingsAndFreeTextsAreAccepted) {
  const std::vector<Corrupt> changes{
      [](Json &table) { table["setup"]["gpus"] = 8.0; },
      [](Json &table) { table["setup"]["heads"] = nullptr; },
      [](Json &table) { table["setup"]["seq_len"] = std::int64_t{1} << 50; },
      [](Json &table) { table["setup"]["dropout"] = 0.1; },
      [](Json &table) { table["setup"]["dropout_note"] = "casual"; },
      [](Json &table) { table["setup"]["precision"] = "full precision (fp32) as stated"; },
      [](Json &table) { table["setup"]["implementation"] = "fwdd"; },
      [](Json &table) { table["setup"]["mask"] = "Non-causal mask"; },
      [](Json &table) { table["setup"]["causal"] = false; },
      [](Json &table) { table["setup"]["pass"] = "forward and backward"; },
      [](Json &table) { table["setup"]["dtype"] = "float8_e4m3"; },
      [](Json &table) { table["rows"][0]["sequence"] = 8.192; },
      [](Json &table) { table["rows"][0]["ring_ms"] = 0.3; },
      [](Json &table) { table["title"] = "Größe, über alles"; },
      [](Json &table) {
        table["columns"][1]["name"] = "average_batch";
        table["rows"][0].erase("batch_size");
        table["rows"][0]["average_batch"] = 1.5;
      },
  };
  for (std::size_t place = 0; place < changes.size(); ++place) {
    EXPECT_EQ(line_after(changes[place]), "") << place;
  }
}

TEST(SettingRules, AnUnclearSettingLeavesTheModelsOutAndNotTheFormulas) {
  Json document = settings();
  Json &table = document["tables"][0];
  table["columns"].push_back(column_of("ring_tokens_per_s", "tokens/s"));
  table["rows"][0]["ring_tokens_per_s"] = 7.0e6;
  table["reference_formula"] = {{"ring_tokens_per_s", "sequence * 1e3 / (ring_ms * 1e-3)"}};
  const auto roles = [](const Json &from) {
    const auto tables = read(from);
    const auto results = validation_tests::validate(tables);
    std::vector<Role> found;
    for (const Prediction &cell : results[0].predictions) {
      found.push_back(cell.role);
    }
    return found;
  };
  EXPECT_EQ(roles(document), (std::vector<Role>{Role::predicted, Role::predicted}));
  table["setup"]["mask"] = "casual";
  EXPECT_EQ(roles(document), (std::vector<Role>{Role::not_predicted, Role::predicted}));
  const auto tables = read(document);
  const auto results = validation_tests::validate(tables);
  EXPECT_THAT(results[0].predictions[0].reason, AllOf(HasSubstr("no model is used"), HasSubstr("casual")));
  EXPECT_EQ(tables[0].remarks.size(), 1U);
}

TEST(SettingRules, AnUnknownUnitCostsItsColumnAlone) {
  Json document = settings();
  Json &table = document["tables"][0];
  table["columns"].push_back(column_of("pace", "leagues"));
  table["rows"][0]["pace"] = 3.0;
  const auto tables = read(document);
  const auto results = validation_tests::validate(tables);
  ASSERT_EQ(results[0].predictions.size(), 2U);
  EXPECT_EQ(results[0].predictions[0].role, Role::predicted);
  EXPECT_EQ(results[0].predictions[1].role, Role::not_predicted);
  EXPECT_THAT(results[0].predictions[1].reason, HasSubstr("leagues"));
  EXPECT_THAT(tables[0].remarks, ::testing::ElementsAre(HasSubstr("leagues")));
}

TEST(SettingRules, ADtypeIsItsBytes) {
  EXPECT_EQ(bytes_of_dtype("float32"), 4.0);
  EXPECT_EQ(bytes_of_dtype("FP32"), 4.0);
  EXPECT_EQ(bytes_of_dtype("bf16"), 2.0);
  EXPECT_EQ(bytes_of_dtype(""), 2.0);
  EXPECT_EQ(bytes_of_dtype("float8_e4m3"), 1.0);
}

/// Each count is right and their product is not: the cell says so and the other row is predicted.
TEST(SettingRules, ProductsBeyondIntegersAreListed) {
  const Json setup{{"gpu", "H100"}, {"heads", 65536}, {"head_dim", 128}};
  const Json columns = Json::array({column_of("gpus", "GPUs"), column_of("tokens_per_gpu", "tokens"),
                                    column_of("batch_size", "sequences"), column_of("zigzag_ms", "ms")});
  const std::int64_t large = std::int64_t{1} << 40;
  const Json rows = Json::array({{{"gpus", large}, {"tokens_per_gpu", large}, {"batch_size", 1}, {"zigzag_ms", 1.0}},
                                 {{"gpus", 8}, {"tokens_per_gpu", large}, {"batch_size", large}, {"zigzag_ms", 1.0}},
                                 {{"gpus", 8}, {"tokens_per_gpu", 8192}, {"batch_size", 1}, {"zigzag_ms", 1.0}}});
  const auto tables = read(document_of(Json::array({table_of("S3", setup, columns, rows)})));
  const auto results = validation_tests::validate(tables);
  const std::vector<Prediction> &cells = results[0].predictions;
  ASSERT_EQ(cells.size(), 3U);
  EXPECT_THAT(cells[0].reason, HasSubstr("2^50"));
  EXPECT_THAT(cells[1].reason, HasSubstr("2^62 bytes"));
  EXPECT_EQ(cells[2].role, Role::predicted);
}

Json with_formula(const std::string &name, const std::string &text) {
  const Json setup{{"gpu", "H100"}, {"gpus", 8}, {"heads", 16}, {"head_dim", 128}, {"zero", 0}};
  const Json columns = Json::array({column_of("tokens", "tokens"), column_of("ring_ms", "ms")});
  Json table = table_of("S4", setup, columns,
                        Json::array({{{"tokens", 65536}, {"ring_ms", 9.0}}, {{"tokens", 131072}, {"ring_ms", 30.0}}}));
  table["reference_formula"] = Json::object();
  table["reference_formula"]["part"] = "gpus * 2";
  table["reference_formula"][name] = text;
  return document_of(Json::array({table}));
}

/// The remarks of a document's table in one text.
std::string remarks_of(const Json &document) {
  std::string all;
  const auto tables = read(document);
  for (const std::string &remark : tables[0].remarks) {
    all += remark;
  }
  return all;
}

TEST(Formulas, OneThatCannotBeReadIsSaid) {
  for (const char *text : {"(tokens * 2", "tokens times two", "tokens * 3 if gpus", ""}) {
    EXPECT_THAT(remarks_of(with_formula("ring_ms", text)),
                AllOf(HasSubstr("tables.json: $.tables[0].reference_formula.ring_ms"), HasSubstr("no formula")))
        << text;
  }
  EXPECT_THAT(remarks_of(with_formula("ms", "tokens / (gpus")), HasSubstr("reference_formula.ms"))
      << "by its unit it is for every time";
  Json used = with_formula("ring_ms", "law * tokens");
  used["tables"][0]["reference_formula"]["law"] = "half of it";
  EXPECT_THAT(remarks_of(used), HasSubstr("reference_formula.law"));
  // The controls: prose beside the formulas, and one that can be read.
  EXPECT_EQ(remarks_of(with_formula("tolerance", "0.05 after rounding to one decimal")), "");
  EXPECT_EQ(remarks_of(with_formula("ring_ms", "tokens / part (a remark)")), "");
}

TEST(Formulas, OneThatDividesByZeroIsListedAndNoModelStandsIn) {
  for (const char *text : {"tokens / zero", "tokens / (part - 16)", "1 / hidden_zero"}) {
    Json document = with_formula("ring_ms", text);
    document["tables"][0]["reference_formula"]["hidden_zero"] = "tokens / zero";
    const auto tables = read(document);
    const auto results = validation_tests::validate(tables);
    for (const Prediction &cell : results[0].predictions) {
      EXPECT_EQ(cell.role, Role::not_predicted) << text;
      EXPECT_FALSE(cell.value) << text;
      EXPECT_THAT(cell.reason, AllOf(HasSubstr(text), HasSubstr("divides by zero"))) << text;
    }
  }
  const auto tables = read(with_formula("ring_ms", "tokens / part"));
  const auto results = validation_tests::validate(tables);
  EXPECT_EQ(results[0].predictions[0].value, 4096.0);
}

} // namespace
} // namespace ringscale::validation
