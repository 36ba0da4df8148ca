// SPDX-License-Identifier: Apache-2.0
#include "sizing/calculators.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>

#include "problem/invalid_input.hpp"
#include "sizing/calculator_differences.hpp"

namespace ringscale::sizing {

using problem::InvalidInput;

namespace {

enum class Kind { integer, number, text };

struct Parameter {
  std::string name;
  Kind kind = Kind::integer;
  std::string fallback = {}; ///< "" where the document has no default
  std::int64_t most = std::int64_t{1} << 50;
};

/// Arguments that were read, by the place of their parameter.
class Arguments {
public:
  explicit Arguments(NamedValues values) : values_(std::move(values)) {}
  std::int64_t integer(std::size_t place) const { return std::get<std::int64_t>(values_[place].second); }
  double number(std::size_t place) const { return std::get<double>(values_[place].second); }
  const std::string &text(std::size_t place) const { return std::get<std::string>(values_[place].second); }
  const NamedValues &values() const { return values_; }

private:
  NamedValues values_;
};

struct Calculator {
  std::string name;
  std::vector<Parameter> parameters;
  std::function<Outcome(const Arguments &)> printed;
  std::function<Outcome(const Arguments &)> corrected;
  std::string (*difference)(const Calculation &) = nullptr;
};

const std::vector<Calculator> &calculators() {
  constexpr std::int64_t most_segments = 8;
  static const std::vector<Calculator> all{
      {"calculate_ring_config",
       {{"target_tokens"}, {"available_devices"}, {"memory_per_device_gb", Kind::number}},
       [](const Arguments &a) { return printed_ring_config(a.integer(0), a.integer(1), a.number(2)); },
       [](const Arguments &a) { return corrected_ring_config(a.integer(0), a.integer(1), a.number(2)); },
       ring_config_difference},
      {"calculate_optimal_ring_size",
       {{"seq_len"}, {"num_gpus"}, {"target_memory_per_gpu_gb", Kind::number, "40"}},
       [](const Arguments &a) { return printed_optimal_ring_size(a.integer(0), a.integer(1), a.number(2)); },
       [](const Arguments &a) { return corrected_optimal_ring_size(a.integer(0), a.integer(1), a.number(2)); },
       optimal_ring_size_difference},
      {"optimize_block_size",
       {{"ring_size"}, {"seq_len"}, {"model_size", Kind::text, "medium"}},
       [](const Arguments &a) { return printed_block_size(a.integer(0), a.integer(1), a.text(2)); },
       [](const Arguments &a) { return corrected_block_size(a.integer(0), a.integer(1), a.text(2)); },
       block_size_difference},
      {"optimize_segment_lengths",
       {{"seq_len"}, {"ring_size"}, {"num_segments", Kind::integer, "3", most_segments}},
       [](const Arguments &a) { return printed_segment_lengths(a.integer(0), a.integer(1), a.integer(2)); },
       [](const Arguments &a) { return corrected_segment_lengths(a.integer(0), a.integer(1), a.integer(2)); },
       segment_lengths_difference},
      {"ring_gpus_needed",
       {{"seq_len"}},
       [](const Arguments &a) { return printed_ring_gpus(a.integer(0)); },
       [](const Arguments &a) { return corrected_ring_gpus(a.integer(0)); },
       ring_gpus_difference},
      {"get_batch_size",
       {{"seq_len"}, {"max_tokens", Kind::integer, "32768"}, {"max_batch_size", Kind::integer, "32"}},
       [](const Arguments &a) { return printed_batch_size(a.integer(0), a.integer(1), a.integer(2)); },
       [](const Arguments &a) { return corrected_batch_size(a.integer(0), a.integer(1), a.integer(2)); },
       batch_size_difference},
      {"accumulation_steps",
       {{"target_batch_size"}, {"actual_batch_size"}},
       [](const Arguments &a) { return printed_accumulation_steps(a.integer(0), a.integer(1)); },
       [](const Arguments &a) { return corrected_accumulation_steps(a.integer(0), a.integer(1)); },
       accumulation_steps_difference}};
  return all;
}

std::string joined(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

Value parse(const std::string &calculator, const Parameter &parameter, const std::string &text) {
  const std::string where = calculator + ": " + parameter.name + " is '" + text + "'; ";
  if (parameter.kind == Kind::text) {
    return text;
  }
  if (parameter.kind == Kind::integer) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > parameter.most) {
      throw InvalidInput(where + "it must be a whole number between 0 and " + std::to_string(parameter.most));
    }
    return value;
  }
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0.0 && value <= 1e9)) {
    throw InvalidInput(where + "it must be a number between 0 and 1e9");
  }
  return value;
}

Arguments read_arguments(const Calculator &calculator, const std::vector<std::string> &texts) {
  std::vector<std::string> names;
  for (const Parameter &parameter : calculator.parameters) {
    names.push_back(parameter.name);
  }
  std::vector<std::string> given(names.size());
  for (const std::string &text : texts) {
    const std::size_t equals = text.find('=');
    const auto place = std::find(names.begin(), names.end(), text.substr(0, equals));
    if (equals == std::string::npos || place == names.end()) {
      throw InvalidInput(calculator.name + ": argument '" + text + "' is none of name=value with: " + joined(names));
    }
    std::string &value = given[static_cast<std::size_t>(place - names.begin())];
    if (!value.empty() || equals + 1 == text.size()) {
      throw InvalidInput(calculator.name + ": argument " + *place +
                         (value.empty() ? " has no value" : " stands twice"));
    }
    value = text.substr(equals + 1);
  }
  NamedValues values;
  for (std::size_t place = 0; place < names.size(); ++place) {
    const Parameter &parameter = calculator.parameters[place];
    const std::string &text = given[place].empty() ? parameter.fallback : given[place];
    if (text.empty()) {
      throw InvalidInput(calculator.name + ": argument " + parameter.name + " is missing; it takes: " + joined(names));
    }
    values.emplace_back(parameter.name, parse(calculator.name, parameter, text));
  }
  return Arguments(std::move(values));
}

} // namespace

