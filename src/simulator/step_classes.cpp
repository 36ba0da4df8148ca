// SPDX-License-Identifier: Apache-2.0
#include "simulator/step_classes.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "problem/invalid_input.hpp"

namespace ringscale::simulator {

using problem::TokenSet;
using schedule::Placement;

namespace {

using Counts = std::pair<std::int64_t, std::int64_t>;

Counts counts_of(const TokenSet &tokens) { return {tokens.first.count, tokens.second.count}; }

/// Gives every rank the number of its token counts, in order of first appearance.
template <class TokensOf>
int classify(std::int64_t ring_size, const TokensOf &tokens_of, std::vector<std::uint8_t> &class_of) {
  std::map<Counts, int> known;
  class_of.resize(static_cast<std::size_t>(ring_size));
  for (std::int64_t rank = 0; rank < ring_size; ++rank) {
    const auto [entry, added] = known.emplace(counts_of(tokens_of(rank)), static_cast<int>(known.size()));
    class_of[static_cast<std::size_t>(rank)] = static_cast<std::uint8_t>(entry->second);
  }
  if (known.size() == 1) {
    class_of.clear();
  }
  return static_cast<int>(known.size());
}

} // namespace

StepClasses::StepClasses(const schedule::RingProblem &problem) : problem_(problem) {
  schedule::validate(problem);
  steps_ = schedule::step_count(problem);
  causal_ = problem.attention.mask == problem::Mask::causal;
  work_depends_on_owner_ = causal_ && problem.placement == Placement::replicated_queries;
  find_classes();
  find_examples();
}

void StepClasses::find_classes() {
  const std::int64_t ring_size = problem_.ring_size;
  const std::int64_t runs_per_rank = problem_.placement == Placement::zigzag ? 2 : 1;
  key_borders_ = {0};
  if (problem_.attention.tokens % (runs_per_rank * ring_size) == 0) {
    return; // every rank owns the same counts
  }
  query_classes_ = classify(
      ring_size,
      [&](std::int64_t rank) { return query_tokens(problem_.placement, problem_.attention.tokens, ring_size, rank); },
      query_class_of_);
  key_classes_ = classify(
      ring_size,
      [&](std::int64_t rank) { return key_tokens(problem_.placement, problem_.attention.tokens, ring_size, rank); },
      key_class_of_);
  for (std::int64_t rank = 0; rank < ring_size; ++rank) {
    if (query_runs_.empty() || query_runs_.back().key_relation != query_class(rank)) {
      query_runs_.push_back({rank, rank + 1, query_class(rank)});
    } else {
      query_runs_.back().rank_end = rank + 1;
    }
  }
  for (std::int64_t owner = 1; owner < ring_size && key_classes_ > 1; ++owner) {
    if (key_class(owner) != key_class(owner - 1)) {
      key_borders_.push_back(owner);
    }
  }
}

void StepClasses::find_examples() {
  const std::int64_t ring_size = problem_.ring_size;
  examples_.resize(static_cast<std::size_t>(query_classes_ * key_relations()));
  // The first and last rank of every query class meet the first and last owner of every key class in every relation
  // that occurs at all: classes are runs of ranks, so their ends decide who comes before whom.
  std::vector<std::int64_t> rank_ends{0, ring_size - 1};
  std::vector<std::int64_t> owner_ends{0, ring_size - 1};
  const auto add_ends = [ring_size](const std::vector<std::uint8_t> &class_of, std::vector<std::int64_t> &ends) {
    for (std::int64_t rank = 1; rank < ring_size && !class_of.empty(); ++rank) {
      if (class_of[static_cast<std::size_t>(rank)] != class_of[static_cast<std::size_t>(rank - 1)]) {
        ends.insert(ends.end(), {rank - 1, rank});
      }
    }
  };
  add_ends(query_class_of_, rank_ends);
  add_ends(key_class_of_, owner_ends);
  const auto consider = [&](std::int64_t rank, std::int64_t owner) {
    const std::int64_t step = (rank - owner + ring_size) % ring_size;
    if (step < steps_) {
      Example &entry =
          examples_[static_cast<std::size_t>(query_class(rank) * key_relations() + key_relation(rank, step))];
      if (entry.rank < 0) {
        entry = {rank, step};
      }
    }
  };
  for (const std::int64_t rank : rank_ends) {
    consider(rank, rank);
    for (const std::int64_t owner : owner_ends) {
      consider(rank, owner);
      consider(owner, owner);
    }
  }
}

std::int64_t StepClasses::count_ranks(int query_class, std::int64_t begin, std::int64_t end) const {
  if (query_runs_.empty()) {
    return query_class == 0 ? end - begin : 0;
  }
  std::int64_t count = 0;
  for (const ClassRun &run : query_runs_) {
    if (run.key_relation == query_class) {
      count += std::max<std::int64_t>(0, std::min(end, run.rank_end) - std::max(begin, run.rank_begin));
    }
  }
  return count;
}

void StepClasses::runs(std::int64_t step, std::int64_t begin, std::int64_t end, std::vector<ClassRun> &result) const {
  result.clear();
  const std::int64_t ring_size = problem_.ring_size;
  // Rank r meets owner r - step: the relation changes at ranks 0 and step, the key class where its border has moved.
  const auto cut_distance = [&](std::int64_t rank) {
    std::int64_t nearest = ring_size - rank; // rank 0 of the next turn
    if (causal_ && rank < step) {
      nearest = std::min(nearest, step - rank);
    }
    if (key_classes_ > 1) {
      for (const std::int64_t border : key_borders_) {
        std::int64_t moved = border + step;
        moved -= moved >= ring_size ? ring_size : 0;
        if (moved > rank) {
          nearest = std::min(nearest, moved - rank);
        }
      }
    }
    return nearest;
  };
  for (std::int64_t position = begin; position < end;) {
    const std::int64_t rank = position % ring_size;
    const std::int64_t next = std::min(end, position + cut_distance(rank));
    const int kind = key_relation(rank, step);
    if (!result.empty() && result.back().key_relation == kind) {
      result.back().rank_end = next;
    } else {
      result.push_back({position, next, kind});
    }
    position = next;
  }
}

} // namespace ringscale::simulator
