// SPDX-License-Identifier: Apache-2.0
#include "sweep/simulate_settings.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "memory/limits.hpp"
#include "problem/invalid_input.hpp"
#include "simulator/chunk_balance.hpp"

namespace ringscale::sweep {

using problem::InvalidInput;

namespace {

/// A whole text as a number, whatever the locale.
bool parse_number(std::string_view text, double &value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

/// A setting's name as messages give it.
class Names {
public:
  explicit Names(Spelling spelling) : spelling_(spelling) {}
  std::string operator()(const char *key) const {
    std::string name = key;
    visit_settings(settings_, [&](const SettingName &setting, auto &) {
      name = spelling_ == Spelling::flags && std::string_view(setting.key) == key ? setting.flag : name;
    });
    return name;
  }

private:
  Spelling spelling_;
  SimulateSettings settings_;
};

simulator::Engine parse_engine(const std::string &word) {
  for (const auto &[name, engine] :
       {std::pair{"automatic", simulator::Engine::automatic}, std::pair{"plain", simulator::Engine::plain},
        std::pair{"blocked", simulator::Engine::blocked}, std::pair{"folded", simulator::Engine::folded},
        std::pair{"plan", simulator::Engine::plan}}) {
    if (word == name) {
      return engine;
    }
  }
  throw InvalidInput("engine '" + word + "' is unknown; one of: automatic, plain, blocked, folded, plan");
}

void apply_stragglers(const std::string &text, const Names &name, simulator::SimulationOptions &options) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || !parse_number(text.substr(0, colon), options.straggler_share) ||
      !parse_number(text.substr(colon + 1), options.straggler_factor)) {
    throw InvalidInput(name("stragglers") + " is '" + text + "'; it must be SHARE:FACTOR, such as 0.01:1.5");
  }
}

simulator::FailureOptions failure_options(const SimulateSettings &settings, const Names &name) {
  simulator::FailureOptions options;
  options.device_mtbf_s = settings.device_mtbf;
  options.detection_s = settings.failure_detection;
  options.restart_s = settings.restart_time;
  options.passes = settings.passes;
  options.checkpoint_s = settings.checkpoint_time;
  options.trials = settings.failure_trials.value_or(options.trials);
  const std::string &word = settings.checkpoint_interval;
  if (word == "none") {
    options.rule = simulator::CheckpointRule::none;
  } else if (word == "young") {
    options.rule = simulator::CheckpointRule::young;
  } else if (word == "daly") {
    options.rule = simulator::CheckpointRule::daly;
  } else {
    options.rule = simulator::CheckpointRule::given;
    if (!parse_number(word, options.interval_s)) {
      throw InvalidInput(name("checkpoint_interval") + " is '" + word +
                         "'; it must be none, young, daly or a number of seconds");
    }
  }
  const bool has_size = !settings.checkpoint_bytes.empty() || !settings.checkpoint_bandwidth.empty();
  if (options.rule == simulator::CheckpointRule::none && (options.checkpoint_s || has_size)) {
    throw InvalidInput("the cost of a checkpoint has no effect without " + name("checkpoint_interval"));
  }
  if (options.checkpoint_s && has_size) {
    throw InvalidInput(name("checkpoint_time_s") + " excludes " + name("checkpoint_bytes") + " and " +
                       name("checkpoint_bandwidth") + ", which it would be computed from");
  }
  const auto bytes = [&](const char *key, const std::string &text) {
    return static_cast<double>(memory::parse_bytes(name(key), text));
  };
  if (!settings.checkpoint_bytes.empty()) {
    options.checkpoint_bytes = bytes("checkpoint_bytes", settings.checkpoint_bytes);
  }
  if (!settings.checkpoint_bandwidth.empty()) {
    options.checkpoint_bandwidth_bytes_per_s = bytes("checkpoint_bandwidth", settings.checkpoint_bandwidth);
  }
  return options;
}

/// Reads one setting of a document, by the type of its member.
class PointReader {
public:
  explicit PointReader(const report::ObjectReader &reader) : reader_(reader) {}