std::vector<std::string> calculator_names() {
  std::vector<std::string> names;
  for (const Calculator &calculator : calculators()) {
    names.push_back(calculator.name);
  }
  return names;
}

Calculation calculate(const std::string &calculator, const std::vector<std::string> &arguments) {
  const auto found = std::find_if(calculators().begin(), calculators().end(),
                                  [&](const Calculator &candidate) { return candidate.name == calculator; });
  if (found == calculators().end()) {
    throw InvalidInput("calculator '" + calculator + "' is unknown; one of: all, " + joined(calculator_names()));
  }
  const Arguments values = read_arguments(*found, arguments);
  Calculation result;
  result.calculator = calculator;
  result.arguments = values.values();
  result.as_printed = found->printed(values);
  result.corrected = found->corrected(values);
  result.difference = found->difference(result);
  return result;
}

std::vector<Calculation> documented_calculations() {
  struct Call {
    const char *calculator;
    std::vector<std::string> arguments;
    const char *document_says;
  };
  static const std::vector<Call> calls{
      {"calculate_ring_config",
       {"target_tokens=1000000000", "available_devices=4000", "memory_per_device_gb=8"},
       "chunk 250,000 and ring 4000; elsewhere 7.5 or 43.4 minutes"},
      {"calculate_ring_config",
       {"target_tokens=1000000000", "available_devices=3814", "memory_per_device_gb=8"},
       "7.5 minutes, about 3 GB"},
      {"calculate_ring_config",
       {"target_tokens=1073741824", "available_devices=262144", "memory_per_device_gb=8"},
       "8186 s"},
      {"calculate_ring_config",
       {"target_tokens=1000000000000", "available_devices=244140625", "memory_per_device_gb=8"},
       "2.3 hours"},
      {"calculate_ring_config",
       {"target_tokens=1000000000", "available_devices=64", "memory_per_device_gb=80"},
       "64 devices are enough"},
      {"calculate_ring_config",
       {"target_tokens=1000000000", "available_devices=1000", "memory_per_device_gb=7.9"},
       "262,144 tokens a chunk, validated on 7.9 GB"},
      {"calculate_ring_config",
       {"target_tokens=1000000000", "available_devices=1000", "memory_per_device_gb=4"},
       "at most 64K tokens a chunk"},
      {"calculate_ring_config", {"target_tokens=1000", "available_devices=4000", "memory_per_device_gb=8"}, ""},
      {"calculate_optimal_ring_size", {"seq_len=10000000", "num_gpus=32"}, "8 to 16"},
      {"calculate_optimal_ring_size", {"seq_len=11000000", "num_gpus=32"}, ""},
      {"calculate_optimal_ring_size", {"seq_len=1000000000", "num_gpus=32"}, ""},
      {"calculate_optimal_ring_size",
       {"seq_len=1000000000", "num_gpus=1000", "target_memory_per_gpu_gb=60"},
       "64 devices"},
      {"optimize_block_size", {"ring_size=8", "seq_len=1000000"}, ""},
      {"optimize_block_size", {"ring_size=8", "seq_len=1024"}, ""},
      {"optimize_block_size", {"ring_size=8", "seq_len=256"}, ""},
      {"optimize_segment_lengths", {"seq_len=1000000", "ring_size=8"}, "2048, 4096 and 8192"},
      {"optimize_segment_lengths", {"seq_len=24", "ring_size=8"}, ""},
      {"ring_gpus_needed", {"seq_len=1000000"}, "8 devices"},
      {"ring_gpus_needed", {"seq_len=10000000"}, ""},
      {"ring_gpus_needed", {"seq_len=100000000"}, "8 devices"},
      {"ring_gpus_needed", {"seq_len=1000000000"}, "64 devices"},
      {"get_batch_size", {"seq_len=4096"}, "8"},
      {"get_batch_size", {"seq_len=8192"}, "4"},
      {"get_batch_size", {"seq_len=16384"}, "2"},
      {"get_batch_size", {"seq_len=32768"}, ""},
      {"get_batch_size", {"seq_len=65536"}, ""},
      {"accumulation_steps", {"target_batch_size=64", "actual_batch_size=8"}, "8"}};
  std::vector<Calculation> results;
  for (const Call &call : calls) {
    results.push_back(calculate(call.calculator, call.arguments));
    results.back().document_says = call.document_says;
  }
  return results;
}

const Value &value_of(const NamedValues &values, const std::string &name) {
  for (const auto &[candidate, value] : values) {
    if (candidate == name) {
      return value;
    }
  }
  throw InvalidInput("there is no value '" + name + "'");
}

std::string text_of(const Value &value) {
  if (const auto *integer = std::get_if<std::int64_t>(&value)) {
    return std::to_string(*integer);
  }
  if (const auto *number = std::get_if<double>(&value)) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.6g", *number);
    return text.data();
  }
  if (const auto *flag = std::get_if<bool>(&value)) {
    return *flag ? "true" : "false";
  }
  if (const auto *text = std::get_if<std::string>(&value)) {
    return *text;
  }
  std::string text;
  for (const std::int64_t element : std::get<std::vector<std::int64_t>>(value)) {
    text += (text.empty() ? "[" : ", ") + std::to_string(element);
  }
  return text.empty() ? "[]" : text + "]";
}

} // namespace ringscale::sizing
