// SPDX-License-Identifier: Apache-2.0
#include "drivers/calibration_run.hpp"

#include <unistd.h>

#include <Kokkos_Core.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <set>

#include "drivers/ring_timer.hpp"
#include "drivers/session.hpp"
#include "kernels/fma_peak.hpp"
#include "machine/calibration.hpp"
#include "ring/communicator.hpp"
#include "ring/measurements.hpp"
#include "ring/ring_run.hpp"

namespace ringscale::drivers {

namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) {
      const std::size_t colon = line.find(": ");
      return colon == std::string::npos ? "unknown processor" : line.substr(colon + 2);
    }
  }
  return "unknown processor";
}

double host_memory_bytes() {
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

void append(std::vector<double> &samples, const std::vector<double> &more) {
  samples.insert(samples.end(), more.begin(), more.end());
}

/// The measurements of one calibration, in order; every member is collective over all ranks.
class CalibrationRun {
public:
  CalibrationRun(Session &session, ring::Communicator &world, const CalibrationPlan &plan)
      : session_(session), world_(world), plan_(plan), root_(world.rank() == 0),
        cores_(std::min(world.cores_on_node(), 1 << 16)), timer_(session, world) {}

  Calibrated run(const std::string &name) {
    raw_.name = name;
    raw_.typical = plan_.typical;
    raw_.where = default_machine_name() + " (" + processor_name() + ")";
    raw_.description = processor_name() + ", " + std::to_string(cores_) + " cores, " + std::to_string(world_.size()) +
                       " ranks; one device is one core; times are " +
                       (plan_.typical == statistics::Typical::fastest ? "the fastest" : "medians") +
                       " of their samples";
    raw_.cores = cores_;
    raw_.shared_ranks = shared_ranks();
    raw_.memory_bytes = host_memory_bytes() / std::max(1, cores_);
    problem::AttentionProblem attention;
    attention.head_dim = plan_.head_dims.front();
    ring::RingOptions plain;
    plain.problem.attention = attention;
    plain.problem.attention.tokens = 1; // the scratch of the streamed kernel does not depend on them
    const memory::KernelFootprint footprint = ring::kernel_footprint(plain);
    raw_.footprint = {footprint.key_tile_tokens, footprint.workspace_bytes};
    for (int round = 0; round < plan_.rounds; ++round) {
      session_.progress("calibrate: round " + std::to_string(round + 1) + " of " + std::to_string(plan_.rounds));
      measure_on_root(round == 0);
      measure_neighbours();
      measure_messages();
      measure_overlap();
      if (round == 0) {
        measure_steps();
      }
      timer_.time(plan_.rings, plan_.ring_samples, plan_.typical);
    }
    Calibrated result;
    if (root_) {
      session_.progress("calibrate: fitting");
      result = fit();
    }
    world_.sleeping_barrier();
    return result;
  }

private:
  /// Numbers of ranks above the cores that the fit will see.
  std::vector<std::int64_t> shared_ranks() const {
    std::set<std::int64_t> sizes;
    for (const RingSetting &ring : plan_.rings) {
      if (!ring.held_out && ring.problem.ring_size > cores_) {
        sizes.insert(ring.problem.ring_size);
      }
    }
    return {sizes.begin(), sizes.end()};
  }

  Calibrated fit() const {
    Calibrated result;
    result.machine = machine::assemble(raw_);
    std::vector<simulator::MeasuredRing> fitted;
    for (std::size_t place = 0; place < plan_.rings.size(); ++place) {
      (plan_.rings[place].held_out ? result.held_out : fitted).push_back(timer_.rings()[place]);
    }
    simulator::cross_validate(result.machine, fitted);
    return result;
  }

  /// What one rank shows alone, while the others sleep.
  void measure_on_root(bool first_round) {
    if (root_) {
      if (first_round) {
        session_.progress("calibrate: multiply-add peak");
        raw_.peak_flop_per_s = 1e9 * kernels::measure_fma_peak_gflop_per_s(kernels::ExecutionSpace(), 0.3);
        raw_.tiles.query_heads = calibrated_heads;
        raw_.tiles.kv_heads = calibrated_heads;
        for (const std::int64_t tokens : {256, 1024, 4096}) {
          const ring::TileSetting setting = tile(tokens, 1, plan_.head_dims.front(), problem::Mask::none);
          raw_.merges.push_back({static_cast<double>(tokens * calibrated_heads * (setting.head_dim + 1)),
                                 ring::measure_merge(setting, {2, plan_.other_samples})});
        }
      }
      measure_tiles(schedule::Pass::forward, plan_.tile_tokens, plan_.head_dims.size(), raw_.tiles.samples);
      measure_tiles(schedule::Pass::backward, plan_.backward_tile_tokens, plan_.backward_head_dims,
                    raw_.tiles.backward_samples);
      measure_reuse(schedule::Pass::forward, raw_.tiles.reuse);
      measure_reuse(schedule::Pass::backward, raw_.tiles.backward_reuse);
      measure_merges_in_tiles();
      append(raw_.repeated_tile_s, ring::measure_tile(jitter_tile(), {2, plan_.jitter_samples}));
    }
    world_.sleeping_barrier();
  }

  /// The grid of one pass: one more round of samples for each of its tiles.
  void measure_tiles(schedule::Pass pass, const std::vector<std::int64_t> &lengths, std::size_t head_dims,
                     std::vector<machine::TileSample> &samples) {
    std::size_t place = 0;
    const auto measure = [&](std::int64_t query_tokens, std::int64_t key_tokens, std::int64_t head_dim,
                             problem::Mask mask) {
      if (place == samples.size()) {
        samples.push_back({query_tokens, key_tokens, head_dim, mask, 0.0, {}});
      }
      const ring::TileSetting setting = tile(query_tokens, key_tokens, head_dim, mask);
      append(samples[place++].samples_s, pass == schedule::Pass::forward
                                             ? ring::measure_tile(setting, {2, plan_.tile_samples})
                                             : ring::measure_backward_tile(setting, {2, plan_.backward_tile_samples}));
    };
    for (std::size_t width = 0; width < head_dims; ++width) {
      const std::int64_t head_dim = plan_.head_dims[width];
      const std::size_t stride = width == 0 ? 1 : 2;
      for (std::size_t query = 0; query < lengths.size(); query += stride) {
        session_.progress("calibrate: " + std::string(schedule::name(pass)) + " tiles of " +
                          std::to_string(lengths[query]) + " queries, head_dim " + std::to_string(head_dim));
        for (std::size_t key = 0; key < lengths.size(); key += stride) {
          measure(lengths[query], lengths[key], head_dim, problem::Mask::none);
        }
        measure(lengths[query], lengths[query], head_dim, problem::Mask::causal);
      }
    }
  }

  /// Square tiles over and over, and in turn with equal ones.
  void measure_reuse(schedule::Pass pass, std::vector<machine::ReuseSample> &samples) {
    std::size_t place = 0;
    for (const std::int64_t tokens : plan_.reuse_tokens) {
      session_.progress("calibrate: " + std::string(schedule::name(pass)) + " tiles of " + std::to_string(tokens) +
                        " tokens, alone and in turn");
      for (const problem::Mask mask : {problem::Mask::none, problem::Mask::causal}) {
        if (place == samples.size()) {
          samples.push_back({tokens, mask, 0.0, 0.0, {}, {}});
        }
        machine::ReuseSample &sample = samples[place++];
        const ring::TileSetting setting = tile(tokens, tokens, plan_.head_dims.front(), mask);
        const auto measure = pass == schedule::Pass::forward ? ring::measure_tile : ring::measure_backward_tile;
        append(sample.alone_samples_s, measure(setting, {2, plan_.tile_samples}, 1));
        append(sample.in_turn_samples_s, measure(setting, {2, plan_.tile_samples}, machine::reuse_tiles));
      }
    }
  }

  /// Tiles of few keys, of whose time a merge is a large part.
  void measure_merges_in_tiles() {
    std::size_t place = 0;
    for (const std::int64_t tokens : {256, 512, 1024}) {
      ring::TileSetting setting = tile(tokens, 64, plan_.head_dims.front(), problem::Mask::none);
      if (place == raw_.merges_in_tiles.size()) {
        raw_.merges_in_tiles.push_back(
            {static_cast<double>(tokens * setting.query_heads * (setting.head_dim + 1)), {}});
      }
      std::vector<double> &samples_s = raw_.merges_in_tiles[place++].samples_s;
      for (int sample = 0; sample < plan_.tile_samples; ++sample) {
        setting.merge_online = true;
        const double merged_s = ring::measure_tile(setting, {2, 1}).front();
        setting.merge_online = false;
        samples_s.push_back(merged_s - ring::measure_tile(setting, {2, 1}).front());
      }
    }
  }

  static ring::TileSetting tile(std::int64_t query_tokens, std::int64_t key_tokens, std::int64_t head_dim,
                                problem::Mask mask) {
    ring::TileSetting setting;
    setting.query_tokens = query_tokens;
    setting.key_tokens = key_tokens;
    setting.query_heads = setting.kv_heads = calibrated_heads;
    setting.head_dim = head_dim;
    setting.mask = mask;
    return setting;
  }
  ring::TileSetting jitter_tile() const { return tile(512, 1024, plan_.head_dims.front(), problem::Mask::none); }

  /// The same tile while every core computes it.
  void measure_neighbours() {
    const int busy = std::min(world_.size(), cores_);
    if (busy > 1) {
      session_.progress("calibrate: a tile on all cores at once");
      ring::Communicator group = world_.split_first(busy);
      if (group.is_member()) {
        group.barrier("before tiles on all cores");
        const std::vector<double> samples = ring::measure_tile(jitter_tile(), {2, plan_.jitter_samples});
        if (root_) {
          append(raw_.neighbour_tile_s, samples);
        }
      }
    }
    world_.sleeping_barrier();
  }

  void measure_messages() {
    if (world_.size() < 2) {
      return;
    }
    const ring::Repetitions repetitions{2, plan_.message_samples};
    ring::Communicator pair = world_.split_first(2);
    raw_.messages_leave_the_node = pair.is_member() && pair.ranks_on_node() == 1;
    for (const std::int64_t bytes : plan_.message_bytes) {
      session_.progress("calibrate: messages of " + std::to_string(bytes) + " bytes");
      if (pair.is_member()) {
        for (const int messages : {1, 2}) {
          keep("ping_pong", 2, messages, bytes, ring::measure_ping_pong(pair, bytes, messages, repetitions));
        }
        keep("shift", 2, 1, bytes, ring::measure_shift(pair, bytes, repetitions));
      }
    }
    world_.sleeping_barrier();
    const int all = std::min(world_.size(), cores_);
    if (all > 2) {
      ring::Communicator group = world_.split_first(all);
      for (const std::int64_t bytes : plan_.message_bytes) {
        if (group.is_member()) {
          keep("shift", all, 1, bytes, ring::measure_shift(group, bytes, repetitions));
        }
      }
      world_.sleeping_barrier();
    }
  }

  /// Blocks of keys and values beside the tiles of rings that send them.
  void measure_overlap() {
    if (world_.size() < 2) {
      return;
    }
    session_.progress("calibrate: overlap");
    ring::Communicator pair = world_.split_first(2);
    if (pair.is_member()) {
      for (const std::int64_t tokens : {256, 512, 1024}) {
        const ring::TileSetting setting = tile(tokens, tokens, plan_.head_dims.front(), problem::Mask::none);
        const auto bytes = static_cast<std::int64_t>(2 * sizeof(float)) * tokens * setting.kv_heads * setting.head_dim;
        raw_.hidden_fractions.push_back(
            ring::measure_overlap(pair, setting, bytes, {1, plan_.message_samples}).hidden_fraction_polled);
      }
    }
    world_.sleeping_barrier();
  }

  void keep(const char *pattern, std::int64_t ranks, int messages, std::int64_t bytes, std::vector<double> samples) {
    const auto same = std::find_if(raw_.messages.begin(), raw_.messages.end(), [&](const machine::MessageSample &one) {
      return one.pattern == pattern && one.ranks == ranks && one.messages == messages && one.message_bytes == bytes;
    });
    if (same != raw_.messages.end()) {
      append(same->samples_s, samples);
      return;
    }
    machine::MessageSample sample;
    sample.pattern = pattern;
    sample.ranks = ranks;
    sample.messages = messages;
    sample.message_bytes = bytes;
    sample.samples_s = std::move(samples);
    raw_.messages.push_back(std::move(sample));
  }

  void measure_steps() {
    const int busy = std::min(world_.size(), cores_);
    ring::Communicator group = world_.split_first(busy);
    if (group.is_member()) {
      raw_.step_fixed_s = ring::measure_step_fixed(group, {3, std::max(15, plan_.other_samples)});
    }
    world_.sleeping_barrier();
  }

  Session &session_;
  ring::Communicator &world_;
  const CalibrationPlan &plan_;
  bool root_;
  int cores_;
  machine::RawCalibration raw_;
  RingTimer timer_;
};

} // namespace

