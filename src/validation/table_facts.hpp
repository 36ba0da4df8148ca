// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// What a row is about, whichever way its table says it: by a column, by the setup, or by words in labels and names.
class RowFacts {
public:
  RowFacts(const Table &table, std::size_t row) : table_(table), row_(row) {}

  /// The first of these quantities that the row or the setup has, in base units (tokens, bytes, s, ...).
  std::optional<double> number(std::initializer_list<std::string_view> names) const;
  /// The first setting of the row (column that is no result) in a unit of this dimension and without these words in its
  /// name, in base units: for tables that use names of their own.
  std::optional<double> setting(std::string_view dimension, std::initializer_list<std::string_view> without) const;
  /// A setting that a label of the row, or a text of the setup, states in words: "H=32, d=128, seq 64K".
  std::optional<double> number_in_words(std::string_view name) const;
  /// Size of the model in 1e9 parameters: a number of the row or the setup under one of the usual names, in parameters
  /// or in 1e9 of them, or the size in a text under `model` or the like ("Llama-2-7B").
  std::optional<double> model_billions() const;
  /// Tokens of one device, by a column of the row in tokens per device.
  std::optional<double> tokens_of_a_device() const;
  /// Tokens of a global batch, by a number of that name or a batch whose column is in tokens.
  std::optional<double> tokens_of_a_batch() const;
  /// The first text of these names, of the row or the setup.
  std::string text(std::initializer_list<std::string_view> names) const;
  /// A truth value of the row or the setup.
  std::optional<bool> truth(std::string_view name) const;
  /// Words of all labels of the row, in the order of the columns.
  std::vector<std::string> label_words() const;
  /// The row's labels joined, to tell alike rows from others.
  std::string labels() const;
  /// Words of the labels, then of the setup's texts, then of the title.
  std::vector<std::string> all_words() const;

private:
  const Table &table_;
  std::size_t row_;
};

/// Whether a column of tokens is about the longest length that could be run.
bool is_longest_length(const Column &column);

/// The size in a model's name: 7 of "Llama-2-7B", 1.5 of "GPT-2 1.5B"; nothing for "80GB".
std::optional<double> billions_in(std::string_view text);

/// Columns of which every figure is a result that somebody published and not a setting of the experiment: rates, times,
/// FLOP/s, ratios, percentages, bytes that are no capacity, extreme lengths (min_, max_), and all that is derived.
bool is_result(const Column &column);

} // namespace ringscale::validation
