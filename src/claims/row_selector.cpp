// SPDX-License-Identifier: Apache-2.0
#include "claims/row_selector.hpp"

#include <algorithm>

#include "problem/invalid_input.hpp"

namespace ringscale::claims {

using problem::InvalidInput;
using report::Json;

namespace {

/// The value at a dotted path of a row, or nothing.
const Json *value_at(const Json &row, const std::string &path) {
  const Json *value = &row;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const auto dot = std::min(path.find('.', begin), path.size());
    if (!value->is_object()) {
      return nullptr;
    }
    const auto found = value->find(path.substr(begin, dot - begin));
    if (found == value->end()) {
      return nullptr;
    }
    value = &*found;
    begin = dot + 1;
  }
  return value;
}

bool equal(const Json &left, const Json &right) {
  if (left.is_number() && right.is_number()) {
    return left.get<double>() == right.get<double>();
  }
  return left == right;
}

bool contains(const std::vector<Json> &candidates, const Json &value) {
  return std::any_of(candidates.begin(), candidates.end(), [&](const Json &each) { return equal(each, value); });
}

std::vector<Json> list_of(const Json &form, const std::string &where) {
  std::vector<Json> values;
  if (form.is_array()) {
    values.assign(form.begin(), form.end());
  } else {
    values.push_back(form);
  }
  for (const Json &value : values) {
    if (value.is_structured() || value.is_null()) {
      throw InvalidInput(where + " must hold texts, numbers, true or false");
    }
  }
  if (values.empty()) {
    throw InvalidInput(where + " is an empty list: no row could match");
  }
  return values;
}

Expression expression_of(const Json &form, const std::string &where, const NameScope &scope) {
  if (!form.is_number() && !form.is_string()) {
    throw InvalidInput(where + " must be a number or an expression");
  }
  Expression expression(form.is_string() ? form.get<std::string>() : form.dump(), where);
  scope.require_names(expression, where);
  return expression;
}

std::string listed(const std::vector<Json> &values) {
  std::string text;
  for (const Json &value : values) {
    text += text.empty() ? "" : "|";
    text += value.is_string() ? value.get<std::string>() : value.dump();
  }
  return text;
}

} // namespace

RowSelector::Condition RowSelector::read_condition(const std::string &field, const Json &form, const std::string &where,
                                                   const NameScope &scope) {
  Condition condition;
  condition.field = field;
  if (!form.is_object()) {
    condition.any_of = list_of(form, where);
    condition.text = field + "=" + listed(condition.any_of);
    return condition;
  }
  if (form.empty()) {
    throw InvalidInput(where + " must give equals, min, max or not");
  }
  for (const auto &[key, value] : form.items()) {
    condition.text += condition.text.empty() ? "" : " ";
    if (key == "not") {
      condition.none_of = list_of(value, where + ".not");
      condition.text += field + "!=" + listed(condition.none_of);
    } else if (key == "equals" || key == "min" || key == "max") {
      auto &limit = key == "equals" ? condition.equals : key == "min" ? condition.low : condition.high;
      limit = expression_of(value, where + "." + key, scope);
      condition.text += field + (key == "equals" ? "=" : key == "min" ? ">=" : "<=") + limit->text();
    } else {
      throw InvalidInput(where + "." + key + " is unknown; a condition is a value, a list, or equals, min, max, not");
    }
  }
  return condition;
}

RowSelector::RowSelector(const Json &conditions, const std::string &where, const NameScope &scope) {
  if (!conditions.is_object() || !conditions.contains("kind") || !conditions.contains("verb")) {
    throw InvalidInput(where + " must be an object with at least kind and verb");
  }
  for (const auto &[field, form] : conditions.items()) {
    conditions_.push_back(read_condition(field, form, where + "." + field, scope));
    if (field == "kind") {
      for (const Json &word : conditions_.back().any_of) {
        parse_evidence_kind(word.is_string() ? word.get<std::string>() : word.dump());
      }
    }
  }
}

bool RowSelector::Condition::matches(const Json &row, const NameScope &scope) const {
  const Json *value = value_at(row, field);
  if (value == nullptr) {
    return false;
  }
  if (!any_of.empty() && !contains(any_of, *value)) {
    return false;
  }
  if (!none_of.empty() && contains(none_of, *value)) {
    return false;
  }
  if (!equals && !low && !high) {
    return true;
  }
  if (!value->is_number()) {
    return false;
  }
  const auto number = value->get<double>();
  return (!equals || number == equals->evaluate(scope.lookup())) && (!low || number >= low->evaluate(scope.lookup())) &&
         (!high || number <= high->evaluate(scope.lookup()));
}

RowSelector::Selection RowSelector::select(const ResultRows &rows, const NameScope &scope) const {
  Selection selection;
  for (const ResultRow &row : rows.rows) {
    const bool matched = std::all_of(conditions_.begin(), conditions_.end(),
                                     [&](const Condition &condition) { return condition.matches(row.row, scope); });
    if (matched) {
      (row.valid ? selection.rows : selection.invalid_rows).push_back(&row);
    }
  }
  return selection;
}

std::string RowSelector::text() const {
  std::string text;
  for (const Condition &condition : conditions_) {
    text += (text.empty() ? "" : " ") + condition.text;
  }
  return text;
}

} // namespace ringscale::claims
