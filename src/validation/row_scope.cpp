// SPDX-License-Identifier: Apache-2.0
#include "validation/row_scope.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "problem/invalid_input.hpp"
#include "validation/formula.hpp"

namespace ringscale::validation {

namespace {

using Names = std::vector<std::string_view>;

/// Usual symbols of the field, and words that tables use for one another.
const std::vector<std::pair<std::string_view, Names>> &synonyms() {
  static const std::vector<std::pair<std::string_view, Names>> list{
      {"L", {"layers", "num_layers"}},
      {"l", {"layers", "num_layers"}},
      {"h", {"hidden_size", "hidden", "embed_dim", "d_model"}},
      {"a", {"heads", "query_heads", "num_heads"}},
      {"t", {"tensor_parallel", "tp"}},
      {"p", {"pipeline_parallel", "pp"}},
      {"m", {"interleaved_stages", "virtual_stages"}},
      {"s", {"sequence_tokens", "context_tokens", "tokens_total", "tokens", "seq_len"}},
      {"b", {"micro_batch", "batch_size", "batch", "global_batch"}},
      {"c", {"chunk_tokens", "block_tokens", "tokens_per_gpu"}},
      {"d", {"head_dim"}},
      {"n", {"gpus", "devices", "ring_size", "ranks"}},
      {"N", {"gpus", "devices", "ring_size", "ranks"}},
      {"P", {"gpus", "devices", "ring_size", "ranks"}},
      {"gpus", {"devices", "ranks", "world_size"}},
      {"devices", {"gpus", "ranks", "world_size", "devices_in_name"}},
      {"device_count", {"devices", "gpus", "devices_in_name"}},
      {"heads", {"query_heads", "num_heads"}},
      {"query_heads", {"heads", "num_heads"}},
      {"batch_size", {"batch", "bs"}},
      {"sequence_tokens", {"context_tokens", "tokens_total", "tokens"}}};
  return list;
}

bool is_symbol(const std::string &name) { return name.size() == 1; }

} // namespace

std::string pass_of(const std::vector<std::string> &words) {
  const bool forward = has_word(words, "fwd") || has_word(words, "forward");
  const bool backward = has_word(words, "bwd") || has_word(words, "backward");
  return forward && backward ? "fwd_bwd" : forward ? "fwd" : backward ? "bwd" : "";
}

std::optional<double> RowScope::cell(std::size_t column) const {
  return column == own_ ? std::nullopt : table_.number(row_, column);
}

std::optional<double> RowScope::plain(const std::string &name) const {
  if (const auto column = table_.column(name)) {
    return cell(*column);
  }
  if (const auto value = of_formula(name)) {
    return value;
  }
  return of_setup(name);
}

std::optional<double> RowScope::of_setup(const std::string &name) const {
  const auto found = table_.setup.find(name);
  if (found == table_.setup.end() || !found->is_number()) {
    return std::nullopt;
  }
  // A column about one device, in a table about many.
  const std::vector<std::string> &words = table_.columns[own_].words;
  const bool one_device = has_word(words, "single") || (!words.empty() && words.front() == "one");
  return one_device && (name == "gpus" || name == "devices" || name == "world_size") ? 1.0 : found->get<double>();
}

std::optional<double> RowScope::of_formula(const std::string &name) const {
  const auto found = std::find_if(table_.formulas.begin(), table_.formulas.end(),
                                  [&](const auto &entry) { return entry.first == name; });
  if (found == table_.formulas.end() || !open_.insert(name).second) {
    return std::nullopt;
  }
  std::optional<double> result;
  if (const auto formula = Formula::parse(found->second)) {
    try {
      const double value = formula->evaluate([&](std::string_view part) { return find(part); });
      // A division by zero stays one: of a number by infinity would come a finite 0.
      result = std::isfinite(value) ? value : std::numeric_limits<double>::quiet_NaN();
    } catch (const problem::InvalidInput &) {
      result.reset(); // a name of it is not known in this row
    }
  }
  open_.erase(name);
  return result;
}

std::optional<double> RowScope::of_meaning(const std::string &symbol) const {
  for (std::size_t column = 0; column < table_.columns.size(); ++column) {
    const std::string &meaning = table_.columns[column].meaning;
    if (meaning == symbol || meaning.starts_with(symbol + ";")) {
      return cell(column);
    }
  }
  return std::nullopt;
}

std::optional<double> RowScope::of_symbol(const std::string &symbol) const {
  for (const auto &[word, names] : synonyms()) {
    if (word == symbol) {
      for (const std::string_view name : names) {
        if (const auto value = plain(std::string(name))) {
          return value;
        }
      }
    }
  }
  return std::nullopt;
}

std::optional<double> RowScope::in_other_unit(const std::string &name) const {
  const NameParts wanted = parse_name(name);
  for (std::size_t column = 0; column < table_.columns.size(); ++column) {
    const Column &candidate = table_.columns[column];
    const NameParts parts = candidate.parts;
    if (column != own_ && parts.stem == wanted.stem && (wanted.scale == 0.0 || wanted.dimension == parts.dimension)) {
      if (const auto value = cell(column)) {
        return *value * candidate.unit.scale / (wanted.scale == 0.0 ? 1.0 : wanted.scale);
      }
    }
  }
  return std::nullopt;
}

std::optional<double> RowScope::of_own_kind(const std::string &name) const {
  const NameParts wanted = parse_name(name);
  const NameParts own = table_.columns[own_].parts;
  // "flop" of a forward column is the formula forward_flop.
  if (wanted.dimension == "FLOP" && wanted.stem.empty()) {
    const std::string pass = pass_of(table_.columns[own_].words);
    const std::string formula = pass == "fwd_bwd" ? "forward_backward_flop"
                                : pass == "bwd"   ? "backward_flop"
                                                  : "forward_flop";
    return of_formula(formula);
  }
  const bool plain_time = wanted.stem.empty() || wanted.stem == std::vector<std::string>{"time"};
  if (!plain_time || wanted.scale == 0.0) {
    return std::nullopt;
  }
  for (std::size_t column = 0; column < table_.columns.size(); ++column) {
    const NameParts parts = table_.columns[column].parts;
    if (column != own_ && parts.stem == own.stem && parts.dimension == wanted.dimension) {
      if (const auto value = cell(column)) {
        return *value * table_.columns[column].unit.scale / wanted.scale;
      }
    }
  }
  return std::nullopt;
}

std::optional<double> RowScope::of_other_table(const std::string &name) const {
  constexpr int most_tables = 4; // tables may refer to one another in a circle
  for (const auto &[key, value] : table_.setup.items()) {
    if (!value.is_string() || depth_ >= most_tables) {
      continue;
    }
    const std::string text = value.get<std::string>();
    const auto other = std::find_if(tables_.begin(), tables_.end(), [&](const Table &candidate) {
      return candidate.id != table_.id && text == "as in " + candidate.id;
    });
    if (other == tables_.end()) {
      continue;
    }
    for (std::size_t column = 0; column < table_.columns.size(); ++column) {
      const auto label = table_.text(row_, column);
      const auto shared = other->column(table_.columns[column].name);
      for (std::size_t row = 0; label && shared && row < other->rows.size(); ++row) {
        if (other->text(row, *shared) == label) {
          // The label's own column is the other scope's own: it is a text and no formula reads it.
          return RowScope(tables_, *other, row, *shared, depth_ + 1).find(name);
        }
      }
    }
  }
  return std::nullopt;
}

std::optional<double> RowScope::find(std::string_view text) const {
  if (++lookups_ > most_lookups_of_a_cell) {
    return std::nullopt;
  }
  const std::string name(text);
  if (const auto value = plain(name)) {
    return value;
  }
  if (is_symbol(name)) {
    if (const auto value = of_meaning(name)) {
      return value;
    }
  }
  if (const auto value = of_symbol(name)) {
    return value;
  }
  if (const auto value = in_other_unit(name)) {
    return value;
  }
  if (const auto value = of_own_kind(name)) {
    return value;
  }
  return of_other_table(name);
}

} // namespace ringscale::validation
