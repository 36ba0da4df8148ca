// SPDX-License-Identifier: Apache-2.0
#include "validation/arithmetic.hpp"

#include <algorithm>
#include <cmath>

#include "problem/invalid_input.hpp"
#include "validation/formula.hpp"
#include "validation/row_scope.hpp"

namespace ringscale::validation {

namespace {

using Stem = std::vector<std::string>;

/// A formula that may give the column, and the scale of what it gives over the column's unit.
struct Candidate {
  std::string text;
  double scale = 1.0;
  bool both_passes = false; ///< written for the forward pass: its names are read as those of forward plus backward
};

/// The stem without the pass, to find the forward formula of a column about both passes.
Stem without_backward(const Stem &stem) {
  Stem result;
  std::copy_if(stem.begin(), stem.end(), std::back_inserter(result),
               [](const std::string &word) { return word != "bwd" && word != "backward"; });
  return result;
}

std::string with_backward(const std::string &name) {
  const auto place = name.find("fwd");
  return place == std::string::npos ? name : name.substr(0, place) + "fwd_bwd" + name.substr(place + 3);
}

/// Whether `key` is `stem` and one more word that a label of this row has.
bool is_for_label(const Stem &key, const Stem &stem, const Table &table, std::size_t row) {
  if (key.size() != stem.size() + 1 || !std::equal(stem.begin(), stem.end(), key.begin())) {
    return false;
  }
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    if (table.text(row, column) == key.back()) {
      return true;
    }
  }
  return false;
}

bool is_label(const std::string &key, const Table &table, std::size_t row) {
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    if (table.text(row, column) == key) {
      return true;
    }
  }
  return false;
}

/// Columns of the same quantity as `column`, one of which a formula named by labels must mean.
bool is_the_only_quantity(const Table &table, const Column &column) {
  const Stem stem = column.parts.stem;
  return std::all_of(table.columns.begin(), table.columns.end(),
                     [&](const Column &other) { return other.unit.dimension == "text" || other.parts.stem == stem; });
}

double scale_of(const NameParts &key, const Column &column) {
  if (key.scale == 0.0 || key.dimension == "%" || column.unit.dimension == "%") {
    return 1.0;
  }
  return key.scale / column.unit.scale;
}

std::vector<Candidate> candidates(const Table &table, std::size_t row, std::size_t index) {
  const Column &column = table.columns[index];
  const NameParts own = column.parts;
  std::vector<Candidate> found;
  for (const auto &[name, text] : table.formulas) {
    const NameParts key = parse_name(name);
    const auto formula = Formula::parse(text);
    if (!formula) {
      continue;
    }
    const Stem left = parse_name(formula->left()).stem;
    const double share = column.unit.dimension == "%" ? 100.0 : 1.0;
    if (name == column.name) {
      found.insert(found.begin(), {text, 1.0, false});
    } else if (!own.stem.empty() && (key.stem == own.stem || is_for_label(key.stem, own.stem, table, row))) {
      found.push_back({text, scale_of(key, column), false});
    } else if (is_label(name, table, row) && is_the_only_quantity(table, column)) {
      found.push_back({text, share, false});
    } else if (!formula->left().empty() && left == own.stem) {
      found.push_back({text, 1.0 / column.unit.scale, false});
    } else if (key.stem.empty() && key.scale > 0.0 && key.dimension == own.dimension) {
      found.push_back({text, scale_of(key, column), false});
    } else if (pass_of(column.words) == "fwd_bwd" && key.stem == without_backward(own.stem) &&
               key.dimension == own.dimension) {
      found.push_back({text, scale_of(key, column), true});
    }
  }
  const bool has_operator = column.meaning.find_first_of("*/+^") != std::string::npos;
  if (const auto meaning = Formula::parse(column.meaning); has_operator && meaning && !meaning->names().empty()) {
    found.push_back({column.meaning, 1.0, false});
  }
  return found;
}

