// SPDX-License-Identifier: Apache-2.0
#include "claims/expression.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "problem/invalid_input.hpp"

namespace ringscale::claims {

enum class Operation { number, name, add, subtract, multiply, divide, power, negate, call };

struct Expression::Node {
  Operation operation = Operation::number;
  double number = 0.0;
  std::string word; ///< of a name or a function
  std::vector<std::shared_ptr<const Node>> arguments;
};

namespace {

using NodePointer = std::shared_ptr<const Expression::Node>;

constexpr int deepest_nesting = 100;
constexpr std::size_t longest_text = 2000;

struct Function {
  std::string_view name;
  std::size_t fewest, most;
};
constexpr std::array<Function, 8> functions{{{"min", 2, 16},
                                             {"max", 2, 16},
                                             {"log2", 1, 1},
                                             {"log10", 1, 1},
                                             {"sqrt", 1, 1},
                                             {"abs", 1, 1},
                                             {"floor", 1, 1},
                                             {"ceil", 1, 1}}};

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }
bool starts_name(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || letter == '_';
}
bool continues_name(char letter) { return starts_name(letter) || is_digit(letter); }

/// Recursive descent over the grammar: sum of products of signed powers of primaries.
class Parser {
public:
  Parser(std::string_view text, const std::string &where, std::vector<std::string> &names)
      : text_(text), where_(where), names_(names) {}

  NodePointer parse() {
    NodePointer root = sum(0);
    skip_blanks();
    if (position_ != text_.size()) {
      fail("unexpected '" + std::string(1, text_[position_]) + "'");
    }
    return root;
  }

private:
  [[noreturn]] void fail(const std::string &what) const {
    throw problem::InvalidInput(where_ + ": expression '" + std::string(text_.substr(0, 80)) + "': " + what +
                                " at letter " + std::to_string(position_ + 1));
  }
  void skip_blanks() {
    while (position_ < text_.size() && text_[position_] == ' ') {
      ++position_;
    }
  }
  bool accept(char letter) {
    skip_blanks();
    if (position_ < text_.size() && text_[position_] == letter) {
      ++position_;
      return true;
    }
    return false;
  }
  static NodePointer node(Operation operation, std::vector<NodePointer> arguments, std::string word = {}) {
    auto made = std::make_shared<Expression::Node>();
    made->operation = operation;
    made->arguments = std::move(arguments);
    made->word = std::move(word);
    return made;
  }

