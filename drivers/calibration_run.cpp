// SPDX-License-Identifier: Apache-2.0
#include "drivers/calibration_run.hpp"

#include <unistd.h>

#include <Kokkos_Core.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>

#include "drivers/session.hpp"
#include "kernels/fma_peak.hpp"
#include "machine/calibration.hpp"
#include "ring/communicator.hpp"
#include "ring/measurements.hpp"
#include "ring/ring_run.hpp"
#include "simulator/hold_out.hpp"

namespace ringscale::drivers {

namespace {

constexpr std::int64_t calibrated_heads = 8;

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

/// The measurements of one calibration, in order; every member is collective over all ranks.
class CalibrationRun {
public:
  CalibrationRun(Session &session, ring::Communicator &world, const CalibrationPlan &plan)
      : session_(session), world_(world), plan_(plan), root_(world.rank() == 0),
        cores_(std::min(world.cores_on_node(), 1 << 16)) {}

  machine::Machine run(const std::string &name) {
    raw_.name = name;
    raw_.where = default_machine_name() + " (" + processor_name() + ")";
    raw_.description = processor_name() + ", " + std::to_string(cores_) + " cores, " + std::to_string(world_.size()) +
                       " ranks; one device is one core";
    raw_.cores = cores_;
    for (std::int64_t ranks = cores_ + 1; ranks <= largest_ring(); ++ranks) {
      raw_.shared_ranks.push_back(ranks);
    }
    raw_.memory_bytes = host_memory_bytes() / std::max(1, cores_);
    problem::AttentionProblem attention;
    attention.head_dim = plan_.head_dims.front();
    ring::RingOptions plain;
    plain.problem.attention = attention;
    plain.problem.attention.tokens = 1; // the scratch of the streamed kernel does not depend on them
    const memory::KernelFootprint footprint = ring::kernel_footprint(plain);
    raw_.footprint = {footprint.key_tile_tokens, footprint.workspace_bytes};
    measure_on_root();
    measure_neighbours();
    measure_messages();
    measure_steps();
    measure_rings();
    machine::Machine machine;
    if (root_) {
      session_.progress("calibrate: fitting");
      machine = machine::assemble(raw_);
      simulator::cross_validate(machine, rings_);
    }
    world_.sleeping_barrier();
    return machine;
  }

private:
  std::int64_t largest_ring() const {
    std::int64_t largest = 0;
    for (const CalibrationPlan::Ring &ring : plan_.rings) {
      largest = std::max(largest, ring.ring_size);
    }
    return largest;
  }

  /// What one rank shows alone, while the others sleep.
  void measure_on_root() {
    if (root_) {
      session_.progress("calibrate: multiply-add peak");
      raw_.peak_flop_per_s = 1e9 * kernels::measure_fma_peak_gflop_per_s(kernels::ExecutionSpace(), 0.3);
      raw_.tiles.query_heads = calibrated_heads;
      raw_.tiles.kv_heads = calibrated_heads;
      for (const std::int64_t head_dim : plan_.head_dims) {
        measure_tiles(head_dim);
      }
      for (const std::int64_t tokens : {256, 1024, 4096}) {
        const ring::TileSetting setting = tile(tokens, 1, plan_.head_dims.front(), problem::Mask::none);
        raw_.merges.push_back({static_cast<double>(tokens * calibrated_heads * (setting.head_dim + 1)),
                               ring::measure_merge(setting, {2, plan_.samples})});
      }
      raw_.repeated_tile_s = ring::measure_tile(jitter_tile(), {2, plan_.jitter_samples});
    }
    world_.sleeping_barrier();
  }

  void measure_tiles(std::int64_t head_dim) {
    const bool first = head_dim == plan_.head_dims.front();
    for (std::size_t query = 0; query < plan_.tile_tokens.size(); query += first ? 1 : 2) {
      const std::int64_t query_tokens = plan_.tile_tokens[query];
      session_.progress("calibrate: tiles of " + std::to_string(query_tokens) + " queries, head_dim " +
                        std::to_string(head_dim));
      for (std::size_t key = 0; key < plan_.tile_tokens.size(); key += first ? 1 : 2) {
        add_tile(query_tokens, plan_.tile_tokens[key], head_dim, problem::Mask::none);
      }
      add_tile(query_tokens, query_tokens, head_dim, problem::Mask::causal);
    }
  }