CalibrationPlan calibration_plan(int ranks, bool quick) {
  CalibrationPlan plan;
  plan.head_dims = {64, 128};
  plan.tile_tokens =
      quick ? std::vector<std::int64_t>{64, 128, 256, 512, 1024, 2048, 4096}
            : std::vector<std::int64_t>{32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 8192};
  plan.backward_tile_tokens = quick ? std::vector<std::int64_t>{128, 512, 2048}
                                    : std::vector<std::int64_t>{64, 128, 256, 512, 1024, 2048, 4096};
  plan.backward_head_dims = quick ? 1 : 2;
  plan.reuse_tokens =
      quick ? std::vector<std::int64_t>{128, 256, 512, 1024} : std::vector<std::int64_t>{64, 128, 256, 512, 1024, 2048};
  plan.tile_samples = plan.other_samples = quick ? 5 : 11;
  plan.backward_tile_samples = quick ? 3 : 7;
  plan.ring_samples = std::max(7, plan.tile_samples);
  plan.message_samples = std::max(9, plan.other_samples);
  for (std::int64_t bytes = 64; bytes <= (std::int64_t{1} << 24); bytes *= quick ? 8 : bytes < 262144 ? 4 : 2) {
    plan.message_bytes.push_back(bytes);
  }
  const std::vector<std::int64_t> chunks =
      quick ? std::vector<std::int64_t>{256, 512, 1024} : std::vector<std::int64_t>{256, 512, 768, 1024, 2048, 4096};
  plan.rings = calibration_rings(ranks, plan.head_dims.front(), chunks);
  return plan;
}

