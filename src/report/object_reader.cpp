// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <utility>

#include "problem/invalid_input.hpp"
#include "report/json.hpp"
#include "report/nearest_name.hpp"

namespace ringscale::report {

namespace {

std::string shown(double value) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

/// What a value is, in the words of a message.
std::string kind_of(const Json &value) {
  switch (value.type()) {
  case Json::value_t::string:
    return "a text";
  case Json::value_t::boolean:
    return value.get<bool>() ? "true" : "false";
  case Json::value_t::number_float:
    return shown(value.get<double>());
  case Json::value_t::number_integer:
  case Json::value_t::number_unsigned:
    return value.dump();
  case Json::value_t::array:
    return "an array";
  case Json::value_t::object:
    return "an object";
  default:
    return "null";
  }
}

std::int64_t as_integer(const Json &value, const std::string &where, std::int64_t low, std::int64_t high) {
  if (!value.is_number_integer()) { // true for unsigned too
    throw problem::InvalidInput(where + " is " + kind_of(value) + "; it must be an integer");
  }
  const bool beyond = value.is_number_unsigned() &&
                      value.get<std::uint64_t>() > static_cast<std::uint64_t>(ObjectReader::highest_integer);
  if (beyond || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high) {
    throw problem::InvalidInput(where + " is " + value.dump() + "; it must be between " + std::to_string(low) +
                                " and " + std::to_string(high));
  }
  return value.get<std::int64_t>();
}

double as_number(const Json &value, const std::string &where, double low, double high) {
  if (!value.is_number()) {
    throw problem::InvalidInput(where + " is " + kind_of(value) + "; it must be a number");
  }
  const auto number = value.get<double>();
  if (!std::isfinite(number) || !(number >= low && number <= high)) {
    throw problem::InvalidInput(where + " is " + kind_of(value) + "; it must be between " + shown(low) + " and " +
                                shown(high));
  }
  return number;
}

std::string as_text(const Json &value, const std::string &where) {
  if (!value.is_string()) {
    throw problem::InvalidInput(where + " is " + kind_of(value) + "; it must be a text");
  }
  return value.get<std::string>();
}

std::string at(const std::string &where, std::size_t index) { return where + "[" + std::to_string(index) + "]"; }

} // namespace

ObjectReader::ObjectReader(const Json &object, std::string source) : ObjectReader(object, std::move(source), "$") {}

ObjectReader::ObjectReader(const Json &object, std::string source, std::string path)
    : object_(&object), source_(std::move(source)), path_(std::move(path)) {
  if (!object.is_object()) {
    throw problem::InvalidInput(where() + " is " + kind_of(object) + "; it must be an object");
  }
}

std::string ObjectReader::where(const std::string &key) const { return where() + "." + key; }

void ObjectReader::refuse(const std::string &key, const std::string &reason) const {
  throw problem::InvalidInput(where(key) + " " + reason);
}

const Json *ObjectReader::find(const std::string &key) const {
  known_.insert(key);
  const auto found = object_->find(key);
  return found == object_->end() ? nullptr : &*found;
}

const Json &ObjectReader::require(const std::string &key) const {
  const Json *value = find(key);
  if (value == nullptr) {
    // A misspelt key explains a missing one; say both.
    std::string hint;
    for (const auto &[present, ignored] : object_->items()) {
      if (!known_.contains(present) && edit_distance(present, key) <= 2) {
        hint = "; did '" + present + "' mean it?";
      }
    }
    throw problem::InvalidInput(where(key) + " is missing" + hint);
  }
  return *value;
}

const Json &ObjectReader::require_array(const std::string &key) const {
  const Json &value = require(key);
  if (!value.is_array()) {
    throw problem::InvalidInput(where(key) + " is " + kind_of(value) + "; it must be an array");
  }
  return value;
}

bool ObjectReader::has(const std::string &key) const { return find(key) != nullptr; }

std::int64_t ObjectReader::integer(const std::string &key, std::int64_t low, std::int64_t high) const {
  return as_integer(require(key), where(key), low, high);
}
std::int64_t ObjectReader::integer_or(const std::string &key, std::int64_t fallback, std::int64_t low,
                                      std::int64_t high) const {
  const Json *value = find(key);
  return value == nullptr ? fallback : as_integer(*value, where(key), low, high);
}
double ObjectReader::number(const std::string &key, double low, double high) const {
  return as_number(require(key), where(key), low, high);
}
double ObjectReader::number_or(const std::string &key, double fallback, double low, double high) const {
  const Json *value = find(key);
  return value == nullptr ? fallback : as_number(*value, where(key), low, high);
}
std::string ObjectReader::text(const std::string &key) const { return as_text(require(key), where(key)); }
std::string ObjectReader::text_or(const std::string &key, const std::string &fallback) const {
  const Json *value = find(key);
  return value == nullptr ? fallback : as_text(*value, where(key));
}
bool ObjectReader::boolean(const std::string &key) const {
  const Json &value = require(key);
  if (!value.is_boolean()) {
    throw problem::InvalidInput(where(key) + " is " + kind_of(value) + "; it must be true or false");
  }
  return value.get<bool>();
}
bool ObjectReader::boolean_or(const std::string &key, bool fallback) const {
  return find(key) == nullptr ? fallback : boolean(key);
}

ObjectReader ObjectReader::object(const std::string &key) const { return {require(key), source_, path_ + "." + key}; }

std::vector<ObjectReader> ObjectReader::objects(const std::string &key) const {
  const Json &array = require_array(key);
  std::vector<ObjectReader> readers;
  readers.reserve(array.size());
  for (std::size_t index = 0; index < array.size(); ++index) {
    readers.push_back(ObjectReader(array[index], source_, at(path_ + "." + key, index)));
  }
  return readers;
}

std::vector<double> ObjectReader::numbers(const std::string &key) const {
  std::vector<double> values;
  for (const Json &item : require_array(key)) {
    values.push_back(as_number(item, at(where(key), values.size()), lowest_number, highest_number));
  }
  return values;
}
std::vector<std::int64_t> ObjectReader::integers(const std::string &key) const {
  std::vector<std::int64_t> values;
  for (const Json &item : require_array(key)) {
    values.push_back(as_integer(item, at(where(key), values.size()), lowest_integer, highest_integer));
  }
  return values;
}
std::vector<std::string> ObjectReader::texts(const std::string &key) const {
  std::vector<std::string> values;
  for (const Json &item : require_array(key)) {
    values.push_back(as_text(item, at(where(key), values.size())));
  }
  return values;
}

const Json &ObjectReader::any(const std::string &key) const { return require(key); }

void ObjectReader::finish() const {
  for (const auto &[key, value] : object_->items()) {
    if (known_.contains(key)) {
      continue;
    }
    const std::vector<std::string> names(known_.begin(), known_.end());
    const std::string nearest = nearest_name(key, names);
    throw problem::InvalidInput(where(key) + " is unknown" +
                                (nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
  }
}

} // namespace ringscale::report
