// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/validation/validation_fixture.hpp"
#include "validation/arithmetic.hpp"
#include "validation/formula.hpp"

namespace ringscale::validation {
namespace {

double evaluate(const std::string &text, const std::map<std::string, double> &names) {
  const auto formula = Formula::parse(text);
  EXPECT_TRUE(formula) << text;
  return formula->evaluate([&](std::string_view name) -> std::optional<double> {
    const auto found = names.find(std::string(name));
    return found == names.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(Formula, HasConditionsRemarksAndEquations) {
  EXPECT_DOUBLE_EQ(evaluate("1 + (p-1)/(p*m) if m > 1 else 1", {{"p", 8}, {"m", 3}}), 1.0 + 7.0 / 24.0);
  EXPECT_DOUBLE_EQ(evaluate("1 + (p-1)/(p*m) if m > 1 else 1", {{"p", 8}, {"m", 1}}), 1.0);
  EXPECT_DOUBLE_EQ(evaluate("a if a <= b else b", {{"a", 2}, {"b", 2}}), 2.0);
  EXPECT_DOUBLE_EQ(evaluate("sequence * batch (constant 4,194,304)", {{"sequence", 3}, {"batch", 4}}), 12.0);
  EXPECT_DOUBLE_EQ(evaluate("2 * 6*b*c*h = 12*b*c*h", {{"b", 1}, {"c", 2}, {"h", 3}}), 72.0);
  const auto equation = Formula::parse("longest = devices * shortest");
  ASSERT_TRUE(equation);
  EXPECT_EQ(equation->left(), "longest");
}

TEST(Formula, IsNotProse) {
  for (const char *text : {"ratio exact; law holds on the 5 A100 rows only", "0.1 percentage points", "", "a if b"}) {
    EXPECT_FALSE(Formula::parse(text)) << text;
  }
}

/// Columns that were computed by whoever wrote the tables down are their formulas, to the digits they have.
TEST(Arithmetic, GivesTheDerivedColumnsOfTheShippedTables) {
  std::size_t compared = 0;
  for (const Table &table : validation_tests::shipped_tables()) {
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      for (std::size_t row = 0; row < table.rows.size(); ++row) {
        const auto published = table.number(row, column);
        const auto value = evaluate_cell(validation_tests::shipped_tables(), table, row, column);
        if (table.columns[column].derived && published && table.columns[column].name != "calculon_time_s") {
          ASSERT_TRUE(value) << table.id << " " << table.columns[column].name;
          EXPECT_LE(std::abs(value->value - *published), 0.0006 * std::abs(*published) + 0.051)
              << table.id << " " << table.columns[column].name << " row " << row;
          ++compared;
        }
      }
    }
  }
  EXPECT_EQ(compared, 134U);
}

TEST(Arithmetic, NeverReadsTheCellItGives) {
  std::vector<Table> tables = validation_tests::shipped_tables();
  std::size_t compared = 0;
  for (Table &table : tables) {
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      for (std::size_t row = 0; row < table.rows.size(); ++row) {
        const auto before = evaluate_cell(tables, table, row, column);
        const auto published = table.number(row, column);
        if (before && published) {
          table.rows[row].values[column] = *published * 10.0;
          const auto after = evaluate_cell(tables, table, row, column);
          table.rows[row].values[column] = *published;
          ASSERT_TRUE(after);
          EXPECT_EQ(before->value, after->value) << table.id << " " << table.columns[column].name << " row " << row;
          ++compared;
        }
      }
    }
  }
  EXPECT_GT(compared, 300U);
}

/// The control of the test above: other figures of the row are read.
TEST(Arithmetic, ReadsTheOtherFiguresOfTheRow) {
  std::vector<Table> tables = validation_tests::shipped_tables();
  for (Table &table : tables) {
    if (table.id == "T4") {
      const std::size_t efficiency = *table.column("efficiency_percent");
      const std::size_t rate = *table.column("iter_per_s");
      const double before = evaluate_cell(tables, table, 0, efficiency)->value;
      table.rows[0].values[rate] = *table.number(0, rate) * 10.0;
      EXPECT_NEAR(evaluate_cell(tables, table, 0, efficiency)->value, 10.0 * before, 1e-9 * before);
      return;
    }
  }
  FAIL() << "no table T4";
}

TEST(Arithmetic, FindsNamesInTheTableThatTheSetupRefersTo) {
  const Table &table = validation_tests::shipped_table("T15c");
  const auto value = evaluate_cell(validation_tests::shipped_tables(), table, 3, *table.column("activation_percent"));
  ASSERT_TRUE(value);
  // 22B with sequence parallelism and selective recomputation: (34/8) / (10 + 24/8 + 5 x 64 x 2048 / (6144 x 8)).
  EXPECT_NEAR(value->value, 100.0 * 4.25 / (13.0 + 5.0 * 64.0 * 2048.0 / (6144.0 * 8.0)), 1e-9);
}

} // namespace
} // namespace ringscale::validation