CalibrationPlan validation_plan(int ranks, bool quick) {
  CalibrationPlan plan;
  plan.head_dims = {64};
  plan.tile_tokens = quick ? std::vector<std::int64_t>{32, 64, 128, 256, 512}
                           : std::vector<std::int64_t>{64, 128, 192, 256, 384, 512, 768, 1024};
  plan.backward_tile_tokens = plan.tile_tokens;
  plan.reuse_tokens = quick ? std::vector<std::int64_t>{64, 128, 256} : std::vector<std::int64_t>{128, 256, 512, 1024};
  plan.rounds = quick ? 3 : 15;
  plan.tile_samples = plan.backward_tile_samples = plan.ring_samples = 1;
  plan.other_samples = quick ? 5 : 11;
  plan.message_samples = quick ? 5 : 3;
  plan.jitter_samples = 20;
  for (std::int64_t bytes = 64; bytes <= (std::int64_t{1} << 24); bytes *= quick ? 16 : bytes < 262144 ? 4 : 2) {
    plan.message_bytes.push_back(bytes);
  }
  plan.rings = validation_rings(ranks, plan.head_dims.front(),
                                quick ? std::vector<std::int64_t>{64, 128, 192, 256}
                                      : std::vector<std::int64_t>{256, 512, 768, 1024});
  return plan;
}

