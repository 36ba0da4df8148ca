// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "memory/ledger.hpp"
#include "memory/tracked_buffer.hpp"
#include "problem/synthetic.hpp"
#include "ring/block.hpp"
#include "ring/meeting.hpp"
#include "ring/ring_options.hpp"
#include "ring/transport.hpp"
#include "schedule/ring_plan.hpp"
#include "schedule/timeline.hpp"

namespace ringscale::ring {

struct Checkpoint;
struct RankState;

/// Seconds one rank spent in one repetition.
struct RankTimes {
  double compute_s = 0.0; ///< in attention kernels
  double merge_s = 0.0;   ///< joining results that arrived
  /// Not computing because of messages: posting and copying them, moving them on between slices (a host's MPI copies
  /// with the rank's own core), and waiting for them after computing.
  double exposed_communication_s = 0.0;
};

/// Where a rank takes its tensors from, rows of its own tokens in the kernels' memory.
struct RankInputs {
  std::function<void(problem::Tensor, float *destination)> tensor;
  /// Backward: output [batch, tokens, query_heads, head_dim] and log-sum-exps of the forward pass.
  std::function<void(float *output, float *log_sum_exp)> forward_result;
};

/// Synthetic tensors of the rank's tokens, from the seed and origin of the options.
RankInputs synthetic_inputs(const RingOptions &options, std::int64_t rank);

/// One rank of a ring: its buffers, its plan, and what it noticed. The steps are separate calls so that one thread can
/// drive many virtual ranks; run() is the loop of a real one.
class RingRank {
public:
  /// Allocates the rank's buffers. `rank` is the place in the ring, options.problem the ring's own share of the layer;
  /// transport and ledger must outlive the object. Throws InvalidInput for a bad problem.
  RingRank(const RingOptions &options, std::int64_t rank, Transport &transport, memory::Ledger &ledger,
           RankInputs inputs);
  /// The same on synthetic tensors; forward only.
  RingRank(const RingOptions &options, std::int64_t rank, Transport &transport, memory::Ledger &ledger)
      : RingRank(options, rank, transport, ledger, synthetic_inputs(options, rank)) {}

  /// Forgets what the last repetition met; `check_payloads` recomputes the checksum of every block and result met.
  void begin(bool check_payloads);
  /// Takes the inputs and packs the rank's own block; after begin, before the first step.
  void load();

  /// One repetition: all steps in order, then results come home.
  void run();
  /// The same messages without computing: what communication takes alone. The results are worthless.
  void run_messages_only();

  /// Posts what begins to travel in `step`.
  void start(std::int64_t step);
  /// Computes the meetings of `step` in slices, letting the transport move messages on between them.
  void compute(std::int64_t step);
  /// Waits for what is due by the end of `step` and joins the results that came.
  void finish(std::int64_t step);
  /// Steps of the plan, the last one for results only.
  std::int64_t plan_steps() const { return static_cast<std::int64_t>(plan_.steps.size()); }

  /// Steps of the repetition that are done.
  std::int64_t steps_done() const { return steps_done_; }
  /// Whether none of its messages travels. Those of a double ring's outer hops take several steps.
  bool quiet() const { return travelling_.empty(); }
  /// What the steps not done need, nothing else: between two steps, when quiet. Throws std::logic_error elsewhere.
  RankState state() const;
  /// Takes the state of a rank with the same options, after begin and in place of load and of the steps done; the next
  /// step is checkpoint.step. Throws InvalidInput when a section is missing or has another size.
  void restore_state(const Checkpoint &checkpoint);

  const RankTimes &times() const { return times_; }
  const schedule::RingPlan &plan() const { return plan_; }
  /// What was wrong with the blocks and results met, over all repetitions so far; empty when nothing was.
  const std::vector<std::string> &complaints() const { return complaints_; }
  /// Whether the last repetition met every block that has admitted pairs exactly once, and all blocks where all hops
  /// were asked for.
  bool met_every_block_once() const;
  std::int64_t index_list_bytes() const { return kernels_.index_list_bytes(); }

  /// Results of a forward pass.
  kernels::ConstTensor4 output() const;
  kernels::ConstTensor3 log_sum_exp() const;
  /// Results of a backward pass, for the rank's own queries and keys.
  kernels::ConstTensor4 query_gradient() const;
  kernels::ConstTensor4 key_gradient() const;
  kernels::ConstTensor4 value_gradient() const;
  /// Checksum of the results, by this rank's place; adds up over ranks.
  std::uint64_t result_checksum() const;

private:
  using Buffer = memory::TrackedBuffer<kernels::MemorySpace>;
  struct Travelling {
    std::int64_t until_step = 0;
    Ticket ticket = 0;
  };

