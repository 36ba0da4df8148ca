// SPDX-License-Identifier: Apache-2.0
#include "sweep/point.hpp"

#include <array>
#include <filesystem>
#include <limits>
#include <utility>

#include "problem/invalid_input.hpp"
#include "problem/words.hpp"
#include "sweep/fingerprint.hpp"
#include "sweep/schedule_settings.hpp"
#include "sweep/simulated_points.hpp"

namespace ringscale::sweep {

namespace {

using problem::InvalidInput;
using report::Json;
using report::ObjectReader;

constexpr std::array<std::pair<std::string_view, PointKind>, 4> kind_words{{{"measured", PointKind::measured},
                                                                            {"simulated", PointKind::simulated},
                                                                            {"analytic", PointKind::analytic},
                                                                            {"merge_error", PointKind::merge_error}}};

constexpr std::int64_t most_tokens = std::int64_t{1} << 50;
constexpr std::int64_t most_devices = std::int64_t{1} << 31;
constexpr std::int64_t most_repetitions = 1000000;

/// A word of the file; the message of a bad one gets file and path in front.
template <class Parse> auto word(const ObjectReader &reader, const char *key, const char *fallback, Parse parse) {
  const std::string text = reader.text_or(key, fallback);
  try {
    return parse(text);
  } catch (const InvalidInput &error) {
    throw InvalidInput(reader.where(key) + ": " + error.what());
  }
}

void read_heads(const ObjectReader &reader, problem::AttentionProblem &attention) {
  attention.dtype = word(reader, "dtype", "float32", problem::parse_dtype);
  attention.batch = reader.integer_or("batch", 1, 1, most_devices);
  attention.query_heads = reader.integer_or("query_heads", 8, 1, most_devices);
  attention.kv_heads = reader.integer_or("kv_heads", attention.query_heads, 1, most_devices);
  attention.head_dim = reader.integer_or("head_dim", 64, 1, most_devices);
}

void read_shape(const ObjectReader &reader, schedule::RingProblem &problem) {
  auto &attention = problem.attention;
  problem.schedule = word(reader, "schedule", "ring", schedule::parse_schedule);
  problem.placement = word(reader, "placement", "contiguous", schedule::parse_placement);
  attention.mask = word(reader, "mask", "none", problem::parse_mask);
  read_heads(reader, attention);
  problem.ring_size = reader.integer("ring_size", 1, most_devices);
  read_schedule_settings(reader, problem);
  if (reader.has("tokens") == reader.has("chunk_tokens")) {
    throw InvalidInput(reader.where() + " needs either tokens or chunk_tokens (tokens of each rank)");
  }
  attention.tokens = reader.has("tokens")
                         ? reader.integer("tokens", 1, most_tokens)
                         : reader.integer("chunk_tokens", 1, most_tokens / problem.ring_size) * problem.ring_size;
  try {
    schedule::validate(problem);
  } catch (const InvalidInput &error) {
    throw InvalidInput(reader.where() + ": " + error.what());
  }
}

void read_measured(const ObjectReader &reader, ring::RingOptions &options) {
  options.softmax = word(reader, "softmax", "online", ring::parse_softmax);
  options.kernel = word(reader, "kernel", "streamed", memory::parse_kernel);
  options.warmup = static_cast<int>(reader.integer_or("warmup", 1, 0, most_repetitions));
  options.repetitions = static_cast<int>(reader.integer_or("repetitions", 5, 1, most_repetitions));
  options.deadline_s = reader.number_or("deadline_s", options.deadline_s, 0.0, 1e7);
  options.verify = reader.boolean_or("verify", true);
  read_message_settings(reader, options);
  const std::string progress = reader.text_or("progress", "polled");
  if (progress != "polled" && progress != "unpolled") {
    reader.refuse("progress", "is '" + progress + "'; it must be polled or unpolled");
  }
  options.poll_progress = progress == "polled";
  try {
    ring::require_supported(options);
  } catch (const InvalidInput &error) {
    throw InvalidInput(reader.where("dtype") + ": " + error.what());
  }
}

void read_merge_error(const ObjectReader &reader, ring::MergeErrorOptions &options) {
  read_heads(reader, options.problem);
  options.problem.tokens = reader.integer("tokens", 1, most_tokens);
  options.query_tokens = reader.integer_or("query_tokens", options.query_tokens, 1, most_tokens);
  options.merged_blocks = reader.integer("merged_blocks", 1, most_tokens);
  options.merge_dtype = word(reader, "merge_dtype", "float32", problem::parse_dtype);
  options.samples = static_cast<int>(reader.integer_or("repetitions", 5, 1, most_repetitions));
  options.seed = static_cast<std::uint64_t>(reader.integer_or("seed", 1, 0));
  try {
    ring::validate(options);
  } catch (const InvalidInput &error) {
    throw InvalidInput(reader.where() + ": " + error.what());
  }
}

/// What can be said of a simulated point without its machines.
void require_simulated(const ObjectReader &reader, const Point &point) {
  try {
    if (point.one_node && point.simulate.ranks_on_node > 0) {
      throw InvalidInput("one_node and ranks_on_node exclude each other");
    }
    simulator::SimulationOptions options;
    options.problem = point.problem();
    apply(point.simulate, Spelling::keys, options);
    simulator::validate(options);
    groups_of(point);
  } catch (const InvalidInput &error) {
    throw InvalidInput(reader.where() + ": " + error.what());
  }
}

std::string readable_id(const Point &point) {
  const schedule::RingProblem &problem = point.problem();
  const auto &attention = problem.attention;
  std::string id = point.grid + "/";
  if (point.kind == PointKind::merge_error) {
    id.append(problem::name(attention.dtype))
        .append("_merged_in_")
        .append(problem::name(point.merge_error.merge_dtype));
    id.append("_blocks_").append(std::to_string(point.merge_error.merged_blocks));
  } else if (point.kind == PointKind::analytic) {
    id.append(memory::name(point.model));
  } else {
    id.append(schedule::name(problem.schedule)).append("_").append(schedule::name(problem.placement));
  }
  if (problem.pass == schedule::Pass::backward) {
    id.append("_backward");
  }
  id.append("_mask_").append(problem::name(attention.mask));
  id.append("_tokens_").append(std::to_string(attention.tokens));
  id.append("_ring_").append(std::to_string(problem.ring_size));
  if (!point.machine.empty()) {
    for (const DeviceGroupFile &group : groups_of(point)) {
      id.append("_").append(std::filesystem::path(group.file).stem().string());
    }
  }
  const std::string content = std::string(name(point.kind)) + report::write_json(point.settings, -1);
  return id.append("_").append(fingerprint(content).substr(0, 8));
}

} // namespace

std::string_view name(PointKind kind) { return problem::word_of(kind_words, kind); }
PointKind parse_point_kind(std::string_view text) { return problem::parse_word("kind", kind_words, text); }

const std::vector<std::string> &axes_of(PointKind kind) {
  // The last axis varies fastest.
  static const std::vector<std::string> measured = [] {
    std::vector<std::string> axes{"schedule", "placement", "softmax", "kernel", "mask"};
    axes.insert(axes.end(), schedule_axes().begin(), schedule_axes().end());
    axes.insert(axes.end(), message_axes().begin(), message_axes().end());
    for (const char *axis : {"dtype", "batch", "query_heads", "kv_heads", "head_dim", "seed", "progress", "tokens",
                             "chunk_tokens", "ring_size"}) {
      axes.emplace_back(axis);
    }
    return axes;
  }();
  static const std::vector<std::string> simulated = [] {
    std::vector<std::string> axes{"machine", "schedule", "placement", "kernel", "mask"};
    axes.insert(axes.end(), schedule_axes().begin(), schedule_axes().end());
    for (const char *axis : {"dtype", "batch", "query_heads", "kv_heads", "head_dim", "seed"}) {
      axes.emplace_back(axis);
    }
    // jitter before speed_spread, as ever: a point's id is a hash of its settings in order.
    for (const std::string &key : simulate_keys()) {
      if (key != "jitter" && key != "speed_spread") {
        axes.push_back(key);
      }
    }
    for (const char *axis : {"jitter", "speed_spread", "tokens", "chunk_tokens", "ring_size"}) {
      axes.emplace_back(axis);
    }
    return axes;
  }();
  static const std::vector<std::string> analytic{"model",    "schedule", "placement",    "mask",
                                                 "dtype",    "batch",    "query_heads",  "kv_heads",
                                                 "head_dim", "tokens",   "chunk_tokens", "ring_size"};
  static const std::vector<std::string> merge_error{"dtype",        "merge_dtype",  "batch", "query_heads",
                                                    "kv_heads",     "head_dim",     "seed",  "tokens",
                                                    "query_tokens", "merged_blocks"};
  switch (kind) {
  case PointKind::measured:
    return measured;
  case PointKind::simulated:
    return simulated;
  case PointKind::analytic:
    return analytic;
  case PointKind::merge_error:
    return merge_error;
  }
  throw InvalidInput("unknown kind of point");
}

const std::vector<std::string> &scalars_of(PointKind kind) {
  static const std::vector<std::string> measured{"warmup", "repetitions", "deadline_s", "verify"};
  static const std::vector<std::string> simulated{"one_node"};
  static const std::vector<std::string> analytic{"key_tile_tokens", "workspace_bytes"};
  static const std::vector<std::string> merge_error{"repetitions"};
  switch (kind) {
  case PointKind::measured:
    return measured;
  case PointKind::simulated:
    return simulated;
  case PointKind::analytic:
    return analytic;
  case PointKind::merge_error:
    return merge_error;
  }
  throw InvalidInput("unknown kind of point");
}

Point read_point(PointKind kind, const std::string &grid, const Json &settings, const std::string &source,
                 const std::string &path) {
  const ObjectReader reader(settings, source, path);
  Point point;
  point.grid = grid;
  point.kind = kind;
  point.settings = settings;
  if (kind != PointKind::merge_error) {
    read_shape(reader, point.ring.problem);
  }
  switch (kind) {
  case PointKind::measured:
    read_measured(reader, point.ring);
    break;
  case PointKind::simulated:
    point.machine = reader.text_or("machine", "");
    point.ring.kernel = word(reader, "kernel", "streamed", memory::parse_kernel);
    point.one_node = reader.boolean_or("one_node", false);
    point.simulate = read_simulate_settings(reader);
    require_simulated(reader, point);
    break;
  case PointKind::analytic:
    point.model = word(reader, "model", "ring_sharded", memory::parse_memory_model);
    point.footprint.key_tile_tokens = reader.integer_or("key_tile_tokens", 1, 1, 1 << 20);
    point.footprint.workspace_bytes = reader.integer_or("workspace_bytes", 0, 0, most_tokens);
    break;
  case PointKind::merge_error:
    read_merge_error(reader, point.merge_error);
    point.ring.problem.attention = point.merge_error.problem;
    break;
  }
  if (kind == PointKind::measured || kind == PointKind::simulated) {
    point.ring.seed = static_cast<std::uint64_t>(reader.integer_or("seed", 1, 0));
  }
  reader.finish();
  point.id = readable_id(point);
  return point;
}

} // namespace ringscale::sweep