std::string describe(const CalibrationPlan &plan) {
  const auto held_out =
      std::count_if(plan.rings.begin(), plan.rings.end(), [](const RingSetting &ring) { return ring.held_out; });
  return std::to_string(plan.tile_tokens.size()) + " tile lengths x " + std::to_string(plan.head_dims.size()) +
         " head dims, " + std::to_string(plan.backward_tile_tokens.size()) + " backward, " +
         std::to_string(plan.message_bytes.size()) + " message sizes, " +
         std::to_string(std::ssize(plan.rings) - held_out) + " rings to fit on" +
         (held_out > 0 ? ", " + std::to_string(held_out) + " held out" : "") + ", " + std::to_string(plan.rounds) +
         (plan.rounds == 1 ? " round of " : " rounds of ") + std::to_string(plan.tile_samples) + " samples each";
}

std::string default_machine_name() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') {
    return "host";
  }
  std::string name = host.data();
  for (char &letter : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '-' || letter == '_';
    letter = plain ? letter : '-';
  }
  return name;
}

Calibrated run_calibration(Session &session, ring::Communicator &world, const CalibrationPlan &plan,
                           const std::string &name) {
  return CalibrationRun(session, world, plan).run(name);
}

std::vector<simulator::MeasuredRing> run_held_out_rings(Session &session, ring::Communicator &world,
                                                        const CalibrationPlan &plan) {
  std::vector<RingSetting> held_out;
  std::copy_if(plan.rings.begin(), plan.rings.end(), std::back_inserter(held_out),
               [](const RingSetting &ring) { return ring.held_out; });
  RingTimer timer(session, world);
  for (int round = 0; round < plan.rounds; ++round) {
    timer.time(held_out, plan.ring_samples, plan.typical);
  }
  return timer.rings();
}

} // namespace ringscale::drivers
