// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "drivers/limit_flags.hpp"
#include "drivers/pattern_flags.hpp"
#include "drivers/ring/checkpoint_flags.hpp"
#include "drivers/ring/multihead_flags.hpp"
#include "drivers/trace_flags.hpp"
#include "ring/ring_options.hpp"

namespace CLI {
class App;
}

namespace ringscale::drivers {

/// The flags of `ringscale ring` as typed, and the options they mean once resolved.
struct RingFlags {
  ring::RingOptions options;
  LimitFlags limits;
  PatternFlags pattern;
  MultiheadFlags multihead;
  CheckpointFlags checkpoint;
  TraceFlags trace;
  std::int64_t ring_size = 0; ///< 0: all ranks of the job that the other levels leave
  std::int64_t kv_heads = 0;  ///< 0: as many as query heads
  std::string mask = "none";
  std::string placement = "contiguous";
  std::string schedule = "ring"; ///< also ulysses: no ring, all ranks on the sequence level
  std::string moving = "key_value";
  std::string pass = "forward";
  std::string hops = "all";
  std::string layout = "stored_packed";
  std::string softmax = "online";
  std::string kernel = "streamed";
  std::string dtype = "float32";
  std::string exchange = "nonblocking";
  std::string gathering = "nonblocking";
  std::vector<double> chunk_weights;
  int threads = 0;
  bool repetitions_given = false;
  bool warmup_given = false;
  bool no_polling = false;
  bool no_verify = false;
  bool no_messages_only = false;
};

/// Declares the flags of the verb; `flags` must live as long as `verb`.
void add_ring_flags(CLI::App &verb, RingFlags &flags);

/// Turns words into values for a job of `ranks` ranks and checks everything that can be checked before a rank starts to
/// work. Throws problem::InvalidInput with one line.
void resolve(RingFlags &flags, std::int64_t ranks, std::uint64_t seed);

} // namespace ringscale::drivers