/// 100 % or 1 for the label that the column's meaning calls its reference ("relative to none").
std::optional<double> reference_level(const Table &table, std::size_t row, std::size_t index) {
  const Column &column = table.columns[index];
  const std::string opening = "relative to ";
  if (!column.meaning.starts_with(opening) || !is_label(column.meaning.substr(opening.size()), table, row)) {
    return std::nullopt;
  }
  return column.unit.dimension == "%" ? 100.0 : 1.0;
}

} // namespace

std::optional<ArithmeticValue> evaluate_cell(const std::vector<Table> &tables, const Table &table, std::size_t row,
                                             std::size_t column, std::string *failure) {
  std::string fault;
  const RowScope scope(tables, table, row, column);
  for (const Candidate &candidate : candidates(table, row, column)) {
    const auto formula = Formula::parse(candidate.text);
    const auto lookup = [&](std::string_view name) {
      return scope.find(candidate.both_passes ? with_backward(std::string(name)) : std::string(name));
    };
    try {
      const double value = formula->evaluate(lookup) * candidate.scale;
      if (std::isfinite(value)) {
        return ArithmeticValue{value, candidate.text};
      }
      fault = "formula '" + candidate.text + "' has no finite value in this row: it divides by zero or grows too large";
    } catch (const problem::InvalidInput &) {
      // A name has no value in this row.
    }
    if (scope.is_exhausted()) {
      fault = "the formulas of this cell look up more than " + std::to_string(most_lookups_of_a_cell) + " names";
      break;
    }
  }
  const NameParts own = table.columns[column].parts;
  const bool has_formula_sibling = std::any_of(table.columns.begin(), table.columns.end(), [&](const Column &other) {
    return other.derived && other.parts.stem == own.stem;
  });
  if (const auto level = reference_level(table, row, column); level) {
    return ArithmeticValue{*level, table.columns[column].meaning};
  }
  // A derived twin names its reference for both ("relative to none").
  if (has_formula_sibling || table.columns[column].derived) {
    for (std::size_t other = 0; other < table.columns.size(); ++other) {
      if (table.columns[other].parts.stem == own.stem) {
        if (const auto level = reference_level(table, row, other)) {
          return ArithmeticValue{*level, table.columns[other].meaning};
        }
      }
    }
  }
  if (failure != nullptr) {
    *failure = fault;
  }
  return std::nullopt;
}

std::vector<std::string> unreadable_formulas(const Table &table) {
  std::vector<std::string> faults;
  for (const auto &[name, text] : table.formulas) {
    if (Formula::parse(text)) {
      continue;
    }
    const NameParts key = parse_name(name);
    const auto is_for = [&](const Column &column) {
      const NameParts own = column.parts;
      const bool of_unit = key.stem.empty() && key.scale > 0.0 && key.dimension == own.dimension;
      bool of_stem = !own.stem.empty() && (key.stem == own.stem || key.stem == without_backward(own.stem));
      for (std::size_t row = 0; row < table.rows.size() && !own.stem.empty(); ++row) {
        of_stem = of_stem || is_for_label(key.stem, own.stem, table, row);
      }
      return name == column.name || of_unit || of_stem;
    };
    bool is_used = std::any_of(table.columns.begin(), table.columns.end(), is_for);
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      is_used = is_used || is_label(name, table, row);
    }
    for (const auto &other : table.formulas) {
      const auto formula = Formula::parse(other.second);
      is_used = is_used || (formula && std::find(formula->names().begin(), formula->names().end(), name) !=
                                           formula->names().end());
    }
    if (is_used) {
      faults.push_back(table.where + ".reference_formula." + name + " is '" + text.substr(0, 80) +
                       "', which is no formula; such as 'a * (b + 2) / c', with + - * / ^, min max log2 log10 sqrt abs "
                       "floor ceil, or 'a if b < c else d'; it is not used");
    }
  }
  return faults;
}

} // namespace ringscale::validation