  NodePointer sum(int depth) {
    if (depth > deepest_nesting) {
      fail("nested deeper than " + std::to_string(deepest_nesting));
    }
    NodePointer left = product(depth);
    for (;;) {
      if (accept('+')) {
        left = node(Operation::add, {left, product(depth)});
      } else if (accept('-')) {
        left = node(Operation::subtract, {left, product(depth)});
      } else {
        return left;
      }
    }
  }
  NodePointer product(int depth) {
    NodePointer left = signed_power(depth);
    for (;;) {
      if (accept('*')) {
        left = node(Operation::multiply, {left, signed_power(depth)});
      } else if (accept('/')) {
        left = node(Operation::divide, {left, signed_power(depth)});
      } else {
        return left;
      }
    }
  }
  NodePointer signed_power(int depth) {
    if (depth > deepest_nesting) {
      fail("nested deeper than " + std::to_string(deepest_nesting));
    }
    if (accept('-')) {
      return node(Operation::negate, {signed_power(depth + 1)});
    }
    if (accept('+')) {
      return signed_power(depth + 1);
    }
    NodePointer base = primary(depth);
    if (accept('^')) {
      return node(Operation::power, {base, signed_power(depth + 1)});
    }
    return base;
  }
  NodePointer primary(int depth) {
    skip_blanks();
    if (position_ == text_.size()) {
      fail("ends where a number, a name or '(' should stand");
    }
    const char letter = text_[position_];
    if (accept('(')) {
      NodePointer inner = sum(depth + 1);
      if (!accept(')')) {
        fail("')' is missing");
      }
      return inner;
    }
    if (is_digit(letter) || letter == '.') {
      return number();
    }
    if (starts_name(letter)) {
      return name_or_call(depth);
    }
    fail("unexpected '" + std::string(1, letter) + "'");
  }
  NodePointer number() {
    auto made = std::make_shared<Expression::Node>();
    const char *begin = text_.data() + position_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), made->number);
    if (error != std::errc{} || !std::isfinite(made->number)) {
      fail("not a finite number");
    }
    position_ += static_cast<std::size_t>(end - begin);
    if (position_ < text_.size() && (continues_name(text_[position_]) || text_[position_] == '.')) {
      fail("a number runs into '" + std::string(1, text_[position_]) + "'");
    }
    return made;
  }
  NodePointer name_or_call(int depth) {
    const std::size_t begin = position_;
    while (position_ < text_.size() && (continues_name(text_[position_]) || text_[position_] == '.')) {
      ++position_;
    }
    std::string word(text_.substr(begin, position_ - begin));
    if (word.back() == '.' || word.find("..") != std::string::npos) {
      fail("name '" + word + "' has an empty part");
    }
    if (!accept('(')) {
      if (std::find(names_.begin(), names_.end(), word) == names_.end()) {
        names_.push_back(word);
      }
      return node(Operation::name, {}, std::move(word));
    }
    const auto *function = std::find_if(functions.begin(), functions.end(),
                                        [&](const Function &candidate) { return candidate.name == word; });
    if (function == functions.end()) {
      fail("function '" + word + "' is unknown; one of: min, max, log2, log10, sqrt, abs, floor, ceil,");
    }
    std::vector<NodePointer> arguments{sum(depth + 1)};
    while (accept(',')) {
      arguments.push_back(sum(depth + 1));
    }
    if (!accept(')')) {
      fail("')' is missing");
    }
    if (arguments.size() < function->fewest || arguments.size() > function->most) {
      fail(word + " takes " + (function->most == 1 ? "1 argument" : "2 to 16 arguments") + ", not " +
           std::to_string(arguments.size()) + ",");
    }
    return node(Operation::call, std::move(arguments), std::move(word));
  }

  std::string_view text_;
  const std::string &where_;
  std::vector<std::string> &names_;
  std::size_t position_ = 0;
};

/// min and max that let a NaN through, where std::min would drop one by the order of its arguments.
double extreme(bool largest, double left, double right) {
  if (std::isnan(left) || std::isnan(right)) {
    return std::nan("");
  }
  return largest ? std::max(left, right) : std::min(left, right);
}

double call_function(const std::string &function, const std::vector<double> &arguments) {
  if (function == "min" || function == "max") {
    double result = arguments.front();
    for (const double argument : arguments) {
      result = extreme(function == "max", result, argument);
    }
    return result;
  }
  const double argument = arguments.front();
  if (function == "log2") {
    return std::log2(argument);
  }
  if (function == "log10") {
    return std::log10(argument);
  }
  if (function == "sqrt") {
    return std::sqrt(argument);
  }
  if (function == "abs") {
    return std::abs(argument);
  }
  return function == "floor" ? std::floor(argument) : std::ceil(argument);
}

double evaluate_node(const Expression::Node &node, const NameLookup &lookup, const std::string &where) {
  if (node.operation == Operation::number) {
    return node.number;
  }
  if (node.operation == Operation::name) {
    const auto value = lookup(node.word);
    if (!value) {
      throw problem::InvalidInput(where + ": name '" + node.word + "' stands for no number");
    }
    return *value;
  }
  std::vector<double> values;
  values.reserve(node.arguments.size());
  for (const auto &argument : node.arguments) {
    values.push_back(evaluate_node(*argument, lookup, where));
  }
  switch (node.operation) {
  case Operation::add:
    return values[0] + values[1];
  case Operation::subtract:
    return values[0] - values[1];
  case Operation::multiply:
    return values[0] * values[1];
  case Operation::divide:
    return values[0] / values[1];
  case Operation::power:
    return std::pow(values[0], values[1]);
  case Operation::negate:
    return -values[0];
  default:
    return call_function(node.word, values);
  }
}

} // namespace

Expression::Expression(std::string_view text, const std::string &where) : text_(text), where_(where) {
  if (text_.size() > longest_text) {
    throw problem::InvalidInput(where + ": expression of " + std::to_string(text_.size()) + " letters; at most " +
                                std::to_string(longest_text));
  }
  root_ = Parser(text_, where_, names_).parse();
}

double Expression::evaluate(const NameLookup &lookup) const { return evaluate_node(*root_, lookup, where_); }

} // namespace ringscale::claims
