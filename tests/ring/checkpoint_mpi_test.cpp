// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>

#include "problem/invalid_input.hpp"
#include "ring/checkpoint_file.hpp"
#include "ring/checkpointed_run.hpp"
#include "schedule/checkpoint_interval.hpp"
#include "tests/report/temporary_folder.hpp"
#include "tests/ring/checkpoint_sample.hpp"
#include "tests/ring/loopback_ring.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring {
namespace {

/// Runs body(ring, folder) on the first four ranks with a folder that all of them see and rank 0 owns.
template <class Body> void with_ring_and_folder(const Body &body) {
  const bool ran = on_first_ranks(4, [&](Communicator &ring) {
    std::unique_ptr<TemporaryFolder> owner;
    std::string folder;
    if (ring.rank() == 0) {
      owner = std::make_unique<TemporaryFolder>();
      folder = owner->path().string();
    }
    ring.broadcast(folder, 0);
    body(ring, std::filesystem::path(folder));
    ring.barrier();
  });
  if (!ran) {
    GTEST_SKIP() << "needs 4 ranks";
  }
}

CheckpointIdentity identity_of(const Communicator &ring) { return {99, ring.rank(), ring.size()}; }

TEST(CheckpointOnRanks, EveryRankReadsItsOwnBytes) {
  with_ring_and_folder([](Communicator &ring, const std::filesystem::path &folder) {
    const CheckpointIdentity mine = identity_of(ring);
    const Agreement all = [&](bool own) { return ring.all(own); };
    for (const std::int64_t step : {1, 2, 5}) {
      write_sample(folder, mine, step, all);
      EXPECT_TRUE(is_sample(read_checkpoint(folder, mine), mine, step));
      ring.barrier();
    }
    std::int64_t files = 0;
    for ([[maybe_unused]] const auto &entry : std::filesystem::directory_iterator(folder)) {
      ++files;
    }
    EXPECT_EQ(files, ring.size() + 1) << "one file a rank and the mark";
  });
}

TEST(CheckpointOnRanks, OneRankThatFailsKeepsTheOldCheckpointOnAll) {
  with_ring_and_folder([](Communicator &ring, const std::filesystem::path &folder) {
    const CheckpointIdentity mine = identity_of(ring);
    const Agreement all = [&](bool own) { return ring.all(own); };
    write_sample(folder, mine, 1, all);
    if (ring.rank() == 2) {
      std::filesystem::create_directories(checkpoint_path(folder, 2, 2) / "in the way");
    }
    ring.barrier();
    try {
      write_sample(folder, mine, 2, all);
      ADD_FAILURE() << "a checkpoint without rank 2 was committed";
    } catch (const CheckpointFailure &failure) {
      const std::string message = failure.what();
      EXPECT_NE(message.find(ring.rank() == 2 ? "cannot write" : "another rank"), std::string::npos) << message;
    }
    EXPECT_EQ(committed_step(folder, mine), 1);
    EXPECT_TRUE(is_sample(read_checkpoint(folder, mine), mine, 1));
    ring.barrier();
    write_sample(folder, mine, 3, all); // and the ring goes on from there
    EXPECT_TRUE(is_sample(read_checkpoint(folder, mine), mine, 3));
  });
}

RingOptions ring_of_four(schedule::Schedule schedule, schedule::Pass pass, schedule::Moving moving) {
  RingOptions options = small_options(4, 61, schedule::Placement::zigzag, problem::Mask::causal);
  options.problem.schedule = schedule;
  options.problem.inner_ring_size = schedule == schedule::Schedule::double_ring ? 2 : 1;
  options.problem.pass = pass;
  options.problem.moving = moving;
  return options;
}

/// A run that leaves after `step`, then one by new objects that goes on from the files; the second one.
RingRun stop_and_go_on(Communicator &ring, RingOptions options, const std::filesystem::path &folder,
                       std::int64_t step) {
  CheckpointOptions checkpoint;
  checkpoint.folder = folder;
  checkpoint.every_steps = 1;
  checkpoint.stop_after_step = step;
  options.checkpoint = &checkpoint;
  const RingRun stopped = run_ring(ring, options);
  EXPECT_FALSE(stopped.valid);
  EXPECT_TRUE(stopped.checkpoint && stopped.checkpoint->stopped_after_step);
  checkpoint.stop_after_step = -1;
  checkpoint.resume = true;
  options.poison_buffers = true;
  return run_ring(ring, options);
}

TEST(CheckpointedRun, GoesOnFromItsFilesWithTheSameBits) {
  with_ring_and_folder([](Communicator &ring, const std::filesystem::path &folder) {
    using schedule::Moving;
    using schedule::Pass;
    int case_number = 0;
    for (const auto schedule : {schedule::Schedule::ring, schedule::Schedule::bidirectional_ring,
                                schedule::Schedule::double_ring, schedule::Schedule::all_gather}) {
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        for (const Moving moving : {Moving::key_value, Moving::query}) {
          const RingOptions options = ring_of_four(schedule, pass, moving);
          const RingRun whole = run_ring(ring, options);
          const std::int64_t steps = schedule == schedule::Schedule::bidirectional_ring ? 3 : 4;
          for (const std::int64_t step : {std::int64_t{0}, steps / 2, steps - 1}) {
            const RingRun run = stop_and_go_on(ring, options, folder / std::to_string(case_number++), step);
            const std::string where = std::string(name(schedule)) + " " + std::string(name(pass)) + " moving " +
                                      std::string(name(moving)) + " after step " + std::to_string(step);
            EXPECT_TRUE(run.valid) << where << (run.reasons.empty() ? "" : ": " + run.reasons.front());
            EXPECT_TRUE(run.verified && run.blocks_once) << where;
            EXPECT_EQ(run.output_checksum, whole.output_checksum) << where;
            ASSERT_TRUE(run.checkpoint && run.checkpoint->resumed_from_step) << where;
            const std::int64_t from = *run.checkpoint->resumed_from_step;
            EXPECT_GT(from, step) << where;
            EXPECT_EQ(static_cast<std::int64_t>(run.checkpoint->step_samples_s.size()), steps + 1 - from) << where;
          }
        }
      }
    }
  });
}

