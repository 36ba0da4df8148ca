// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "schedule/ring_schedule.hpp"

namespace ringscale::simulator {

/// Where a block's owner stands to the rank that computes with it: its own block (the first one met), or that of a rank
/// before or after it. Without a mask the last two are alike and called before.
enum class Relation : std::uint8_t { diagonal, before, after };

/// A run of ranks that do equal work in one step.
struct ClassRun {
  std::int64_t rank_begin = 0;
  std::int64_t rank_end = 0;
  int key_relation = 0; ///< key class x 3 + relation

  bool operator==(const ClassRun &) const = default;
};

/// The schedule in constant time per (rank, step). All pairs of rank and block owner with the same query class (token
/// counts of the rank's query spans), key class (of the block's key spans) and relation do the same work, so the
/// schedule functions are asked once per class and not once per hop. Tests compare every (rank, step) with them.
class StepClasses {
public:
  explicit StepClasses(const schedule::RingProblem &problem);

  std::int64_t ring_size() const { return problem_.ring_size; }
  std::int64_t steps() const { return steps_; }
  const schedule::RingProblem &problem() const { return problem_; }

  int query_classes() const { return query_classes_; }
  int key_relations() const { return 3 * key_classes_; }
  int query_class(std::int64_t rank) const {
    return query_class_of_.empty() ? 0 : query_class_of_[static_cast<std::size_t>(rank)];
  }

  /// key class x 3 + relation of what `rank` meets in `step`.
  int key_relation(std::int64_t rank, std::int64_t step) const {
    const std::int64_t owner = rank >= step ? rank - step : rank - step + problem_.ring_size;
    return 3 * key_class(owner) + static_cast<int>(relation(rank, step));
  }

  /// All ranks do the same work in a step.
  bool uniform() const { return !causal_ && key_classes_ == 1; }

  /// The runs of equal key_relation among ranks [begin, end) in `step`, in order; begin and end may run past
  /// ring_size (ranks are then taken modulo it).
  void runs(std::int64_t step, std::int64_t begin, std::int64_t end, std::vector<ClassRun> &result) const;

  /// How many of ranks [begin, end) are of a query class.
  std::int64_t count_ranks(int query_class, std::int64_t begin, std::int64_t end) const;

  /// A (rank, step) of the class, or rank -1 when the class does not occur.
  struct Example {
    std::int64_t rank = -1;
    std::int64_t step = 0;
  };
  Example example(int query_class, int key_relation) const {
    return examples_[static_cast<std::size_t>(query_class * key_relations() + key_relation)];
  }

  /// Whether any (rank, step) is of that key relation.
  bool occurs(int key_relation) const {
    for (int query_class = 0; query_class < query_classes_; ++query_class) {
      if (example(query_class, key_relation).rank >= 0) {
        return true;
      }
    }
    return false;
  }

  /// replicated_queries under a causal mask: every owner's block admits a different number of pairs, so work depends
  /// on the owner alone and the key class says nothing about it.
  bool work_depends_on_owner() const { return work_depends_on_owner_; }

private:
  int key_class(std::int64_t owner) const {
    return key_class_of_.empty() ? 0 : key_class_of_[static_cast<std::size_t>(owner)];
  }
  Relation relation(std::int64_t rank, std::int64_t step) const {
    if (step == 0) {
      return Relation::diagonal;
    }
    return rank >= step || !causal_ ? Relation::before : Relation::after;
  }
  void find_classes();
  void find_examples();

  schedule::RingProblem problem_;
  std::int64_t steps_ = 1;
  bool causal_ = false;
  int query_classes_ = 1;
  int key_classes_ = 1;
  bool work_depends_on_owner_ = false;
  std::vector<std::uint8_t> query_class_of_; ///< empty: all ranks alike
  std::vector<std::uint8_t> key_class_of_;
  std::vector<ClassRun> query_runs_;      ///< runs of equal query class (in key_relation's place)
  std::vector<std::int64_t> key_borders_; ///< owners where the key class changes, 0 first
  std::vector<Example> examples_;
};

} // namespace ringscale::simulator
