// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "problem/attention_problem.hpp"
#include "problem/pattern.hpp"
#include "schedule/placement.hpp"

namespace ringscale::schedule {

/// How blocks get round. ring: each rank passes its block to the next one every step (Liu et al. 2023).
/// bidirectional_ring: a copy goes each way and both stop half-way round, so both directions of a link work.
/// double_ring: rings of inner_ring_size ranks (a node) inside a ring of rings; the block that begins an inner round
/// leaves for the next inner ring at once, so the outer hop has the whole round to arrive. all_gather: every block goes
/// to every rank in the first step. local_only: blocks never move, a negative control, wrong for ring_size > 1.
enum class Schedule { ring, bidirectional_ring, double_ring, all_gather, local_only };

/// What travels: keys and values to the queries, or queries to the keys and values (their partial results then
/// travel with them).
enum class Moving { key_value, query };

enum class Pass { forward, backward };

/// all: every block meets every rank. needed: a block stops at the last rank on its way that admits one of its pairs.
enum class Hops { all, needed };

/// The form a key/value block travels in. stored_packed: one message, stored as kernels read it. separate: keys and
/// values in a message each. copied: stored in place and copied into a message buffer before every hop.
enum class MessageLayout { stored_packed, separate, copied };

std::string_view name(Schedule schedule);
std::string_view name(Moving moving);
std::string_view name(Pass pass);
std::string_view name(Hops hops);
std::string_view name(MessageLayout layout);
/// Parse a word of the command line or of JSON; throw InvalidInput listing the words allowed.
Schedule parse_schedule(std::string_view word);
Moving parse_moving(std::string_view word);
Pass parse_pass(std::string_view word);
Hops parse_hops(std::string_view word);
MessageLayout parse_message_layout(std::string_view word);

/// Everything a schedule depends on. Of a layer whose heads are divided among several rings, attention has the heads
/// of this one; a dilated pattern then needs to know which they are.
struct RingProblem {
  problem::AttentionProblem attention;
  Placement placement = Placement::contiguous;
  Schedule schedule = Schedule::ring;
  std::int64_t ring_size = 1;
  std::int64_t inner_ring_size = 1; ///< double_ring only; divides ring_size
  Moving moving = Moving::key_value;
  Pass pass = Pass::forward;
  Hops hops = Hops::all;
  MessageLayout layout = MessageLayout::stored_packed;
  problem::Pattern pattern;
  std::int64_t pattern_heads = 0; ///< query heads of the whole layer; 0: those of attention
  std::int64_t first_pattern_head = 0;
  ChunkShape chunks; ///< its granule is the pattern's where that needs one, see chunk_shape
};

/// Throws InvalidInput naming the first field that is out of range or does not go with the others.
void validate(const RingProblem &problem);

/// The shape of the chunks with the granule that the pattern needs: whole blocks of a block-sparse one.
ChunkShape chunk_shape(const RingProblem &problem);

/// Query and key/value tokens that `rank` owns.
problem::TokenSet queries_of(const RingProblem &problem, std::int64_t rank);
problem::TokenSet keys_of(const RingProblem &problem, std::int64_t rank);

/// Admitted pairs of the queries of one rank and the keys of another, summed over all query heads of the problem and
/// repeats counted (see problem::multiplicity); exact, constant time.
double pairs_of_meeting(const RingProblem &problem, std::int64_t query_rank, std::int64_t key_rank);

/// Whether every meeting makes a partial result of the block: moving queries, or any backward pass. Whether these then
/// travel with the block and add up: not with replicated queries, where the owner's own meeting has all of it.
bool makes_results(const RingProblem &problem);
bool has_results(const RingProblem &problem);

/// A lane is one way round: 2 for a bidirectional ring of 3 and more, else 1.
std::int64_t lane_count(const RingProblem &problem);

/// Steps of the schedule; in each a rank meets at most one block a lane.
std::int64_t step_count(const RingProblem &problem);

/// Rank whose block `rank` meets in `step` on `lane`, or -1; and the rank that the block of `owner` meets then, or -1.
/// Lane 0 begins with the rank's own block in step 0.
std::int64_t block_at(const RingProblem &problem, std::int64_t rank, std::int64_t step, std::int64_t lane = 0);
std::int64_t holder_of(const RingProblem &problem, std::int64_t owner, std::int64_t step, std::int64_t lane = 0);

/// Where the block that `rank` meets in `step` (not 0) came from: it leaves `from` at the beginning of
/// `departure_step` and must be there at the end of step - 1. Messages of one channel between two ranks keep order.
struct Arrival {
  std::int64_t from = -1;
  std::int64_t departure_step = 0;
  std::int64_t channel = 0;
};
Arrival arrival_of(const RingProblem &problem, std::int64_t rank, std::int64_t step, std::int64_t lane = 0);

/// Channels of a schedule: directions of the ring, or inner and outer hops.
std::int64_t channel_count(const RingProblem &problem);

/// Last step in which the block of `owner` meets anybody on `lane`, -1 for never: the lane's last step for Hops::all,
/// the last holder that admits a pair for Hops::needed (then linear in ring_size); at least 0 on lane 0.
std::int64_t last_step_of(const RingProblem &problem, std::int64_t owner, std::int64_t lane = 0);

/// last_step_of every owner and lane, asked once: with needed hops each answer looks at up to ring_size meetings.
class LastSteps {
public:
  explicit LastSteps(const RingProblem &problem);
  std::int64_t operator()(std::int64_t owner, std::int64_t lane) const {
    return of_[static_cast<std::size_t>(owners_alike_ ? lane : lane * ring_size_ + owner)];
  }

private:
  std::int64_t ring_size_;
  bool owners_alike_; ///< all hops: one entry a lane
  std::vector<std::int64_t> of_;
};

/// Blocks each rank receives with Hops::all: ring_size - 1, or 0 for local_only.
std::int64_t hop_count(const RingProblem &problem);

/// What one rank of a simple ring does in one step: compute its queries against the block of `block_owner`, and
/// meanwhile pass that block on. A peer of -1 means no message. For Schedule::ring and local_only with Hops::all.
struct Step {
  std::int64_t block_owner = 0;
  std::int64_t send_to = -1;
  std::int64_t receive_from = -1;
};
Step step_of(const RingProblem &problem, std::int64_t rank, std::int64_t step);

/// Admitted query-key pairs of one head that `rank` computes in `step` of lane 0 with a dense pattern; exact,
/// constant time.
std::int64_t pairs_in_step(const RingProblem &problem, std::int64_t rank, std::int64_t step);

/// Tokens of the block of `owner`, the payload of a hop: keys, or queries where they move.
std::int64_t block_tokens(const RingProblem &problem, std::int64_t owner);

} // namespace ringscale::schedule
