// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "memory/closed_form.hpp"
#include "problem/attention_problem.hpp"
#include "ring/communicator.hpp"
#include "ring/exchange.hpp"

namespace ringscale::ring {

/// How often something is measured: `warmup` calls whose times are thrown away, then `repetitions` samples.
struct Repetitions {
  int warmup = 1;
  int samples = 5;
};

/// One tile: query rows against one packed span of keys. Causal puts the last query on the last key.
struct TileSetting {
  std::int64_t batch = 1;
  std::int64_t query_tokens = 0;
  std::int64_t key_tokens = 0;
  std::int64_t query_heads = 8;
  std::int64_t kv_heads = 8;
  std::int64_t head_dim = 64;
  problem::Mask mask = problem::Mask::none;
  memory::KernelKind kernel = memory::KernelKind::streamed;
  bool merge_online = true; ///< join with a partial that is there already, as all but the first block of a ring do
};

/// Seconds of one tile on this rank, one sample a repetition (short tiles are looped and divided). Not collective:
/// call it on every rank after a barrier to measure with the memory traffic of the neighbours. `tiles` equal ones, each
/// on buffers of its own, take turns.
std::vector<double> measure_tile(const TileSetting &setting, const Repetitions &repetitions, int tiles = 1);

/// Seconds of joining two partials of `setting.query_tokens` rows (merge_partials) that no cache holds; key fields are
/// ignored.
std::vector<double> measure_merge(const TileSetting &setting, const Repetitions &repetitions);

/// Seconds of the backward pass of one tile on this rank: gradients of queries, keys and values added to those held, in
/// the slices that a ring takes. kernel and merge_online are ignored. `tiles` as above. Not collective.
std::vector<double> measure_backward_tile(const TileSetting &setting, const Repetitions &repetitions, int tiles = 1);

/// Seconds of packing `setting.key_tokens` keys and values.
std::vector<double> measure_pack(const TileSetting &setting, const Repetitions &repetitions);

/// Seconds per step of a whole ring over `communicator` whose ranks hold one token each: what a step costs before
/// any work. Slowest rank. Collective.
std::vector<double> measure_step_fixed(Communicator &communicator, const Repetitions &repetitions);

/// One-way seconds of `bytes` between ranks 0 and 1 (half a round trip), sent as one message or as `messages` equal
/// ones (separate keys and values: 2). Collective; ranks above 1 sleep; the same samples on every rank.
std::vector<double> measure_ping_pong(Communicator &communicator, std::int64_t bytes, int messages,
                                      const Repetitions &repetitions);

/// One-way seconds of a ring shift: every rank sends `bytes` to the next one at once, as in a hop, nobody computing,
/// each time from and into other buffers, which the caches do not hold.
/// Slowest rank. Collective.
std::vector<double> measure_shift(Communicator &communicator, std::int64_t bytes, const Repetitions &repetitions,
                                  Exchange exchange = Exchange::nonblocking);

/// Seconds of an all-gather of `bytes` of every rank, nobody computing. Slowest rank. Collective.
std::vector<double> measure_all_gather(Communicator &communicator, std::int64_t bytes, const Repetitions &repetitions,
                                       Gathering gathering = Gathering::nonblocking);

/// How much of a hop hides behind computing: a shift alone, a tile alone, and both at once with progress polled
/// between slices and without. Slowest rank, same samples on every rank.
struct OverlapMeasurement {
  std::vector<double> communication_s;
  std::vector<double> compute_s;
  std::vector<double> polled_s;
  std::vector<double> unpolled_s;
  double hidden_fraction_polled = 0.0;   ///< (compute + communication - both) / min(compute, communication), medians
  double hidden_fraction_unpolled = 0.0; ///< within [-1, 1]; below 0 both together take longer than one after the other
};
OverlapMeasurement measure_overlap(Communicator &communicator, const TileSetting &setting, std::int64_t bytes,
                                   const Repetitions &repetitions, Exchange exchange = Exchange::nonblocking);

} // namespace ringscale::ring
