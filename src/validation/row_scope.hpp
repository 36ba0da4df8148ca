// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// Names that the formulas for one cell may look up: formulas of formulas can double with every level.
inline constexpr std::size_t most_lookups_of_a_cell = 10000;

/// What the names of a formula stand for in one row of a table, seen from one of its columns. In this order: a column,
/// a formula of the table, a number of the setup, a symbol (a column whose meaning is that letter, or the usual meaning
/// of it: h hidden_size, s sequence_tokens, ...), the same quantity in another unit, a quantity of the column's own
/// kind (time_ms is burst_fwd_ms for burst_fwd_tflops), and the same names in a table that the setup refers to ("as in
/// T15b"), in the row with the same label. The cell itself is never read, so no prediction can know what it predicts.
class RowScope {
public:
  RowScope(const std::vector<Table> &tables, const Table &table, std::size_t row, std::size_t own_column)
      : RowScope(tables, table, row, own_column, 0) {}

  std::optional<double> find(std::string_view name) const;
  /// Whether the names that were looked up are beyond most_lookups_of_a_cell: all values since then are missing.
  bool is_exhausted() const { return lookups_ > most_lookups_of_a_cell; }

private:
  RowScope(const std::vector<Table> &tables, const Table &table, std::size_t row, std::size_t own_column, int depth)
      : tables_(tables), table_(table), row_(row), own_(own_column), depth_(depth) {}

  std::optional<double> cell(std::size_t column) const;
  std::optional<double> of_formula(const std::string &name) const;
  std::optional<double> of_setup(const std::string &name) const;
  std::optional<double> of_meaning(const std::string &symbol) const;
  std::optional<double> of_symbol(const std::string &symbol) const;
  std::optional<double> in_other_unit(const std::string &name) const;
  std::optional<double> of_own_kind(const std::string &name) const;
  std::optional<double> of_other_table(const std::string &name) const;
  std::optional<double> plain(const std::string &name) const;

  const std::vector<Table> &tables_;
  const Table &table_;
  std::size_t row_;
  std::size_t own_;
  int depth_; ///< tables that referred to one another on the way here
  mutable std::size_t lookups_ = 0;
  mutable std::set<std::string> open_; ///< formulas being evaluated: one that needs itself has no value
};

/// Pass that a column is about, by its name: "fwd", "bwd", "fwd_bwd" or empty.
std::string pass_of(const std::vector<std::string> &words);

} // namespace ringscale::validation
