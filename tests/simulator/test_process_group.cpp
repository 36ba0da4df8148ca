// SPDX-License-Identifier: Apache-2.0
// One large ring on several processes, here threads with an all-gather of their own.
#include <gtest/gtest.h>

#include <barrier>
#include <thread>

#include "simulator/engines.hpp"
#include "simulator/process_group.hpp"
#include "simulator/ring_costs.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::simulator {
namespace {

using problem::Mask;
using schedule::Placement;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

/// What the processes of one group share.
struct Exchange {
  explicit Exchange(int processes) : together(processes) {}
  std::barrier<> together;
  std::vector<std::int64_t> values;
  std::int64_t gathers = 0;
  bool mixes_up_neighbours = false; ///< a group that is broken
};

class ThreadProcess : public ProcessGroup {
public:
  ThreadProcess(Exchange &exchange, int rank, int size) : exchange_(exchange), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void all_gather(std::span<const std::int64_t> mine, std::span<std::int64_t> everyones) override {
    if (rank_ == 0) {
      exchange_.values.assign(everyones.size(), 0);
      ++exchange_.gathers;
    }
    exchange_.together.arrive_and_wait();
    const auto place = static_cast<std::size_t>(exchange_.mixes_up_neighbours ? size_ - 1 - rank_ : rank_);
    std::ranges::copy(mine, exchange_.values.begin() + static_cast<std::ptrdiff_t>(place * mine.size()));
    exchange_.together.arrive_and_wait();
    std::ranges::copy(exchange_.values, everyones.begin());
    exchange_.together.arrive_and_wait();
  }

private:
  Exchange &exchange_;
  int rank_;
  int size_;
};

struct SharedRun {
  std::vector<std::vector<std::int64_t>> ticks; ///< as each process has them in the end
  std::int64_t gathers = 0;
};

SharedRun run_on(int size, const RingCosts &costs, const SimulationOptions &options, const TickScale &scale,
                 bool mixes_up_neighbours = false) {
  Exchange exchange(size);
  exchange.mixes_up_neighbours = mixes_up_neighbours;
  SharedRun run;
  run.ticks.resize(static_cast<std::size_t>(size));
  {
    std::vector<std::jthread> processes;
    for (int rank = 0; rank < size; ++rank) {
      processes.emplace_back([&, rank] {
        ThreadProcess process(exchange, rank, size);
        const int threads = 1 + rank % 2; // not the same everywhere
        run.ticks[static_cast<std::size_t>(rank)] = run_blocked(costs, options, scale, threads, &process).ticks;
      });
    }
  }
  run.gathers = exchange.gathers;
  return run;
}

machine::Machine some_machine() {
  machine::Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  machine.overlap.hidden_fraction = number(0.8);
  return machine;
}

TEST(ProcessGroup, ARingOnSeveralProcessesHasTheSameBits) {
  for (const Mask mask : {Mask::none, Mask::causal}) {
    SimulationOptions options = ring_options(3500, 64, mask, Placement::contiguous);
    options.speed_spread = 0.05;
    options.jitter = 0.02;
    const RingCosts costs(some_machine(), options);
    const TickScale scale = TickScale::of(costs, options, 19);
    const std::vector<std::int64_t> alone = run_blocked(costs, options, scale, 2).ticks;
    for (const int size : {1, 2, 3}) {
      const SharedRun run = run_on(size, costs, options, scale);
      for (const std::vector<std::int64_t> &ticks : run.ticks) {
        EXPECT_EQ(ticks, alone) << size << " processes";
      }
      EXPECT_GT(run.gathers, 50) << size << " processes"; // of ends, once a turn: they did divide the ring
    }
  }
}

TEST(ProcessGroup, ARingOfTwoTypesWithMeasuredJitterHasTheSameBitsToo) {
  SimulationOptions options = ring_options(3500, 64, Mask::causal, Placement::contiguous);
  options.measured_jitter = true;
  options.straggler_share = 0.02;
  options.straggler_factor = 1.5;
  machine::Machine first = some_machine();
  first.jitter.relative_quantiles = {0.9, 1.0, 1.02, 1.4};
  machine::Machine second = first;
  second.jitter.relative_quantiles = {0.8, 1.0, 1.1};
  second.step_fixed_s = number(2e-6);
  const RingCosts costs(machine::Fleet({{first, 1600}, {second, 1900}}), options);
  const TickScale scale = TickScale::of(costs, options, 19);
  const std::vector<std::int64_t> alone = run_blocked(costs, options, scale, 2).ticks;
  for (const int size : {2, 3}) {
    const SharedRun run = run_on(size, costs, options, scale);
    EXPECT_EQ(run.ticks[0], alone) << size << " processes";
    EXPECT_GT(run.gathers, 50) << size << " processes";
  }
}

TEST(ProcessGroup, ARingTooSmallToDivideIsComputedByEach) {
  SimulationOptions options = ring_options(smallest_blocked_ring + 1, 64);
  options.jitter = 0.02;
  const RingCosts costs(some_machine(), options);
  const TickScale scale = TickScale::of(costs, options, 19);
  const SharedRun run = run_on(2, costs, options, scale);
  EXPECT_EQ(run.gathers, 0);
  EXPECT_EQ(run.ticks[0], run_blocked(costs, options, scale, 1).ticks);
  EXPECT_EQ(run.ticks[1], run.ticks[0]);
}

TEST(ProcessGroupControl, NeighboursMixedUpAreSeen) {
  SimulationOptions options = ring_options(3500, 64);
  options.speed_spread = 0.2;
  const RingCosts costs(some_machine(), options);
  const TickScale scale = TickScale::of(costs, options, 19);
  EXPECT_NE(run_on(3, costs, options, scale, true).ticks[0], run_blocked(costs, options, scale, 1).ticks);
}

} // namespace
} // namespace ringscale::simulator
