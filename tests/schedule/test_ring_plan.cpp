// SPDX-License-Identifier: Apache-2.0
// Plays the plans of all ranks of a ring with sets of numbers in place of tensors, and looks at what comes of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "schedule/ring_plan.hpp"

namespace ringscale::schedule {
namespace {

using Contributions = std::multiset<std::int64_t>; ///< ranks that computed with a block

/// Outcome of playing: what went wrong first, and who met whom.
struct Played {
  std::string trouble;
  std::multiset<std::pair<std::int64_t, std::int64_t>> meetings; ///< (rank, owner), admitted ones
  std::map<std::int64_t, Contributions> results;                 ///< of the owner, at home
};

class Player {
public:
  Player(const RingProblem &problem, std::vector<RingPlan> plans) : problem_(problem), plans_(std::move(plans)) {
    const BufferCounts counts = buffer_counts(problem, 0);
    for (std::size_t rank = 0; rank < plans_.size(); ++rank) {
      const BufferCounts mine = buffer_counts(problem, static_cast<std::int64_t>(rank));
      expect(problem.hops == Hops::needed || (mine.block_buffers == counts.block_buffers), "counts differ");
      expect(plans_[rank].block_buffers <= mine.block_buffers && plans_[rank].result_buffers <= mine.result_buffers,
             "more buffers than counted on rank " + std::to_string(rank));
      blocks_.emplace_back(static_cast<std::size_t>(mine.block_buffers));
      blocks_.back()[0] = static_cast<std::int64_t>(rank);
      results_.emplace_back(static_cast<std::size_t>(mine.result_buffers + 1)); // the last one is home
    }
  }

  Played play() {
    const auto steps = static_cast<std::size_t>(step_count(problem_) + 1);
    for (std::size_t step = 0; step < steps && played_.trouble.empty(); ++step) {
      step_ = static_cast<std::int64_t>(step);
      each([&](std::int64_t rank) { post(rank, plans_[index(rank)].steps[step]); });
      each([&](std::int64_t rank) { meet(rank, plans_[index(rank)].steps[step]); });
      each([&](std::int64_t rank) { arrive(rank); });
      each([&](std::int64_t rank) { add(rank, plans_[index(rank)].steps[step]); });
    }
    expect(block_mail_.empty() && result_mail_.empty(), "messages that nobody took");
    each([&](std::int64_t rank) {
      if (has_results(problem_) && results_[index(rank)].back()) {
        played_.results[rank] = *results_[index(rank)].back();
      }
    });
    return played_;
  }

private:
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t>; ///< from, to, channel
  struct Pending {
    Key key;
    BlockMessage message;
  };

  static std::size_t index(std::int64_t value) { return static_cast<std::size_t>(value); }
  void expect(bool right, const std::string &text) {
    if (!right && played_.trouble.empty()) {
      played_.trouble = text + " in step " + std::to_string(step_);
    }
  }
  template <class Do> void each(const Do &act) {
    for (std::int64_t rank = 0; rank < problem_.ring_size; ++rank) {
      act(rank);
    }
  }
  std::optional<Contributions> &result(std::int64_t rank, std::int64_t buffer) {
    auto &mine = results_[index(rank)];
    return buffer == home_buffer ? mine.back() : mine.at(index(buffer));
  }

  void post(std::int64_t rank, const RankStep &step) {
    for (const BlockMessage &message : step.sends) {
      expect(blocks_[index(rank)].at(index(message.buffer)) == message.owner, "sends a block it does not hold");
      block_mail_.insert({{rank, message.peer, message.channel}, message.owner});
      busy_.insert({rank, message.buffer, message.until_step});
    }
    for (const BlockMessage &message : step.receives) {
      // Whatever the buffer held is lost from now on.
      blocks_[index(rank)].at(index(message.buffer)) = -1;
      for (const auto &[at, buffer, until] : busy_) {
        expect(at != rank || buffer != message.buffer || until < step_, "receives where a send still reads");
      }
      pending_[rank].push_back({{message.peer, rank, message.channel}, message});
    }
    for (const ResultMessage &message : step.result_sends) {
      const auto &sent = result(rank, message.buffer);
      expect(sent.has_value(), "sends a result it does not hold");
      result_mail_.insert({{rank, message.peer, 2 * message.lane + (message.to_owner ? 1 : 0)},
                           {message.owner, sent.value_or(Contributions{})}});
      sending_.insert({rank, message.buffer});
    }
    for (const ResultMessage &message : step.result_receives) {
      expect(!sending_.contains({rank, message.buffer}), "receives a result where one is being sent");
      coming_[rank].push_back(message);
    }
  }