  void operator()(const SettingName &name, bool &value) const { value = reader_.boolean_or(name.key, value); }
  void operator()(const SettingName &name, double &value) const {
    value = reader_.number_or(name.key, value, name.low, name.high);
  }
  void operator()(const SettingName &name, std::int64_t &value) const {
    const std::int64_t high =
        name.high < 1e9 ? static_cast<std::int64_t>(name.high) : report::ObjectReader::highest_integer;
    value = reader_.integer_or(name.key, value, name.low < 0.0 ? 0 : static_cast<std::int64_t>(name.low), high);
  }
  template <class Value> void operator()(const SettingName &name, std::optional<Value> &value) const {
    if (reader_.has(name.key)) {
      value.emplace();
      (*this)(name, *value);
    }
  }
  void operator()(const SettingName &name, std::string &value) const {
    if (is_number(name)) {
      static_cast<void>(reader_.number(name.key, name.low, name.high));
      value = report::write_json(reader_.any(name.key), -1);
    } else {
      value = reader_.text_or(name.key, value);
    }
  }
  void operator()(const SettingName &name, std::vector<double> &values) const {
    if (is_number(name)) {
      values = {reader_.number(name.key, name.low, name.high)};
      return;
    }
    const std::string text = reader_.text_or(name.key, "");
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      double value = 0.0;
      if (!parse_number(std::string_view(text).substr(begin, end - begin), value) || end + 1 == text.size()) {
        reader_.refuse(name.key, "is '" + text + "'; it must be numbers with commas between them");
      }
      values.push_back(value);
      begin = end + 1;
    }
  }

private:
  bool is_number(const SettingName &name) const { return reader_.has(name.key) && reader_.any(name.key).is_number(); }

  const report::ObjectReader &reader_;
};

} // namespace

void apply(const SimulateSettings &settings, Spelling spelling, simulator::SimulationOptions &options) {
  const Names name(spelling);
  options.device_speeds = settings.device_speeds;
  options.speed_spread = settings.speed_spread;
  options.measured_jitter = settings.jitter == "measured";
  if (!options.measured_jitter && !parse_number(settings.jitter, options.jitter)) {
    throw InvalidInput(name("jitter") + " is '" + settings.jitter +
                       "'; it must be a number from 0 to 0.25, or measured");
  }
  if (!settings.stragglers.empty()) {
    apply_stragglers(settings.stragglers, name, options);
  }
  options.tile_speedup = settings.tile_speedup;
  options.ranks_on_node = settings.ranks_on_node;
  options.engine = parse_engine(settings.engine);
  options.tick_bits = static_cast<int>(std::clamp<std::int64_t>(settings.tick_bits, -1, 1000)); // refused by validate
  options.failures = failure_options(settings, name);
  if (settings.balance_chunks && !settings.chunk_weights.empty()) {
    throw InvalidInput(name("balance_chunks") + " and " + name("chunk_weights") + " exclude each other");
  }
}

void apply_to_devices(SimulateSettings &settings, Spelling spelling, const machine::Fleet &fleet,
                      simulator::SimulationOptions &options) {
  const Names name(spelling);
  bool fail = settings.device_mtbf.has_value();
  bool share_cores = false;
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    fail = fail || fleet.machine(type).failures.has_value();
    share_cores = share_cores || fleet.machine(type).core_sharing.cores > 0;
  }
  if (settings.failure_trials && !fail) {
    throw InvalidInput(name("failure_trials") + " has no effect on devices that never fail: give " +
                       name("device_mtbf_s") + ", or failures in the machine file");
  }
  if (settings.balance_chunks && fleet.types() == 1 && settings.device_speeds.empty()) {
    throw InvalidInput(name("balance_chunks") +
                       " has no effect on devices of one type and speed; name several types "
                       "in " +
                       (spelling == Spelling::flags ? "--machine" : "machine") + ", or speeds in " +
                       name("device_speeds"));
  }
  if (settings.ranks_on_node > 0 && !share_cores) {
    throw InvalidInput(name("ranks_on_node") + " has no effect: " + fleet.name() +
                       " does not say what ranks that share cores take (core_sharing, which calibrate measures)");
  }
  if (settings.balance_chunks) {
    settings.chunk_weights = simulator::chunk_weights_by_speed(fleet, options);
  }
  schedule::RingProblem &problem = options.problem;
  if (!settings.chunk_weights.empty()) {
    problem.chunks = schedule::weighted_chunks(settings.chunk_weights, schedule::chunk_shape(problem).granule_tokens);
  }
}

std::vector<std::string> simulate_keys() {
  std::vector<std::string> keys;
  const SimulateSettings settings;
  visit_settings(settings, [&](const SettingName &name, const auto &) { keys.emplace_back(name.key); });
  return keys;
}

SimulateSettings read_simulate_settings(const report::ObjectReader &reader) {
  SimulateSettings settings;
  visit_settings(settings, PointReader(reader));
  return settings;
}

} // namespace ringscale::sweep
