// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "memory/buffer_pool.hpp"
#include "memory/closed_form.hpp"
#include "ring/exchange.hpp"
#include "ring/fault.hpp"
#include "ring/slice_budget.hpp"
#include "schedule/process_grid.hpp"
#include "schedule/ring_schedule.hpp"

namespace ringscale::ring {

struct CheckpointOptions;
class RankRecorder;

/// online joins blocks by their log-sum-exp (right); per_chunk normalises each span alone and averages (a negative
/// control, wrong wherever more than one span is met).
enum class SoftmaxRule { online, per_chunk };

std::string_view name(SoftmaxRule rule);
SoftmaxRule parse_softmax(std::string_view word);

/// Where the tensors of a rank lie in those of the whole layer, whose data is made from the seed.
struct TensorOrigin {
  std::int64_t batch = 0;
  std::int64_t query_head = 0;
  std::int64_t kv_head = 0;
};

/// One ring attention run. `problem` is the whole layer's; of a process grid with more levels than the ring, each ring
/// works on its share.
struct RingOptions {
  schedule::RingProblem problem;
  schedule::ProcessGrid grid; ///< its ring level is problem.ring_size where it says 1 and the others do too
  SoftmaxRule softmax = SoftmaxRule::online;
  memory::KernelKind kernel = memory::KernelKind::streamed;
  int warmup = 1;
  int repetitions = 5;
  double deadline_s = 300.0;
  bool poll_progress = true;
  Exchange exchange = Exchange::nonblocking;
  bool collective = false; ///< all_gather by MPI's collective instead of messages between pairs
  Gathering gathering = Gathering::nonblocking;
  bool stage_on_host = false; ///< messages through host memory, for an MPI that cannot read a device's
  bool verify = true;
  bool messages_only = false;  ///< also times the messages without computing, for the hidden fraction
  SliceBudget slices;          ///< how meetings are cut between looks at the network; only tests change it
  bool poison_buffers = false; ///< fills every buffer with NaN when it falls free, so that stale data is seen
  std::uint64_t seed = 1;
  TensorOrigin origin;
  memory::BufferPool *pool = nullptr;            ///< where buffers come from; null: allocated for the run. Not owned
  const CheckpointOptions *checkpoint = nullptr; ///< null: none are written. Not owned
  RankRecorder *recorder = nullptr;              ///< null: no repetition is traced. Not owned
  Fault fault;                                   ///< tests only
};

/// The grid of a run: options.grid, or a plain ring of problem.ring_size.
schedule::ProcessGrid process_grid(const RingOptions &options);

/// Why a run with these options cannot store its tensors in bfloat16, whatever their dtype says; empty: it can.
std::string bfloat16_obstacle(const RingOptions &options);

/// Throws InvalidInput when the ring cannot compute on tensors of the options' dtype: blocks are float32, or bfloat16
/// where nothing else stands against it.
void require_supported(const RingOptions &options);

/// Throws InvalidInput naming the first option that is out of range or does not go with the others.
void validate(const RingOptions &options);

} // namespace ringscale::ring