TEST(CheckpointedRun, GridsThatExchangeHeadsGoOnWithoutExchangingThemAgain) {
  with_ring_and_folder([](Communicator &ring, const std::filesystem::path &folder) {
    for (const auto pass : {schedule::Pass::forward, schedule::Pass::backward}) {
      RingOptions options = small_options(2, 61, schedule::Placement::zigzag, problem::Mask::causal);
      options.problem.pass = pass;
      options.grid = {1, 1, 2, 2};
      const RingRun whole = run_ring(ring, options);
      const RingRun run = stop_and_go_on(ring, options, folder / std::string(name(pass)), 0);
      EXPECT_TRUE(run.valid) << (run.reasons.empty() ? "" : run.reasons.front());
      EXPECT_EQ(run.output_checksum, whole.output_checksum);
      EXPECT_EQ(run.exchanged_bytes, whole.exchanged_bytes) << "the first job's share is carried along";
      EXPECT_GT(run.exchanged_bytes, 0);
    }
  });
}

TEST(CheckpointedRun, IntervalsComeFromTheMeasuredCostOfTheFirstCheckpoint) {
  with_ring_and_folder([](Communicator &ring, const std::filesystem::path &folder) {
    RingOptions options = ring_of_four(schedule::Schedule::ring, schedule::Pass::forward, schedule::Moving::key_value);
    CheckpointOptions checkpoint;
    checkpoint.folder = folder / "rare failures";
    checkpoint.mtbf_s = 1e9;
    options.checkpoint = &checkpoint;
    const RingRun rare = run_ring(ring, options);
    EXPECT_TRUE(rare.valid);
    ASSERT_TRUE(rare.checkpoint.has_value());
    ASSERT_EQ(rare.checkpoint->write_samples_s.size(), 1U) << "the first one, for its cost";
    const double cost_s = rare.checkpoint->write_samples_s.front();
    EXPECT_EQ(rare.checkpoint->young_interval_s, schedule::young_interval_s(cost_s, 1e9));
    EXPECT_EQ(rare.checkpoint->daly_interval_s, schedule::daly_interval_s(cost_s, 1e9));
    EXPECT_EQ(rare.checkpoint->every_steps, 5) << "no more than the plan has";
    EXPECT_EQ(rare.checkpoint->bytes.size(), 1U);
    EXPECT_FALSE(rare.checkpoint->resumed_from_step.has_value());
    checkpoint.folder = folder / "a failure every nanosecond";
    checkpoint.mtbf_s = 1e-9;
    const RingRun often = run_ring(ring, options);
    EXPECT_TRUE(often.valid);
    EXPECT_EQ(often.checkpoint->every_steps, 1);
    EXPECT_EQ(often.checkpoint->write_samples_s.size(), 4U) << "after every step but the last";
    checkpoint.folder = folder / "as asked";
    checkpoint.every_steps = 2;
    checkpoint.mtbf_s = 0.0;
    const RingRun asked = run_ring(ring, options);
    EXPECT_EQ(asked.checkpoint->write_samples_s.size(), 2U);
    EXPECT_TRUE(std::isnan(asked.checkpoint->daly_interval_s));
    EXPECT_EQ(asked.output_checksum, rare.output_checksum);
    EXPECT_EQ(asked.output_checksum, often.output_checksum);
  });
}

