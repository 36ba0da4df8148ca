// SPDX-License-Identifier: Apache-2.0
#include "validation/formula.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "problem/invalid_input.hpp"

namespace ringscale::validation {

using claims::Expression;

namespace {

std::string trimmed(const std::string &text) {
  const auto begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

std::optional<Expression> expression(const std::string &text) {
  try {
    return Expression(trimmed(text), "formula");
  } catch (const problem::InvalidInput &) {
    return std::nullopt;
  }
}

/// Without a last "(remark)", which has a letter that no arithmetic follows: "a * b (constant 4,194,304)".
std::string without_remark(const std::string &text) {
  const auto open = text.rfind(" (");
  return text.ends_with(")") && open != std::string::npos && open > 0 ? text.substr(0, open) : text;
}

bool is_name(const std::string &text) {
  const auto parsed = expression(text);
  return parsed && parsed->names().size() == 1 && parsed->names().front() == trimmed(text);
}

bool compare(double left, const std::string &comparison, double right) {
  if (comparison == "<=") {
    return left <= right;
  }
  if (comparison == ">=") {
    return left >= right;
  }
  if (comparison == "<") {
    return left < right;
  }
  if (comparison == ">") {
    return left > right;
  }
  return comparison == "==" ? left == right : left != right;
}

constexpr std::array<std::string_view, 6> comparisons{"<=", ">=", "==", "!=", "<", ">"};

} // namespace

std::optional<Formula> Formula::parse(const std::string &text) {
  if (text.size() > longest_formula) {
    return std::nullopt;
  }
  Formula formula;
  std::string body = text;
  const auto has_condition = [](const std::string &part) { return part.find(" if ") != std::string::npos; };
  // An equation; == <= >= != are comparisons.
  for (std::size_t place = body.find('='); place != std::string::npos && !has_condition(body); place = body.find('=')) {
    const std::string left = trimmed(body.substr(0, place));
    if (is_name(left)) {
      formula.left_ = left;
      body = trimmed(body.substr(place + 1));
    } else {
      body = left;
    }
  }
  const auto condition = body.find(" if ");
  const auto otherwise = body.find(" else ");
  if (condition != std::string::npos && otherwise != std::string::npos && condition < otherwise) {
    const std::string test = body.substr(condition + 4, otherwise - condition - 4);
    for (const std::string_view comparison : comparisons) {
      const auto place = test.find(comparison);
      if (place != std::string::npos) {
        formula.comparison_ = comparison;
        formula.condition_left_ = expression(test.substr(0, place));
        formula.condition_right_ = expression(test.substr(place + comparison.size()));
        break;
      }
    }
    formula.otherwise_ = expression(body.substr(otherwise + 6));
    body = body.substr(0, condition);
    if (!formula.condition_left_ || !formula.condition_right_ || !formula.otherwise_) {
      return std::nullopt;
    }
  }
  formula.value_ = expression(body);
  if (!formula.value_) {
    formula.value_ = expression(without_remark(body));
  }
  if (!formula.value_) {
    return std::nullopt;
  }
  for (const auto *part : {&formula.value_, &formula.condition_left_, &formula.condition_right_, &formula.otherwise_}) {
    if (*part) {
      for (const std::string &name : (*part)->names()) {
        if (std::find(formula.names_.begin(), formula.names_.end(), name) == formula.names_.end()) {
          formula.names_.push_back(name);
        }
      }
    }
  }
  return formula;
}

double Formula::evaluate(const claims::NameLookup &lookup) const {
  if (!comparison_.empty() &&
      !compare(condition_left_->evaluate(lookup), comparison_, condition_right_->evaluate(lookup))) {
    return otherwise_->evaluate(lookup);
  }
  return value_->evaluate(lookup);
}

} // namespace ringscale::validation