  void meet(std::int64_t rank, const RankStep &step) {
    for (const Meeting &meeting : step.meetings) {
      expect(blocks_[index(rank)].at(index(meeting.buffer)) == meeting.owner, "meets a block it does not hold");
      if (meeting.admitted) {
        played_.meetings.insert({rank, meeting.owner});
      }
      if (has_results(problem_) && (meeting.admitted || meeting.arriving_result == no_result)) {
        expect(!sending_.contains({rank, meeting.result_buffer}), "computes where a result is being sent");
        const bool passes = !meeting.admitted && is_coming(rank, meeting.result_buffer);
        if (!passes) {
          result(rank, meeting.result_buffer) = meeting.admitted ? Contributions{rank} : Contributions{};
        }
      }
    }
  }
  bool is_coming(std::int64_t rank, std::int64_t buffer) {
    for (const ResultMessage &message : coming_[rank]) {
      if (message.buffer == buffer) {
        return true;
      }
    }
    return false;
  }

  void arrive(std::int64_t rank) {
    auto &pending = pending_[rank];
    for (auto entry = pending.begin(); entry != pending.end();) {
      if (entry->message.until_step > step_) {
        ++entry;
        continue;
      }
      const auto mail = block_mail_.find(entry->key);
      expect(mail != block_mail_.end() && mail->second == entry->message.owner, "a block that never comes");
      if (mail != block_mail_.end()) {
        blocks_[index(rank)].at(index(entry->message.buffer)) = mail->second;
        block_mail_.erase(mail);
      }
      entry = pending.erase(entry);
    }
    for (const ResultMessage &message : coming_[rank]) {
      const auto mail = result_mail_.find({message.peer, rank, 2 * message.lane + (message.to_owner ? 1 : 0)});
      expect(mail != result_mail_.end() && mail->second.first == message.owner, "a result that never comes");
      if (mail != result_mail_.end()) {
        result(rank, message.buffer) = mail->second.second;
        result_mail_.erase(mail);
      }
    }
    coming_[rank].clear();
  }

  void add(std::int64_t rank, const RankStep &step) {
    const auto join = [&](std::int64_t to, std::int64_t from) {
      auto &target = result(rank, to);
      const auto &added = result(rank, from);
      expect(target.has_value() && added.has_value(), "adds what is not there");
      if (target && added) {
        target->insert(added->begin(), added->end());
      }
    };
    for (const Meeting &meeting : step.meetings) {
      if (meeting.arriving_result != no_result) {
        join(meeting.result_buffer, meeting.arriving_result);
      }
    }
    for (const std::int64_t buffer : step.home_additions) {
      join(home_buffer, buffer);
    }
    if (rank + 1 == problem_.ring_size) {
      sending_.clear(); // result sends end with their step
    }
  }