TEST(CheckpointedRunControl, OtherOptionsAndDamageAreRefusedOnEveryRank) {
  with_ring_and_folder([](Communicator &ring, const std::filesystem::path &folder) {
    RingOptions options = ring_of_four(schedule::Schedule::ring, schedule::Pass::forward, schedule::Moving::key_value);
    CheckpointOptions checkpoint;
    checkpoint.folder = folder;
    checkpoint.every_steps = 1;
    checkpoint.stop_after_step = 1;
    options.checkpoint = &checkpoint;
    EXPECT_FALSE(run_ring(ring, options).valid);
    const auto refused = [&](const RingOptions &other, const std::string &words) {
      try {
        run_ring(ring, other);
        ADD_FAILURE() << "not refused: " << words;
      } catch (const problem::InvalidInput &error) {
        EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
      }
      ring.barrier();
    };
    refused(options, "has a checkpoint after 2 steps; go on from it with --resume");
    checkpoint.resume = true;
    checkpoint.stop_after_step = -1;
    RingOptions other = options;
    other.seed = 2;
    refused(other, "of a run with other options");
    other = options;
    other.problem.pass = schedule::Pass::backward;
    refused(other, "of a run with other options");
    other = options;
    other.repetitions = 2;
    refused(other, "one repetition");
    // One rank's damage ends all of them, with its words.
    const std::filesystem::path file = checkpoint_path(folder, 2, 2);
    if (ring.rank() == 0) {
      std::filesystem::rename(file, folder / "kept");
    }
    ring.barrier();
    refused(options, "rank-00002");
    if (ring.rank() == 0) {
      std::filesystem::rename(folder / "kept", file);
    }
    ring.barrier();
    EXPECT_TRUE(run_ring(ring, options).valid);
  });
}

TEST(CheckpointedRunControl, NothingIsWrittenOnceARankComplains) {
  with_ring_and_folder([](Communicator &ring, const std::filesystem::path &folder) {
    RingOptions options = small_options(4, 61, schedule::Placement::contiguous, problem::Mask::none);
    options.fault = {FaultKind::corrupt_element, 2, 1, 0.0};
    CheckpointOptions checkpoint;
    checkpoint.folder = folder;
    checkpoint.every_steps = 1;
    options.checkpoint = &checkpoint;
    const RingRun run = run_ring(ring, options);
    EXPECT_FALSE(run.valid);
    EXPECT_EQ(run.checkpoint->write_samples_s.size(), 1U) << "the one before the fault";
    checkpoint.resume = true;
    options.fault = {};
    EXPECT_TRUE(run_ring(ring, options).valid) << "from what was right";
  });
}

} // namespace
} // namespace ringscale::ring
