// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "ring/checkpoint_file.hpp"
#include "tests/report/temporary_folder.hpp"
#include "tests/ring/checkpoint_sample.hpp"
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

} // namespace
} // namespace ringscale::ring
