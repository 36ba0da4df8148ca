// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "kernels/accumulate.hpp"
#include "kernels/merge.hpp"
#include "ring/deadline.hpp"
#include "ring/rank_recorder.hpp"
#include "ring/ring_rank.hpp"
#include "ring/row_views.hpp"

namespace ringscale::ring {

using problem::AttentionProblem;

void RingRank::poll() {
  if (options_.poll_progress) {
    const double begin_s = now_s();
    transport_.progress();
    const double end_s = now_s();
    polling_s_ += end_s - begin_s;
    record(schedule::Activity::poll, steps_done_, begin_s, end_s);
  }
}

void RingRank::compute(std::int64_t step) {
  const schedule::RankStep &plan = plan_.steps[static_cast<std::size_t>(step)];
  for (const schedule::Meeting &meeting : plan.meetings) {
    inspect_block(meeting, step);
  }
  const bool recording = options_.recorder != nullptr && options_.recorder->recording();
  const double begin_s = now_s();
  polling_s_ = 0.0;
  for (const schedule::Meeting &meeting : plan.meetings) {
    const double pairs = recording ? pairs_of_meeting(options_.problem, queries_move() ? meeting.owner : rank_,
                                                      queries_move() ? rank_ : meeting.owner)
                                   : schedule::no_pairs;
    const Recorded recorded(options_.recorder, schedule::Activity::compute, step, meeting.owner, pairs);
    compute_meeting(meeting, step);
  }
  times_.compute_s += now_s() - begin_s - polling_s_;
  times_.exposed_communication_s += polling_s_;
}

void RingRank::compute_meeting(const schedule::Meeting &meeting, std::int64_t step) {
  if (!makes_results(options_.problem)) {
    if (meeting.admitted && computes_) {
      compute_forward(meeting, step);
    }
    return;
  }
  const bool first = step == (meeting.lane == 0 ? 0 : 1);
  const bool passes = has_results(options_.problem) && !meeting.admitted && !first &&
                      options_.problem.schedule != schedule::Schedule::all_gather;
  if (passes) {
    return; // the arriving result is the one that goes on
  }
  const Buffer &result = result_of(meeting);
  if (!meeting.admitted || (computes_ && backward() && !writes_key_gradients())) {
    clear_result(meeting, result); // nothing is met, or gradients add up from nothing
  }
  if (meeting.admitted && computes_) {
    if (backward()) {
      compute_backward(meeting, step);
    } else {
      compute_forward(meeting, step);
    }
  }
  label_result(meeting, result, meeting.admitted ? 1 : 0);
}

void RingRank::compute_forward(const schedule::Meeting &meeting, std::int64_t step) {
  const AttentionProblem &attention = options_.problem.attention;
  const Buffer &block = blocks_[static_cast<std::size_t>(meeting.buffer)];
  ForwardMeeting forward;
  if (queries_move()) {
    const Buffer &result = result_buffer(meeting.result_buffer);
    forward.query_rank = meeting.owner;
    forward.key_rank = rank_;
    forward.query = block.data() + memory::block_header_bytes;
    forward.key_value = key_value_.data();
    forward.output = payload(result);
    forward.log_sum_exp = payload(result) + attention.batch * queries_of(options_.problem, meeting.owner).count() *
                                                attention.query_heads * attention.head_dim;
    forward.replace = true;
  } else {
    forward.query_rank = rank_;
    forward.key_rank = meeting.owner;
    forward.query = query_.data();
    forward.key_value = block.data() + memory::block_header_bytes;
    forward.output = output_.as<float>();
    forward.log_sum_exp = partial_.as<float>();
    // The first block writes every row, so that no partial of an earlier repetition is read.
    forward.replace = options_.softmax == SoftmaxRule::online && step == 0;
  }
  forward.scale = options_.fault.strikes(FaultKind::wrong_scale, rank_, step) ? 1.01F * scale_ : scale_;
  kernels_.forward(forward, [this] { poll(); });
}

void RingRank::compute_backward(const schedule::Meeting &meeting, std::int64_t step) {
  const AttentionProblem &attention = options_.problem.attention;
  const Buffer &block = blocks_[static_cast<std::size_t>(meeting.buffer)];
  float *result = payload(result_of(meeting));
  BackwardMeeting backward;
  if (queries_move()) {
    const std::int64_t rows =
        attention.batch * queries_of(options_.problem, meeting.owner).count() * attention.query_heads;
    const std::int64_t keys = attention.batch * key_tokens_ * attention.kv_heads * attention.head_dim;
    backward.query_rank = meeting.owner;
    backward.key_rank = rank_;
    backward.query = payload(block);
    backward.output_gradient = backward.query + rows * attention.head_dim;
    backward.log_sum_exp = backward.output_gradient + rows * attention.head_dim;
    backward.output_dot = backward.log_sum_exp + rows;
    backward.key = key_value_.as<float>();
    backward.value = backward.key + keys;
    backward.query_gradient = result;
    backward.key_gradient = gradient_.as<float>();
    backward.value_gradient = backward.key_gradient + keys;
  } else {
    const std::int64_t rows = attention.batch * query_tokens_ * attention.query_heads;
    const std::int64_t keys =
        attention.batch * keys_of(options_.problem, meeting.owner).count() * attention.kv_heads * attention.head_dim;
    backward.query_rank = rank_;
    backward.key_rank = meeting.owner;
    backward.query = query_.as<float>();
    backward.output_gradient = gradient_.as<float>();
    backward.log_sum_exp = partial_.as<float>();
    backward.output_dot = backward.log_sum_exp + rows;
    backward.key = payload(block);
    backward.value = backward.key + keys;
    backward.query_gradient = gradient_.as<float>() + rows * attention.head_dim;
    backward.key_gradient = result;
    backward.value_gradient = result + keys;
    backward.replace_key_gradients = writes_key_gradients();
  }
  backward.scale = options_.fault.strikes(FaultKind::wrong_scale, rank_, step) ? 1.01F * scale_ : scale_;
  kernels_.backward(backward, [this] { poll(); });
}

void RingRank::clear_result(const schedule::Meeting &meeting, const Buffer &result) {
  using Floats = Kokkos::View<float *, kernels::MemorySpace, kernels::Unmanaged>;
  const auto elements = static_cast<std::size_t>(result_elements(options_.problem, meeting.owner));
  Kokkos::deep_copy(space_, Floats(payload(result), elements), 0.0F);
  if (!backward()) {
    const AttentionProblem &attention = options_.problem.attention;
    const std::int64_t rows =
        attention.batch * queries_of(options_.problem, meeting.owner).count() * attention.query_heads;
    Kokkos::deep_copy(space_, Floats(payload(result) + rows * attention.head_dim, static_cast<std::size_t>(rows)),
                      -std::numeric_limits<float>::infinity());
  }
  space_.fence("ringscale::ring: result cleared");
}

void RingRank::join(const Buffer &result, const Buffer &arrived, std::int64_t owner) {
  const AttentionProblem &attention = options_.problem.attention;
  if (backward()) {
    kernels::accumulate(space_, payload(arrived), result_elements(options_.problem, owner), payload(result));
  } else {
    const std::int64_t tokens = queries_of(options_.problem, owner).count();
    const std::int64_t elements = attention.batch * tokens * attention.query_heads * attention.head_dim;
    kernels::merge_partials(
        space_, whole_rows<kernels::Tensor4>(payload(result), tokens, attention.query_heads, attention),
        row_numbers<kernels::Tensor3>(payload(result) + elements, tokens, attention),
        whole_rows<kernels::ConstTensor4>(static_cast<const float *>(payload(arrived)), tokens, attention.query_heads,
                                          attention),
        row_numbers<kernels::ConstTensor3>(static_cast<const float *>(payload(arrived) + elements), tokens, attention));
  }
  space_.fence("ringscale::ring: results joined");
  BlockHeader header = read_header(result.data());
  header.contributions += read_header(arrived.data()).contributions;
  write_header(result.data(), header);
}

} // namespace ringscale::ring
