// SPDX-License-Identifier: Apache-2.0
#include "schedule/ring_schedule.hpp"

#include <array>
#include <string>
#include <utility>

#include "problem/words.hpp"
#include "schedule/choices.hpp"

namespace ringscale::schedule {

using problem::InvalidInput;
using problem::TokenSet;

namespace {

constexpr std::array<std::pair<std::string_view, Schedule>, 5> schedule_words{
    {{"ring", Schedule::ring},
     {"bidirectional_ring", Schedule::bidirectional_ring},
     {"double_ring", Schedule::double_ring},
     {"all_gather", Schedule::all_gather},
     {"local_only", Schedule::local_only}}};
constexpr std::array<std::pair<std::string_view, Moving>, 2> moving_words{
    {{"key_value", Moving::key_value}, {"query", Moving::query}}};
constexpr std::array<std::pair<std::string_view, Pass>, 2> pass_words{
    {{"forward", Pass::forward}, {"backward", Pass::backward}}};
constexpr std::array<std::pair<std::string_view, Hops>, 2> hops_words{{{"all", Hops::all}, {"needed", Hops::needed}}};
constexpr std::array<std::pair<std::string_view, MessageLayout>, 3> layout_words{
    {{"stored_packed", MessageLayout::stored_packed},
     {"separate", MessageLayout::separate},
     {"copied", MessageLayout::copied}}};

/// Ranks before `rank` in a ring of `size`, `hops` of them.
std::int64_t before(std::int64_t rank, std::int64_t hops, std::int64_t size) {
  return ((rank - hops) % size + size) % size;
}

std::int64_t inner_size(const RingProblem &problem) {
  return problem.schedule == Schedule::double_ring ? problem.inner_ring_size : problem.ring_size;
}

/// Steps of one lane, and its first step.
std::int64_t lane_begin(std::int64_t lane) { return lane == 0 ? 0 : 1; }
std::int64_t lane_end(const RingProblem &problem, std::int64_t lane) {
  const std::int64_t ring_size = problem.ring_size;
  switch (problem.schedule) {
  case Schedule::local_only:
    return 1;
  case Schedule::bidirectional_ring:
    return lane == 0 ? ring_size / 2 + 1 : (ring_size - 1) / 2 + 1;
  default:
    return ring_size;
  }
}

void require(bool right, const std::string &text) {
  if (!right) {
    throw InvalidInput(text);
  }
}

} // namespace

std::string_view name(Schedule schedule) { return problem::word_of(schedule_words, schedule); }
std::string_view name(Moving moving) { return problem::word_of(moving_words, moving); }
std::string_view name(Pass pass) { return problem::word_of(pass_words, pass); }
std::string_view name(Hops hops) { return problem::word_of(hops_words, hops); }
std::string_view name(MessageLayout layout) { return problem::word_of(layout_words, layout); }
std::vector<std::string_view> schedule_choices() { return problem::words_of(schedule_words); }
std::vector<std::string_view> moving_choices() { return problem::words_of(moving_words); }
std::vector<std::string_view> pass_choices() { return problem::words_of(pass_words); }
std::vector<std::string_view> hops_choices() { return problem::words_of(hops_words); }
std::vector<std::string_view> message_layout_choices() { return problem::words_of(layout_words); }
Schedule parse_schedule(std::string_view word) { return problem::parse_word("schedule", schedule_words, word); }
Moving parse_moving(std::string_view word) { return problem::parse_word("moving", moving_words, word); }
Pass parse_pass(std::string_view word) { return problem::parse_word("pass", pass_words, word); }
Hops parse_hops(std::string_view word) { return problem::parse_word("hops", hops_words, word); }
MessageLayout parse_message_layout(std::string_view word) {
  return problem::parse_word("message layout", layout_words, word);
}

void validate(const RingProblem &problem) {
  problem::validate(problem.attention);
  problem::validate(problem.pattern);
  const bool queries_move = problem.moving == Moving::query;
  require(!queries_move || problem.placement != Placement::replicated_queries,
          "moving query needs queries divided among the ranks; placement replicated_queries gives all to each");
  require(problem.schedule != Schedule::double_ring ||
              (problem.inner_ring_size >= 1 && problem.ring_size % problem.inner_ring_size == 0),
          "inner_ring_size is " + std::to_string(problem.inner_ring_size) + "; it must divide ring_size (" +
              std::to_string(problem.ring_size) + ")");
  const bool adaptive = problem.pattern.kind == problem::PatternKind::block_sparse &&
                        problem.pattern.block_sparse.kind == problem::BlockSparseKind::adaptive;
  require(!adaptive, "adaptive blocks are chosen by the scores of all keys, which no rank of a ring has; use "
                     "local_window, dilated or hierarchical");
  require(problem.pattern.kind == problem::PatternKind::dense || problem.placement != Placement::striped,
          "placement striped goes with pattern dense only; use contiguous or zigzag");
  require(problem.layout == MessageLayout::stored_packed || !queries_move,
          "message layouts are forms of key/value blocks; with moving query use stored_packed");
  (void)keys_of(problem, 0);
}

ChunkShape chunk_shape(const RingProblem &problem) {
  ChunkShape shape = problem.chunks;
  if (problem.pattern.kind == problem::PatternKind::block_sparse) {
    shape.granule_tokens = problem.pattern.block_sparse.block_tokens;
  }
  return shape;
}

TokenSet queries_of(const RingProblem &problem, std::int64_t rank) {
  const std::int64_t tokens = problem.attention.tokens;
  // Without a granule of the pattern's the shape need not be copied.
  return problem.pattern.kind == problem::PatternKind::block_sparse
             ? query_tokens(problem.placement, tokens, problem.ring_size, rank, chunk_shape(problem))
             : query_tokens(problem.placement, tokens, problem.ring_size, rank, problem.chunks);
}

TokenSet keys_of(const RingProblem &problem, std::int64_t rank) {
  const std::int64_t tokens = problem.attention.tokens;
  return problem.pattern.kind == problem::PatternKind::block_sparse
             ? key_tokens(problem.placement, tokens, problem.ring_size, rank, chunk_shape(problem))
             : key_tokens(problem.placement, tokens, problem.ring_size, rank, problem.chunks);
}

double pairs_of_meeting(const RingProblem &problem, std::int64_t query_rank, std::int64_t key_rank) {
  const TokenSet queries = queries_of(problem, query_rank);
  const TokenSet keys = keys_of(problem, key_rank);
  const problem::AttentionProblem &attention = problem.attention;
  if (problem.pattern.kind == problem::PatternKind::dense) {
    return static_cast<double>(attention.query_heads) *
           static_cast<double>(problem::admitted_pairs(queries, keys, attention.mask));
  }
  const std::int64_t layer_heads = problem.pattern_heads == 0 ? attention.query_heads : problem.pattern_heads;
  double pairs = 0.0;
  for (int query_span = 0; query_span < queries.span_count(); ++query_span) {
    for (int key_span = 0; key_span < keys.span_count(); ++key_span) {
      pairs += problem::admitted_pairs_of_spans(problem.pattern, attention.mask, queries.span(query_span),
                                                keys.span(key_span), layer_heads, problem.first_pattern_head,
                                                attention.query_heads);
    }
  }
  return pairs;
}

bool makes_results(const RingProblem &problem) {
  return problem.moving == Moving::query || problem.pass == Pass::backward;
}

bool has_results(const RingProblem &problem) {
  return makes_results(problem) && problem.placement != Placement::replicated_queries;
}

std::int64_t lane_count(const RingProblem &problem) {
  return problem.schedule == Schedule::bidirectional_ring && problem.ring_size > 2 ? 2 : 1;
}

std::int64_t channel_count(const RingProblem &problem) {
  return problem.schedule == Schedule::bidirectional_ring || problem.schedule == Schedule::double_ring ? 2 : 1;
}

std::int64_t step_count(const RingProblem &problem) { return lane_end(problem, 0); }

std::int64_t block_at(const RingProblem &problem, std::int64_t rank, std::int64_t step, std::int64_t lane) {
  if (step < lane_begin(lane) || step >= lane_end(problem, lane) || lane >= lane_count(problem)) {
    return -1;
  }
  if (problem.schedule == Schedule::bidirectional_ring && lane == 1) {
    return (rank + step) % problem.ring_size;
  }
  // A ring is a double ring with one inner ring.
  const std::int64_t inner = inner_size(problem);
  const std::int64_t node = before(rank / inner, step / inner, problem.ring_size / inner);
  return node * inner + before(rank % inner, step % inner, inner);
}

std::int64_t holder_of(const RingProblem &problem, std::int64_t owner, std::int64_t step, std::int64_t lane) {
  if (step < lane_begin(lane) || step >= lane_end(problem, lane) || lane >= lane_count(problem)) {
    return -1;
  }
  if (problem.schedule == Schedule::bidirectional_ring && lane == 1) {
    return before(owner, step, problem.ring_size);
  }
  const std::int64_t inner = inner_size(problem);
  const std::int64_t node = (owner / inner + step / inner) % (problem.ring_size / inner);
  return node * inner + (owner % inner + step % inner) % inner;
}

Arrival arrival_of(const RingProblem &problem, std::int64_t rank, std::int64_t step, std::int64_t lane) {
  if (problem.schedule == Schedule::all_gather) {
    return {block_at(problem, rank, step), 0, 0};
  }
  if (lane == 1) {
    return {(rank + 1) % problem.ring_size, step - 1, 1};
  }
  const std::int64_t inner = inner_size(problem);
  if (step % inner == 0) {
    return {before(rank, inner, problem.ring_size), step - inner, problem.schedule == Schedule::double_ring ? 1 : 0};
  }
  return {rank / inner * inner + before(rank % inner, 1, inner), step - 1, 0};
}

std::int64_t last_step_of(const RingProblem &problem, std::int64_t owner, std::int64_t lane) {
  std::int64_t last = lane_end(problem, lane) - 1;
  if (last < lane_begin(lane)) {
    return -1;
  }
  if (problem.hops == Hops::all) {
    return last;
  }
  for (; last >= lane_begin(lane); --last) {
    const std::int64_t holder = holder_of(problem, owner, last, lane);
    const bool queries_move = problem.moving == Moving::query;
    if (pairs_of_meeting(problem, queries_move ? owner : holder, queries_move ? holder : owner) > 0.0) {
      return last;
    }
  }
  return lane == 0 ? 0 : -1;
}

LastSteps::LastSteps(const RingProblem &problem)
    : ring_size_(problem.ring_size), owners_alike_(problem.hops == Hops::all) {
  for (std::int64_t lane = 0; lane < lane_count(problem); ++lane) {
    for (std::int64_t owner = 0; owner < (owners_alike_ ? 1 : ring_size_); ++owner) {
      of_.push_back(last_step_of(problem, owner, lane));
    }
  }
}

std::int64_t hop_count(const RingProblem &problem) {
  return problem.schedule == Schedule::local_only ? 0 : problem.ring_size - 1;
}

Step step_of(const RingProblem &problem, std::int64_t rank, std::int64_t step) {
  const std::int64_t ring_size = problem.ring_size;
  Step result;
  // Blocks travel to the next rank, so after `step` hops a rank holds the block that started `step` ranks before.
  result.block_owner = before(rank, step, ring_size);
  if (step + 1 < step_count(problem)) {
    result.send_to = (rank + 1) % ring_size;
    result.receive_from = before(rank, 1, ring_size);
  }
  return result;
}

std::int64_t pairs_in_step(const RingProblem &problem, std::int64_t rank, std::int64_t step) {
  return problem::admitted_pairs(queries_of(problem, rank), keys_of(problem, block_at(problem, rank, step)),
                                 problem.attention.mask);
}

std::int64_t block_tokens(const RingProblem &problem, std::int64_t owner) {
  return (problem.moving == Moving::query ? queries_of(problem, owner) : keys_of(problem, owner)).count();
}

} // namespace ringscale::schedule
