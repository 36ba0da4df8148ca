// SPDX-License-Identifier: Apache-2.0
#include <csignal>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "ring/checksum.hpp"
#include "ring/deadline.hpp"
#include "ring/rank_recorder.hpp"
#include "ring/ring_rank.hpp"

namespace ringscale::ring {

using schedule::RankStep;
using schedule::RingProblem;

namespace {

using Bytes = Kokkos::View<std::byte *, kernels::MemorySpace, kernels::Unmanaged>;

/// Lanes of tags: each channel has one for keys (or all) and one for values; each lane of results one for hops and one
/// for the way home.
MessageTag block_tag(std::int64_t channel, std::size_t part) {
  return tagged(MessageTag::key_value_block, static_cast<int>(2 * channel) + static_cast<int>(part));
}
MessageTag result_tag(const schedule::ResultMessage &message) {
  return tagged(MessageTag::result_block, static_cast<int>(2 * message.lane) + (message.to_owner ? 1 : 0));
}

/// corrupt_element: the first element becomes `wrong`, which is never padding. swap_halves: the halves change places.
template <class Element> void strike_elements(Element *data, std::int64_t elements, FaultKind kind, Element wrong) {
  const Kokkos::View<Element *, kernels::MemorySpace, kernels::Unmanaged> tensors(data,
                                                                                  static_cast<std::size_t>(elements));
  if (kind == FaultKind::corrupt_element) {
    Kokkos::deep_copy(Kokkos::subview(tensors, std::size_t{0}), wrong);
    return;
  }
  const auto half = static_cast<std::size_t>(elements / 2);
  const Kokkos::View<Element *, kernels::MemorySpace> left("ringscale::fault", half);
  const auto front = Kokkos::subview(tensors, std::pair<std::size_t, std::size_t>(0, half));
  const auto back = Kokkos::subview(tensors, std::pair<std::size_t, std::size_t>(half, 2 * half));
  Kokkos::deep_copy(left, front);
  Kokkos::deep_copy(front, back);
  Kokkos::deep_copy(back, left);
}

} // namespace

void RingRank::start(std::int64_t step) {
  strike_before(step);
  const double begin_s = now_s();
  const RankStep &plan = plan_.steps[static_cast<std::size_t>(step)];
  if (options_.collective) {
    gather_blocks(step);
  } else {
    post_blocks(plan, step);
  }
  post_results(plan, step);
  const double end_s = now_s();
  times_.exposed_communication_s += end_s - begin_s;
  record(schedule::Activity::post, step, begin_s, end_s);
}

void RingRank::post_blocks(const RankStep &plan, std::int64_t step) {
  const Site here = site("passing a key/value block on", step);
  for (const schedule::BlockMessage &message : plan.receives) {
    last_use_[static_cast<std::size_t>(message.buffer)] = -1;
    const Buffer &buffer = blocks_[static_cast<std::size_t>(message.buffer)];
    const std::vector<MessagePart> parts = block_messages(options_.problem, message.owner);
    for (std::size_t part = 0; part < parts.size(); ++part) {
      travelling_.push_back(
          {message.until_step,
           transport_.post_receive(static_cast<int>(message.peer), buffer.data() + parts[part].offset_bytes,
                                   parts[part].bytes, block_tag(message.channel, part), here)});
    }
    record(message, step, false);
  }
  std::vector<std::int64_t> copied(copies_.size(), -1); // owner of the block in each copy
  for (const schedule::BlockMessage &message : plan.sends) {
    const std::byte *data = blocks_[static_cast<std::size_t>(message.buffer)].data();
    if (!copies_.empty()) {
      const auto channel = static_cast<std::size_t>(message.channel);
      // One copy serves all who are sent the block in this step.
      if (copied[channel] != message.owner) {
        const auto bytes = static_cast<std::size_t>(block_bytes(options_.problem, message.owner));
        Kokkos::deep_copy(space_, Bytes(copies_[channel].data(), bytes), Bytes(const_cast<std::byte *>(data), bytes));
        space_.fence("ringscale::ring: block copied into its message");
        copied[channel] = message.owner;
      }
      data = copies_[channel].data();
    }
    const std::vector<MessagePart> parts = block_messages(options_.problem, message.owner);
    for (std::size_t part = 0; part < parts.size(); ++part) {
      travelling_.push_back(
          {message.until_step, transport_.post_send(static_cast<int>(message.peer), data + parts[part].offset_bytes,
                                                    parts[part].bytes, block_tag(message.channel, part), here)});
    }
    record(message, step, true);
  }
}

void RingRank::gather_blocks(std::int64_t step) {
  const RingProblem &problem = options_.problem;
  if (step > 0 || problem.ring_size == 1) {
    return;
  }
  // The block of rank r - s is the s-th that rank r meets, and so lies in its buffer s.
  std::vector<GatheredPart> parts(static_cast<std::size_t>(problem.ring_size));
  for (const RankStep &one : plan_.steps) {
    for (const schedule::Meeting &meeting : one.meetings) {
      parts[static_cast<std::size_t>(meeting.owner)] = {meeting.buffer * blocks_.front().bytes(),
                                                        block_bytes(problem, meeting.owner)};
    }
  }
  const Buffer &own = blocks_.front();
  travelling_.push_back({0, transport_.post_all_gather(own.data(), own.data(), parts, options_.gathering,
                                                       site("gathering all blocks", step))});
}

void RingRank::post_results(const RankStep &plan, std::int64_t step) {
  const Site here = site("passing a partial result on", step);
  for (const schedule::ResultMessage &message : plan.result_receives) {
    travelling_.push_back(
        {step, transport_.post_receive(static_cast<int>(message.peer), result_buffer(message.buffer).data(),
                                       result_bytes(options_.problem, message.owner), result_tag(message), here)});
    record(message, step, false);
  }
  for (const schedule::ResultMessage &message : plan.result_sends) {
    const Buffer &result = result_buffer(message.buffer);
    if (check_payloads_) {
      BlockHeader header = read_header(result.data());
      header.checksum = checksum(space_, payload(result), result_elements(options_.problem, message.owner));
      write_header(result.data(), header);
    }
    travelling_.push_back(
        {step, transport_.post_send(static_cast<int>(message.peer), result.data(),
                                    result_bytes(options_.problem, message.owner), result_tag(message), here)});
    record(message, step, true);
  }
}

void RingRank::finish(std::int64_t step) {
  const RankStep &plan = plan_.steps[static_cast<std::size_t>(step)];
  const double begin_s = now_s();
  std::vector<Ticket> due;
  std::erase_if(travelling_, [&](const Travelling &one) {
    if (one.until_step > step) {
      return false;
    }
    due.push_back(one.ticket);
    return true;
  });
  if (!due.empty()) {
    transport_.wait(due, site("waiting for the next key/value block", step));
  }
  take_blocks(plan, step);
  const double arrived_s = now_s();
  times_.exposed_communication_s += arrived_s - begin_s;
  take_results(plan, step);
  const double joined_s = now_s();
  times_.merge_s += joined_s - arrived_s;
  if (options_.recorder != nullptr && options_.recorder->recording()) {
    options_.recorder->received(step, arrived_s);
    record(schedule::Activity::wait, step, begin_s, arrived_s);
    record(schedule::Activity::join, step, arrived_s, joined_s);
  }
  if (options_.poison_buffers) {
    poison_free_buffers(step);
  }
  steps_done_ = step + 1;
}

void RingRank::take_blocks(const RankStep &plan, std::int64_t step) {
  for (const schedule::Meeting &meeting : plan.meetings) {
    std::int64_t &last = last_use_[static_cast<std::size_t>(meeting.buffer)];
    last = step;
    for (const schedule::BlockMessage &message : plan.sends) {
      last = message.buffer == meeting.buffer ? std::max(last, message.until_step) : last;
    }
  }
  if (step + 1 >= plan_steps()) {
    return;
  }
  strike_after(step);
  // Blocks met in the next step have just arrived.
  for (const schedule::Meeting &meeting : plan_.steps[static_cast<std::size_t>(step + 1)].meetings) {
    const Buffer &buffer = blocks_[static_cast<std::size_t>(meeting.buffer)];
    BlockHeader header = read_header(buffer.data());
    header.hop += 1;
    write_header(buffer.data(), header);
  }
}

void RingRank::take_results(const RankStep &plan, std::int64_t step) {
  for (const schedule::ResultMessage &message : plan.result_receives) {
    inspect_result(result_buffer(message.buffer), message.owner, step);
  }
  for (const schedule::Meeting &meeting : plan.meetings) {
    if (meeting.arriving_result != schedule::no_result &&
        !options_.fault.strikes(FaultKind::drop_result, rank_, step)) {
      join(result_buffer(meeting.result_buffer), result_buffer(meeting.arriving_result), meeting.owner);
    }
  }
  for (const std::int64_t buffer : plan.home_additions) {
    join(home_, result_buffer(buffer), rank_);
  }
  if (has_results(options_.problem) && step + 1 == plan_steps() && computes_) {
    const RingProblem &problem = options_.problem;
    std::int64_t expected = 0;
    for (std::int64_t other = 0; other < problem.ring_size; ++other) {
      const std::int64_t query_rank = queries_move() ? rank_ : other;
      const std::int64_t key_rank = queries_move() ? other : rank_;
      expected += other == rank_ || pairs_of_meeting(problem, query_rank, key_rank) > 0.0 ? 1 : 0;
    }
    const std::int64_t found = read_header(home_.data()).contributions;
    if (found != expected && problem.schedule != schedule::Schedule::local_only) {
      complain("its result came home with the contributions of " + std::to_string(found) + " ranks instead of " +
               std::to_string(expected));
    }
  }
}

void RingRank::inspect_block(const schedule::Meeting &meeting, std::int64_t step) {
  const RingProblem &problem = options_.problem;
  const Buffer &block = blocks_[static_cast<std::size_t>(meeting.buffer)];
  const BlockHeader header = read_header(block.data());
  const std::string when = " in step " + std::to_string(step);
  if (header.magic != BlockHeader::expected_magic || header.owner < 0 || header.owner >= problem.ring_size) {
    complain("met a block without a readable header" + when);
    return;
  }
  times_met_[static_cast<std::size_t>(header.owner)] += 1;
  if (header.owner != meeting.owner) {
    complain("met the block of rank " + std::to_string(header.owner) + " instead of rank " +
             std::to_string(meeting.owner) + "'s" + when);
  }
  if (header.hop != hops_made(problem, step)) {
    complain("met a block that made " + std::to_string(header.hop) + " hops" + when);
  }
  const std::int64_t payload_bytes = block_bytes(problem, header.owner) - memory::block_header_bytes;
  if (header.tokens != block_tokens(problem, header.owner) || header.payload_bytes != payload_bytes) {
    complain("met a block of " + std::to_string(header.tokens) + " tokens of the wrong size" + when);
    return;
  }
  if (check_payloads_ && block_checksum(block, header.owner) != header.checksum) {
    complain("checksum of the block of rank " + std::to_string(header.owner) + " is wrong" + when);
  }
}

void RingRank::inspect_result(const Buffer &result, std::int64_t owner, std::int64_t step) {
  const BlockHeader header = read_header(result.data());
  const std::string when = " in step " + std::to_string(step);
  if (header.magic != BlockHeader::expected_magic || header.owner != owner) {
    complain("got a result that is not of the block of rank " + std::to_string(owner) + when);
    return;
  }
  if (check_payloads_ &&
      checksum(space_, payload(result), result_elements(options_.problem, owner)) != header.checksum) {
    complain("checksum of the result of rank " + std::to_string(owner) + " is wrong" + when);
  }
}

void RingRank::label_result(const schedule::Meeting &meeting, const Buffer &result, std::int64_t contributions) {
  BlockHeader header;
  header.owner = meeting.owner;
  header.tokens = block_tokens(options_.problem, meeting.owner);
  header.payload_bytes = result_bytes(options_.problem, meeting.owner) - memory::block_header_bytes;
  header.contributions = contributions;
  write_header(result.data(), header);
}

void RingRank::strike_before(std::int64_t step) {
  const Fault &fault = options_.fault;
  const RankStep &plan = plan_.steps[static_cast<std::size_t>(step)];
  if (fault.kind == FaultKind::none || fault.rank != rank_ || fault.step != step) {
    return;
  }
  if (fault.kind == FaultKind::late_rank) {
    std::this_thread::sleep_for(std::chrono::duration<double>(fault.sleep_s));
  } else if (fault.kind == FaultKind::dead_rank) {
    std::raise(SIGKILL);
  }
  if (plan.meetings.empty() || (fault.kind != FaultKind::corrupt_element && fault.kind != FaultKind::swap_halves)) {
    return; // the other kinds strike elsewhere
  }
  const schedule::Meeting &meeting = plan.meetings.front();
  const Buffer &block = blocks_[static_cast<std::size_t>(meeting.buffer)];
  const std::int64_t elements = block_elements(options_.problem, meeting.owner);
  if (stores_bfloat16(options_.problem)) {
    constexpr std::uint16_t thirty = 0x41F0; // bfloat16's pattern of 30
    strike_elements(patterns(block), elements, fault.kind, thirty);
  } else {
    strike_elements(payload(block), elements, fault.kind, 30.0F);
  }
}

void RingRank::strike_after(std::int64_t step) {
  const RankStep &next = plan_.steps[static_cast<std::size_t>(step + 1)];
  const RankStep &plan = plan_.steps[static_cast<std::size_t>(step)];
  if (!options_.fault.strikes(FaultKind::skip_hop, rank_, step) || next.meetings.empty() || plan.meetings.empty()) {
    return;
  }
  // The rank goes on with the block it has.
  const Buffer &old = blocks_[static_cast<std::size_t>(plan.meetings.front().buffer)];
  const Buffer &arrived = blocks_[static_cast<std::size_t>(next.meetings.front().buffer)];
  const auto bytes = static_cast<std::size_t>(old.bytes());
  Kokkos::deep_copy(Bytes(arrived.data(), bytes), Bytes(old.data(), bytes));
}

void RingRank::poison(const Buffer &buffer) const {
  // All ones: a NaN wherever a float is read, and no header.
  Kokkos::deep_copy(Bytes(buffer.data(), static_cast<std::size_t>(buffer.bytes())), std::byte{0xFF});
}

void RingRank::poison_free_buffers(std::int64_t step) const {
  const RankStep &plan = plan_.steps[static_cast<std::size_t>(step)];
  for (std::size_t buffer = 0; buffer < blocks_.size(); ++buffer) {
    if (last_use_[buffer] == step) {
      poison(blocks_[buffer]);
    }
  }
  for (const schedule::ResultMessage &message : plan.result_sends) {
    poison(result_buffer(message.buffer));
  }
  for (const schedule::Meeting &meeting : plan.meetings) {
    if (meeting.arriving_result != schedule::no_result) {
      poison(result_buffer(meeting.arriving_result));
    }
  }
}

void RingRank::complain(std::string text) {
  // The first few say what happened; a broken ring would otherwise repeat them every step.
  constexpr std::size_t most_complaints = 4;
  text = "rank " + std::to_string(rank_) + ": " + text;
  if (complaints_.size() < most_complaints &&
      std::find(complaints_.begin(), complaints_.end(), text) == complaints_.end()) {
    complaints_.push_back(std::move(text));
  }
}

void RingRank::record(schedule::Activity activity, std::int64_t step, double begin_s, double end_s) const {
  if (options_.recorder != nullptr) {
    options_.recorder->add(activity, step, begin_s, end_s);
  }
}

void RingRank::record(const schedule::BlockMessage &message, std::int64_t step, bool sent) const {
  if (options_.recorder != nullptr && options_.recorder->recording()) {
    options_.recorder->add({message.peer, message.owner, message.channel, step, message.until_step, sent, false,
                            static_cast<double>(block_bytes(options_.problem, message.owner)), now_s()});
  }
}

void RingRank::record(const schedule::ResultMessage &message, std::int64_t step, bool sent) const {
  if (options_.recorder != nullptr && options_.recorder->recording()) {
    options_.recorder->add({message.peer, message.owner, message.lane, step, step, sent, true,
                            static_cast<double>(result_bytes(options_.problem, message.owner)), now_s()});
  }
}

Site RingRank::site(const char *what, std::int64_t step) const {
  const RankStep &plan = plan_.steps[static_cast<std::size_t>(step)];
  Site here{what, static_cast<int>(rank_), step, -1, -1};
  if (!plan.sends.empty() || !plan.result_sends.empty()) {
    here.send_to = static_cast<int>(plan.sends.empty() ? plan.result_sends.front().peer : plan.sends.front().peer);
  }
  if (!plan.receives.empty() || !plan.result_receives.empty()) {
    here.receive_from =
        static_cast<int>(plan.receives.empty() ? plan.result_receives.front().peer : plan.receives.front().peer);
  }
  return here;
}

} // namespace ringscale::ring