  RingProblem problem_;
  std::vector<RingPlan> plans_;
  std::vector<std::vector<std::int64_t>> blocks_;
  std::vector<std::vector<std::optional<Contributions>>> results_;
  std::multimap<Key, std::int64_t> block_mail_;
  std::multimap<Key, std::pair<std::int64_t, Contributions>> result_mail_;
  std::multiset<std::tuple<std::int64_t, std::int64_t, std::int64_t>> busy_;
  std::set<std::pair<std::int64_t, std::int64_t>> sending_;
  std::map<std::int64_t, std::vector<Pending>> pending_;
  std::map<std::int64_t, std::vector<ResultMessage>> coming_;
  std::int64_t step_ = 0;
  Played played_;
};

std::vector<RingPlan> plans_of(const RingProblem &problem) {
  std::vector<RingPlan> plans;
  for (std::int64_t rank = 0; rank < problem.ring_size; ++rank) {
    plans.push_back(ring_plan(problem, rank));
  }
  return plans;
}

std::string label(const RingProblem &problem) {
  return std::string(name(problem.schedule)) + "/" + std::to_string(problem.inner_ring_size) + " moving " +
         std::string(name(problem.moving)) + " " + std::string(name(problem.pass)) + " hops " +
         std::string(name(problem.hops)) + " " + std::string(name(problem.placement)) +
         " P=" + std::to_string(problem.ring_size);
}

/// Every schedule, moving, pass, hops and mask of a ring of `ring_size`.
std::vector<RingProblem> every_problem(std::int64_t ring_size) {
  std::vector<RingProblem> all;
  const auto add = [&](Schedule schedule, std::int64_t inner) {
    for (const Moving moving : {Moving::key_value, Moving::query}) {
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        for (const Hops hops : {Hops::all, Hops::needed}) {
          for (const bool window : {false, true}) {
            RingProblem problem;
            problem.attention.tokens = 64 * ring_size;
            problem.attention.mask = problem::Mask::causal;
            problem.schedule = schedule;
            problem.inner_ring_size = inner;
            problem.ring_size = ring_size;
            problem.moving = moving;
            problem.pass = pass;
            problem.hops = hops;
            if (window) {
              problem.attention.mask = problem::Mask::none;
              problem.pattern.kind = problem::PatternKind::block_sparse;
              problem.pattern.block_sparse.window_tokens = 128;
            }
            all.push_back(problem);
          }
        }
      }
    }
  };
  add(Schedule::ring, 1);
  add(Schedule::bidirectional_ring, 1);
  add(Schedule::all_gather, 1);
  for (std::int64_t inner = 1; inner <= ring_size; ++inner) {
    if (ring_size % inner == 0) {
      add(Schedule::double_ring, inner);
    }
  }
  return all;
}

/// Every pair of ranks with an admitted pair, and the own block always, exactly once.
void expect_every_meeting(const RingProblem &problem, const Played &played) {
  for (std::int64_t rank = 0; rank < problem.ring_size; ++rank) {
    Contributions expected;
    for (std::int64_t other = 0; other < problem.ring_size; ++other) {
      const bool query = problem.moving == Moving::query;
      const bool admitted = rank == other || pairs_of_meeting(problem, query ? rank : other, query ? other : rank) > 0;
      ASSERT_EQ(played.meetings.count({other, rank}), admitted ? 1U : 0U)
          << label(problem) << " block " << rank << " on rank " << other;
      if (admitted) {
        expected.insert(other);
      }
    }
    if (has_results(problem)) {
      ASSERT_TRUE(played.results.contains(rank)) << label(problem) << " rank " << rank;
      ASSERT_EQ(played.results.at(rank), expected) << label(problem) << " rank " << rank;
    }
  }
}

TEST(RingPlan, EveryBlockMeetsEveryRankOnceAndEveryResultComesHomeWhole) {
  int problems = 0;
  for (std::int64_t ring_size = 1; ring_size <= 12; ++ring_size) {
    for (const RingProblem &problem : every_problem(ring_size)) {
      const Played played = Player(problem, plans_of(problem)).play();
      ASSERT_EQ(played.trouble, "") << label(problem);
      expect_every_meeting(problem, played);
      ++problems;
    }
  }
  EXPECT_GT(problems, 1000);
}

TEST(RingPlan, BufferAndMessageCountsAreTheClosedOnes) {
  for (std::int64_t ring_size = 1; ring_size <= 24; ++ring_size) {
    for (const RingProblem &problem : every_problem(ring_size)) {
      if (problem.hops == Hops::needed || problem.pattern.kind != problem::PatternKind::dense) {
        continue; // meetings that the pattern leaves out need fewer result buffers
      }
      RingProblem unmasked = problem;
      unmasked.attention.mask = problem::Mask::none;
      for (std::int64_t rank = 0; rank < ring_size; ++rank) {
        const RingPlan plan = ring_plan(unmasked, rank);
        const BufferCounts counts = buffer_counts(unmasked, rank);
        ASSERT_EQ(plan.block_buffers, counts.block_buffers) << label(problem);
        ASSERT_EQ(plan.result_buffers, counts.result_buffers) << label(problem);
        ASSERT_EQ(plan.block_messages(), hop_count(unmasked)) << label(problem);
        // One result leaves for each meeting; in a ring the last one of each lane goes home.
        const std::int64_t lanes = ring_size == 1 ? 0 : lane_count(unmasked);
        const std::int64_t homecomings = problem.schedule == Schedule::all_gather ? 0 : lanes;
        const std::int64_t started_elsewhere = lanes == 2 ? 1 : 0;
        ASSERT_EQ(plan.result_messages(),
                  has_results(unmasked) ? hop_count(unmasked) + homecomings - started_elsewhere : 0)
            << label(problem);
      }
    }
  }
}

TEST(RingPlan, NeededHopsOfACausalRingAreHalf) {
  RingProblem problem;
  problem.attention.tokens = 64;
  problem.attention.mask = problem::Mask::causal;
  problem.ring_size = 8;
  problem.hops = Hops::needed;
  std::int64_t messages = 0;
  for (const RingPlan &plan : plans_of(problem)) {
    messages += plan.block_messages();
  }
  EXPECT_EQ(messages, 8 * 7 / 2); // block r meets ranks r + 1 .. 7
  problem.placement = Placement::zigzag;
  messages = 0;
  for (const RingPlan &plan : plans_of(problem)) {
    messages += plan.block_messages();
  }
  EXPECT_EQ(messages, 8 * 7); // zigzag needs every block everywhere
}

TEST(RingPlan, OuterHopsLeaveAtTheBeginningOfTheirRound) {
  RingProblem problem;
  problem.attention.tokens = 64;
  problem.schedule = Schedule::double_ring;
  problem.ring_size = 12;
  problem.inner_ring_size = 4;
  const RingPlan plan = ring_plan(problem, 5);
  EXPECT_EQ(plan.steps[0].sends.size(), 2U);
  EXPECT_EQ(plan.steps[0].sends[1].peer, 9);
  EXPECT_EQ(plan.steps[0].sends[1].until_step, 3);
  EXPECT_EQ(plan.steps[1].sends.size(), 1U);
  EXPECT_EQ(plan.steps[3].sends.size(), 0U);
  EXPECT_EQ(plan.steps[4].sends.size(), 2U);
}

/// Plans of a ring of 6 after `damage`, played.
Played damaged(Schedule schedule, const std::function<void(std::vector<RingPlan> &)> &damage) {
  RingProblem problem;
  problem.attention.tokens = 60;
  problem.schedule = schedule;
  problem.ring_size = 6;
  problem.inner_ring_size = 3;
  problem.pass = Pass::backward;
  std::vector<RingPlan> plans = plans_of(problem);
  damage(plans);
  return Player(problem, plans).play();
}

TEST(RingPlanControl, ADamagedPlanIsSeen) {
  for (const Schedule schedule : {Schedule::ring, Schedule::bidirectional_ring, Schedule::double_ring}) {
    EXPECT_EQ(damaged(schedule, [](std::vector<RingPlan> &) {}).trouble, "");
    EXPECT_NE(damaged(schedule, [](std::vector<RingPlan> &plans) { plans[2].steps[1].sends.clear(); }).trouble, "");
    EXPECT_NE(damaged(schedule, [](std::vector<RingPlan> &plans) { plans[2].steps[1].receives.clear(); }).trouble, "");
    EXPECT_NE(
        damaged(schedule, [](std::vector<RingPlan> &plans) { plans[3].steps[2].meetings[0].buffer ^= 1; }).trouble, "");
    EXPECT_NE(damaged(schedule, [](std::vector<RingPlan> &plans) { plans[3].steps[2].result_sends.clear(); }).trouble,
              "");
    EXPECT_NE(damaged(schedule,
                      [](std::vector<RingPlan> &plans) {
                        plans[1].steps[0].receives[0].buffer = 0; // its own block, which is being sent
                      })
                  .trouble,
              "");
  }
  // A contribution that is never added passes through silently, but is missing at home.
  const Played lost = damaged(
      Schedule::ring, [](std::vector<RingPlan> &plans) { plans[3].steps[2].meetings[0].arriving_result = no_result; });
  EXPECT_EQ(lost.trouble, "");
  EXPECT_NE(lost.results.at(1).size(), 6U);
}

} // namespace
} // namespace ringscale::schedule