  /// A part of the state: the first bytes of a buffer.
  struct NeededBuffer {
    std::string name;
    const memory::TrackedBuffer<kernels::MemorySpace> *buffer = nullptr;
    std::int64_t bytes = 0;
  };
  std::vector<NeededBuffer> needed_buffers() const;
  /// Whose block or result of a buffer the steps not done read before another one takes its place; -1: none.
  std::int64_t block_still_needed(std::int64_t buffer) const;
  std::int64_t result_still_needed(std::int64_t buffer) const;

  /// Uninitialised memory of a purpose, from the pool where there is one.
  Buffer take(memory::Ledger &ledger, memory::Purpose purpose, const char *label, std::int64_t bytes) const;

  bool backward() const { return options_.problem.pass == schedule::Pass::backward; }
  bool queries_move() const { return options_.problem.moving == schedule::Moving::query; }
  /// The kernel writes a block's dK and dV, where nothing has to be cleared for it to add to.
  bool writes_key_gradients() const {
    return !queries_move() && options_.problem.pattern.kind == problem::PatternKind::dense;
  }
  const Buffer &result_buffer(std::int64_t index) const;
  /// Where the contribution of a meeting goes.
  const Buffer &result_of(const schedule::Meeting &meeting) const;
  float *payload(const Buffer &buffer) const { return buffer.as<float>(memory::block_header_bytes); }
  /// Of a block stored in bfloat16; results are floats in any case.
  std::uint16_t *patterns(const Buffer &buffer) const { return buffer.as<std::uint16_t>(memory::block_header_bytes); }
  std::uint64_t block_checksum(const Buffer &block, std::int64_t owner) const;

  void load_forward();
  void load_bfloat16_forward();
  void load_backward();
  void pack(float *key, float *value, float *packed);
  void write_own_header();
  void compute_meeting(const schedule::Meeting &meeting, std::int64_t step);
  void compute_forward(const schedule::Meeting &meeting, std::int64_t step);
  void compute_backward(const schedule::Meeting &meeting, std::int64_t step);
  void clear_result(const schedule::Meeting &meeting, const Buffer &result);
  void label_result(const schedule::Meeting &meeting, const Buffer &result, std::int64_t contributions);
  void join(const Buffer &result, const Buffer &arrived, std::int64_t owner);
  void poll();

  void post_blocks(const schedule::RankStep &plan, std::int64_t step);
  void gather_blocks(std::int64_t step);
  void post_results(const schedule::RankStep &plan, std::int64_t step);
  void take_blocks(const schedule::RankStep &plan, std::int64_t step);
  void take_results(const schedule::RankStep &plan, std::int64_t step);
  void inspect_block(const schedule::Meeting &meeting, std::int64_t step);
  void inspect_result(const Buffer &result, std::int64_t owner, std::int64_t step);
  void strike_before(std::int64_t step);
  void strike_after(std::int64_t step);
  void poison(const Buffer &buffer) const;
  void poison_free_buffers(std::int64_t step) const;
  void complain(std::string text);
  Site site(const char *what, std::int64_t step) const;
  /// To the recorder, where there is one that records.
  void record(schedule::Activity activity, std::int64_t step, double begin_s, double end_s) const;
  void record(const schedule::BlockMessage &message, std::int64_t step, bool sent) const;
  void record(const schedule::ResultMessage &message, std::int64_t step, bool sent) const;

  RingOptions options_;
  std::int64_t rank_;
  Transport &transport_;
  RankInputs inputs_;
  schedule::RingPlan plan_;
  kernels::ExecutionSpace space_;
  std::int64_t query_tokens_;
  std::int64_t key_tokens_;
  float scale_;
  bool computes_ = true;

  Buffer query_, output_, partial_; ///< of what stays; partial: log-sum-exps, and row dots of a backward pass
  Buffer key_value_;                ///< keys and values that stay
  Buffer gradient_;                 ///< of the output and of what stays, one after the other
  Buffer home_;                     ///< final result of what moves
  Buffer discarded_;                ///< gradients that replicated queries make of other ranks' keys
  std::vector<Buffer> blocks_, copies_, results_;
  MeetingKernels kernels_;

  bool check_payloads_ = false;
  std::int64_t steps_done_ = 0;
  std::vector<Travelling> travelling_;
  std::vector<std::int64_t> last_use_; ///< of the block buffers in the current repetition
  std::vector<std::int64_t> times_met_;
  std::vector<std::string> complaints_;
  RankTimes times_;
  double polling_s_ = 0.0; ///< of the step being computed
};

} // namespace ringscale::ring