  void add_tile(std::int64_t query_tokens, std::int64_t key_tokens, std::int64_t head_dim, problem::Mask mask) {
    machine::TileSample sample;
    sample.query_tokens = query_tokens;
    sample.key_tokens = key_tokens;
    sample.head_dim = head_dim;
    sample.mask = mask;
    sample.samples_s = ring::measure_tile(tile(query_tokens, key_tokens, head_dim, mask), {1, plan_.samples});
    raw_.tiles.samples.push_back(std::move(sample));
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
          raw_.neighbour_tile_s = samples;
        }
      }
    }
    world_.sleeping_barrier();
  }

  void measure_messages() {
    if (world_.size() < 2) {
      return;
    }
    const ring::Repetitions repetitions{2, std::max(9, plan_.samples)};
    ring::Communicator pair = world_.split_first(2);
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
    if (pair.is_member()) {
      session_.progress("calibrate: overlap");
      for (const std::int64_t bytes : {std::int64_t{1} << 20, std::int64_t{1} << 22, std::int64_t{1} << 24}) {
        const auto overlap = ring::measure_overlap(pair, jitter_tile(), bytes, repetitions);
        raw_.hidden_fractions.push_back(overlap.hidden_fraction_polled);
      }
    }
    world_.sleeping_barrier();
  }

  void keep(const char *pattern, std::int64_t ranks, int messages, std::int64_t bytes, std::vector<double> samples) {
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
      raw_.step_fixed_s = ring::measure_step_fixed(group, {3, std::max(15, plan_.samples)});
    }
    world_.sleeping_barrier();
  }

  void measure_rings() {
    for (const CalibrationPlan::Ring &setting : plan_.rings) {
      session_.progress("calibrate: ring of " + std::to_string(setting.ring_size) + " x " +
                        std::to_string(setting.chunk_tokens) + " tokens, mask " +
                        std::string(problem::name(setting.mask)) + ", " +
                        std::string(schedule::name(setting.placement)));
      ring::Communicator group = world_.split_first(static_cast<int>(setting.ring_size));
      if (group.is_member()) {
        ring::RingOptions options;
        options.problem.ring_size = setting.ring_size;
        options.problem.placement = setting.placement;
        options.problem.attention.tokens = setting.chunk_tokens * setting.ring_size;
        options.problem.attention.query_heads = options.problem.attention.kv_heads = calibrated_heads;
        options.problem.attention.head_dim = plan_.head_dims.front();
        options.problem.attention.mask = setting.mask;
        options.warmup = 1;
        options.repetitions = std::max(7, plan_.samples);
        options.verify = false; // the ring verb verifies; here only time counts
        const ring::RingRun run = ring::run_ring(group, options);
        simulator::MeasuredRing measured;
        measured.options.problem = options.problem;
        measured.options.ranks_on_node = group.ranks_on_node();
        measured.samples_s = run.samples_s;
        rings_.push_back(std::move(measured));
      }
      world_.sleeping_barrier();
    }
  }

  Session &session_;
  ring::Communicator &world_;
  const CalibrationPlan &plan_;
  bool root_;
  int cores_;
  machine::RawCalibration raw_;
  std::vector<simulator::MeasuredRing> rings_;
};

} // namespace

CalibrationPlan calibration_plan(int ranks, bool quick) {
  CalibrationPlan plan;
  plan.head_dims = {64, 128};
  plan.tile_tokens =
      quick ? std::vector<std::int64_t>{64, 128, 256, 512, 1024, 2048, 4096}
            : std::vector<std::int64_t>{32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 8192};
  plan.samples = quick ? 5 : 11;
  for (std::int64_t bytes = 64; bytes <= (std::int64_t{1} << 24); bytes *= quick ? 8 : 4) {
    plan.message_bytes.push_back(bytes);
  }
  const std::vector<std::int64_t> chunks =
      quick ? std::vector<std::int64_t>{256, 512, 1024} : std::vector<std::int64_t>{256, 512, 768, 1024, 2048, 4096};
  for (std::int64_t ring_size = 1; ring_size <= std::min(ranks, 8); ++ring_size) {
    for (const std::int64_t chunk : chunks) {
      plan.rings.push_back({ring_size, chunk, problem::Mask::none, schedule::Placement::contiguous});
      if (ring_size > 1) {
        plan.rings.push_back({ring_size, chunk, problem::Mask::causal, schedule::Placement::contiguous});
      }
      plan.rings.push_back({ring_size, chunk, problem::Mask::causal, schedule::Placement::zigzag});
    }
  }
  return plan;
}

std::string describe(const CalibrationPlan &plan) {
  return std::to_string(plan.tile_tokens.size()) + " tile lengths x " + std::to_string(plan.head_dims.size()) +
         " head dims, " + std::to_string(plan.message_bytes.size()) + " message sizes, " +
         std::to_string(plan.rings.size()) + " rings, " + std::to_string(plan.samples) + " samples each";
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

machine::Machine run_calibration(Session &session, ring::Communicator &world, const CalibrationPlan &plan,
                                 const std::string &name) {
  return CalibrationRun(session, world, plan).run(name);
}

} // namespace ringscale::drivers
