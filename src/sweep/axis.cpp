// SPDX-License-Identifier: Apache-2.0
#include "sweep/axis.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <set>

#include "problem/invalid_input.hpp"

namespace ringscale::sweep {

namespace {

using problem::InvalidInput;
using report::Json;
using report::ObjectReader;

std::vector<Json> range_values(const ObjectReader &reader, const std::string &where) {
  const Json &bounds = reader.any("range");
  const std::vector<double> numbers = reader.numbers("range");
  if (numbers.size() != 3) {
    throw InvalidInput(where + ".range must be [first, last, step]");
  }
  const double first = numbers[0];
  const double step = numbers[2];
  // A last value that decimal steps reach up to rounding still counts.
  const double steps = std::floor((numbers[1] - first) / step + 1e-9);
  if (!(step != 0.0) || !(steps >= 0.0)) {
    throw InvalidInput(where + ".range must lead from first to last in steps that are not 0");
  }
  if (!(steps < static_cast<double>(most_points))) {
    throw InvalidInput(where + ".range has more than " + std::to_string(most_points) + " values");
  }
  bool whole = true;
  for (const Json &bound : bounds) {
    whole = whole && bound.is_number_integer();
  }
  std::vector<Json> values;
  for (std::int64_t index = 0; index <= static_cast<std::int64_t>(steps); ++index) {
    if (whole) {
      values.emplace_back(bounds[0].get<std::int64_t>() + index * bounds[2].get<std::int64_t>());
    } else {
      values.emplace_back(first + static_cast<double>(index) * step);
    }
  }
  return values;
}

std::vector<Json> power_values(const ObjectReader &reader, const std::string &where) {
  constexpr std::int64_t highest = std::int64_t{1} << 50;
  const std::vector<std::int64_t> bounds = reader.integers("powers_of_two");
  const std::int64_t every = reader.integer_or("every", 1, 1, 50);
  if (bounds.size() != 2 || bounds[0] < 1 || bounds[0] > bounds[1] || bounds[1] > highest ||
      !std::has_single_bit(static_cast<std::uint64_t>(bounds[0]))) {
    throw InvalidInput(where + ".powers_of_two must be [low, high] with low a power of two and low <= high <= 2^50");
  }
  std::vector<Json> values;
  for (std::int64_t value = bounds[0]; value <= bounds[1]; value <<= every) {
    values.emplace_back(value);
    if (every > 50 || value > (highest >> every)) {
      break;
    }
  }
  return values;
}

std::vector<Json> generated_values(const Json &axis, const std::string &where) {
  const ObjectReader reader(axis, where, "");
  std::vector<Json> values;
  if (reader.has("range")) {
    values = range_values(reader, where);
    reader.finish();
  } else if (reader.has("powers_of_two")) {
    values = power_values(reader, where);
    reader.finish();
  } else {
    throw InvalidInput(where + " must be a value, a list, {\"range\": [first, last, step]} or "
                               "{\"powers_of_two\": [low, high]}");
  }
  return values;
}

} // namespace

std::vector<Json> axis_values(const Json &axis, const std::string &where) {
  std::vector<Json> values;
  if (axis.is_object()) {
    values = generated_values(axis, where);
  } else if (axis.is_array()) {
    values.assign(axis.begin(), axis.end());
  } else {
    values.push_back(axis);
  }
  if (values.empty() || values.size() > most_points) {
    throw InvalidInput(where + " must have between 1 and " + std::to_string(most_points) + " values");
  }
  std::set<std::string> seen;
  for (const Json &value : values) {
    if (value.is_structured() || value.is_null()) {
      throw InvalidInput(where + " must list numbers, words or true/false");
    }
    if (!seen.insert(report::write_json(value, -1)).second) {
      throw InvalidInput(where + " has the value " + report::write_json(value, -1) + " twice");
    }
  }
  return values;
}

} // namespace ringscale::sweep
