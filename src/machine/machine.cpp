// SPDX-License-Identifier: Apache-2.0
#include "machine/machine.hpp"

#include <array>
#include <cmath>
#include <set>
#include <string_view>
#include <utility>

#include "problem/words.hpp"

namespace ringscale::machine {

using problem::InvalidInput;

namespace {

constexpr std::array<std::pair<std::string_view, Level>, 4> level_words{
    {{"core", Level::core}, {"node", Level::node}, {"rack", Level::rack}, {"fabric", Level::fabric}}};

constexpr double most_memory_bytes = 4611686018427387904.0; // 2^62

constexpr std::array<std::pair<std::string_view, Duplex>, 2> duplex_words{
    {{"full", Duplex::full}, {"half", Duplex::half}}};

/// Checks one file's machine; every message opens with the file.
class Checker {
public:
  explicit Checker(std::string where) : where_(std::move(where)) {}

  [[noreturn]] void refuse(const std::string &field, const std::string &reason) const {
    throw InvalidInput(where_ + ": " + field + " " + reason);
  }
  void require(bool good, const std::string &field, const std::string &reason) const {
    if (!good) {
      refuse(field, reason);
    }
  }
  void sourced(const Number &number, const std::string &field) const {
    require(std::isfinite(number.value), field, "is not a finite number");
    require(number.kind == "measured" || number.kind == "published" || number.kind == "analytic", field + ".kind",
            "is '" + number.kind + "'; one of: measured, published, analytic");
    require(!number.source.empty(), field + ".source", "is empty; say where the number comes from");
  }
  void positive(const Number &number, const std::string &field) const {
    sourced(number, field);
    require(number.value > 0.0, field, "is " + std::to_string(number.value) + "; it must be above 0");
  }
  void not_negative(const Number &number, const std::string &field) const {
    sourced(number, field);
    require(number.value >= 0.0, field, "is " + std::to_string(number.value) + "; it must not be negative");
  }
  void share(const Number &number, const std::string &field) const {
    sourced(number, field);
    require(number.value >= 0.0 && number.value <= 1.0, field,
            "is " + std::to_string(number.value) + "; it must be between 0 and 1");
  }
  void overlap(const Number &number, const std::string &field) const {
    sourced(number, field);
    require(number.value >= -1.0 && number.value <= 1.0, field,
            "is " + std::to_string(number.value) + "; it must be between -1 and 1");
  }

private:
  std::string where_;
};

void check_samples(const std::vector<TileSample> &samples, const std::string &field, const Checker &check) {
  std::set<std::int64_t> head_dims;
  for (const TileSample &sample : samples) {
    check.require(sample.query_tokens >= 1 && sample.key_tokens >= 1 && sample.head_dim >= 1, field,
                  "has a sample without tokens or head_dim");
    check.require(std::isfinite(sample.time_s) && sample.time_s > 0.0, field, "has a time_s that is not above 0");
    check.require(sample.mask == problem::Mask::none || sample.query_tokens == sample.key_tokens, field,
                  "has a causal sample whose query_tokens and key_tokens differ");
    head_dims.insert(sample.head_dim);
  }
  for (const std::int64_t head_dim : head_dims) {
    std::set<std::int64_t> queries;
    std::set<std::int64_t> keys;
    std::set<std::pair<std::int64_t, std::int64_t>> points;
    for (const TileSample &sample : samples) {
      if (sample.head_dim == head_dim && sample.mask == problem::Mask::none) {
        queries.insert(sample.query_tokens);
        keys.insert(sample.key_tokens);
        check.require(points.emplace(sample.query_tokens, sample.key_tokens).second, field,
                      "has " + std::to_string(sample.query_tokens) + " x " + std::to_string(sample.key_tokens) +
                          " tokens twice for head_dim " + std::to_string(head_dim));
      }
    }
    check.require(!points.empty() && points.size() == queries.size() * keys.size(), field,
                  "is no full grid of query_tokens x key_tokens for head_dim " + std::to_string(head_dim));
  }
}

void check_reuse(const std::vector<ReuseSample> &samples, const std::string &field, const Checker &check) {
  std::set<std::pair<problem::Mask, std::int64_t>> points;
  for (const ReuseSample &sample : samples) {
    check.require(sample.tokens >= 1, field, "has a sample without tokens");
    for (const double time_s : {sample.alone_s, sample.in_turn_s}) {
      check.require(std::isfinite(time_s) && time_s > 0.0, field, "has an alone_s or in_turn_s that is not above 0");
    }
    check.require(points.emplace(sample.mask, sample.tokens).second, field,
                  "has " + std::to_string(sample.tokens) + " tokens twice for mask " +
                      std::string(problem::name(sample.mask)));
  }
}

void check_tiles(const TileTable &table, const Checker &check) {
  check.require(table.query_heads >= 1, "tiles.query_heads", "must be at least 1");
  check.require(table.kv_heads >= 1, "tiles.kv_heads", "must be at least 1");
  check_samples(table.samples, "tiles.samples", check);
  check_samples(table.backward_samples, "tiles.backward_samples", check);
  check_reuse(table.reuse, "tiles.reuse", check);
  check_reuse(table.backward_reuse, "tiles.backward_reuse", check);
  check.positive(table.backward_ring_factor, "tiles.backward_ring_factor");
}

void check_roofline(const Roofline &roofline, const Checker &check) {
  for (const Arithmetic &arithmetic : roofline.arithmetic) {
    const std::string field = "roofline.arithmetic[" + arithmetic.dtype + "]";
    check.require(!arithmetic.dtype.empty(), "roofline.arithmetic", "has an entry without dtype");
    check.require(arithmetic.element_bytes >= 1 && arithmetic.element_bytes <= 8, field + ".element_bytes",
                  "must be between 1 and 8");
    check.positive(arithmetic.peak_flop_per_s, field + ".peak_flop_per_s");
    check.share(arithmetic.efficiency, field + ".efficiency");
    check.positive(arithmetic.efficiency, field + ".efficiency");
  }
  check.positive(roofline.memory_bandwidth_bytes_per_s, "roofline.memory_bandwidth_bytes_per_s");
  check.positive(roofline.exponentials_per_s, "roofline.exponentials_per_s");
  check.not_negative(roofline.launch_s, "roofline.launch_s");
}

void check_message_times(const std::vector<MessageTime> &times, const std::string &field, const Checker &check) {
  check.require(times.size() != 1, field, "needs two sizes or more");
  for (std::size_t place = 0; place < times.size(); ++place) {
    const MessageTime before = place == 0 ? MessageTime{0.0, 0.0} : times[place - 1];
    check.require(times[place].bytes > before.bytes && times[place].time_s >= before.time_s &&
                      times[place].time_s > 0.0 && std::isfinite(times[place].bytes) &&
                      std::isfinite(times[place].time_s),
                  field, "must be positive and rise: longer messages do not take less time");
  }
}

void check_links(const std::vector<Link> &links, const Checker &check) {
  check.require(!links.empty(), "links", "is empty; a machine needs at least one link");
  for (std::size_t index = 0; index < links.size(); ++index) {
    const Link &link = links[index];
    const std::string field = "links[" + std::to_string(index) + "]";
    const bool last = index + 1 == links.size();
    check.require(last ? link.group_devices == 0 : link.group_devices >= 1, field + ".group_devices",
                  last ? "must be 0 in the last link: it reaches every device"
                       : "must be at least 1; only the last link has 0");
    if (index > 0 && !last) {
      check.require(link.group_devices % links[index - 1].group_devices == 0, field + ".group_devices",
                    "must be a multiple of the nearer level's");
    }
    check.not_negative(link.latency_s, field + ".latency_s");
    check.not_negative(link.per_message_overhead_s, field + ".per_message_overhead_s");
    check.positive(link.bandwidth_bytes_per_s, field + ".bandwidth_bytes_per_s");
    check.share(link.sharing, field + ".sharing");
    const std::int64_t nearer = index == 0 ? 1 : links[index - 1].group_devices;
    check.require(link.devices_per_card >= 0, field + ".devices_per_card", "must not be negative");
    if (link.devices_per_card > 0) {
      check.require(nearer % link.devices_per_card == 0 || link.devices_per_card % nearer == 0,
                    field + ".devices_per_card", "must divide the nearer level's group_devices or be a multiple of it");
    }
    if (link.oversubscription) {
      check.sourced(*link.oversubscription, field + ".oversubscription");
      check.require(link.oversubscription->value >= 1.0, field + ".oversubscription", "must be at least 1");
    }
    if (link.rendezvous) {
      check.require(link.rendezvous->threshold_bytes >= 0, field + ".rendezvous.threshold_bytes",
                    "must not be negative");
      check.not_negative(link.rendezvous->handshake_s, field + ".rendezvous.handshake_s");
    }
    check.require(link.receive_buffer_bytes >= 0, field + ".receive_buffer_bytes", "must not be negative");
    check_message_times(link.message_times, field + ".message_times", check);
  }
}

void check_failures(const Failures &failures, const Checker &check) {
  check.positive(failures.device_mtbf_s, "failures.device_mtbf_s");
  check.not_negative(failures.detection_s, "failures.detection_s");
  check.not_negative(failures.restart_s, "failures.restart_s");
  if (failures.checkpoint_bandwidth_bytes_per_s) {
    check.positive(*failures.checkpoint_bandwidth_bytes_per_s, "failures.checkpoint_bandwidth_bytes_per_s");
  }
  if (failures.storage_bandwidth_bytes_per_s) {
    check.positive(*failures.storage_bandwidth_bytes_per_s, "failures.storage_bandwidth_bytes_per_s");
  }
}

} // namespace

void validate(const Machine &machine, const std::string &where) {
  const Checker check(where);
  check.require(!machine.name.empty(), "name", "is empty");
  check.require(machine.kind == "measured" || machine.kind == "published", "kind",
                "is '" + machine.kind + "'; one of: measured, published");
  const bool has_tiles = !machine.tiles.samples.empty();
  const bool has_roofline = !machine.roofline.arithmetic.empty();
  check.require(has_tiles != has_roofline, "tiles",
                has_tiles ? "stands beside roofline; a machine has one of them" : "or roofline is missing");
  if (has_tiles) {
    check_tiles(machine.tiles, check);
  } else {
    check_roofline(machine.roofline, check);
  }
  check.require(has_tiles || machine.kind != "measured", "kind",
                "is 'measured' beside a roofline, whose numbers nobody measured; it must be published");
  check.positive(machine.device.memory_bytes, "device.memory_bytes");
  check.require(machine.device.memory_bytes.value <= most_memory_bytes, "device.memory_bytes",
                "must be at most 2^62, so that byte counts can be compared with it");
  check.positive(machine.device.peak_flop_per_s, "device.peak_flop_per_s");
  check.not_negative(machine.merge.fixed_s, "merge.fixed_s");
  check.not_negative(machine.merge.per_element_s, "merge.per_element_s");
  if (machine.merge.in_tile_per_element_s) {
    check.not_negative(*machine.merge.in_tile_per_element_s, "merge.in_tile_per_element_s");
  }
  check.not_negative(machine.step_fixed_s, "step_fixed_s");
  check_links(machine.links, check);
  check.require(machine.core_sharing.cores >= 0, "core_sharing.cores", "must not be negative");
  if (machine.core_sharing.cores > 0) {
    check.positive(machine.core_sharing.neighbour_factor, "core_sharing.neighbour_factor");
    check.share(machine.core_sharing.idle_share, "core_sharing.idle_share");
    std::int64_t previous = machine.core_sharing.cores;
    for (const Crowding &crowding : machine.core_sharing.crowding) {
      check.require(crowding.ranks > previous, "core_sharing.crowding",
                    "must be in rising order of ranks, all above the cores");
      check.positive(crowding.factor, "core_sharing.crowding.factor");
      previous = crowding.ranks;
    }
    check.not_negative(machine.core_sharing.extra_step_s, "core_sharing.extra_step_s");
    check.share(machine.core_sharing.spin_share, "core_sharing.spin_share");
  }
  check.overlap(machine.overlap.hidden_fraction, "overlap.hidden_fraction");
  check.not_negative(machine.jitter.relative_standard_deviation, "jitter.relative_standard_deviation");
  check.require(machine.footprint.key_tile_tokens >= 1, "footprint.key_tile_tokens", "must be at least 1");
  check.require(machine.footprint.workspace_bytes >= 0, "footprint.workspace_bytes", "must not be negative");
  for (const HoldOut &point : machine.hold_out) {
    // Intervals of simulated times are their quotients.
    check.require(std::isfinite(point.measured_s) && point.measured_s > 0.0 && std::isfinite(point.predicted_s) &&
                      point.predicted_s > 0.0,
                  "hold_out", "has a measured_s or predicted_s that is not above 0");
  }
  if (machine.failures) {
    check_failures(*machine.failures, check);
  }
}

std::string name(Level level) { return std::string(problem::word_of(level_words, level)); }
Level parse_level(const std::string &word) { return problem::parse_word("level", level_words, word); }
std::string name(Duplex duplex) { return std::string(problem::word_of(duplex_words, duplex)); }
Duplex parse_duplex(const std::string &word) { return problem::parse_word("duplex", duplex_words, word); }

} // namespace ringscale::machine
