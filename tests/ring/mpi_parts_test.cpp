// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mpi.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "kernels/packed_key_value.hpp"
#include "problem/invalid_input.hpp"
#include "ring/backward_tile_bench.hpp"
#include "ring/measurements.hpp"
#include "ring/mpi_transport.hpp"
#include "ring/sampling.hpp"
#include "ring/tile_bench.hpp"
#include "statistics/summary.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring {
namespace {

TEST(CheckedCall, NamesCallRankPeerAndStep) {
  int dummy = 0;
  MPI_Request request = MPI_REQUEST_NULL;
  try {
    const int code = MPI_Isend(&dummy, 1, MPI_INT, world().size() + 5, 1, world().handle(), &request);
    check_mpi(code, "MPI_Isend", {"test", world().rank(), 3, world().size() + 5, -1});
    FAIL() << "an invalid peer was accepted";
  } catch (const MpiFailure &failure) {
    EXPECT_THAT(failure.what(), testing::HasSubstr("MPI_Isend failed"));
    EXPECT_THAT(failure.what(), testing::HasSubstr("rank " + std::to_string(world().rank()) + ", step 3"));
    EXPECT_THAT(failure.what(), testing::HasSubstr("sending to rank " + std::to_string(world().size() + 5)));
  }
}

TEST(Communicator, LeavesTheUsersErrorHandlerAlone) {
  MPI_Comm users = MPI_COMM_NULL;
  ASSERT_EQ(MPI_Comm_dup(MPI_COMM_WORLD, &users), MPI_SUCCESS);
  ASSERT_EQ(MPI_Comm_set_errhandler(users, MPI_ERRORS_ARE_FATAL), MPI_SUCCESS);
  {
    const Communicator ours = Communicator::duplicate(users);
    EXPECT_NE(ours.handle(), users);
    MPI_Errhandler handler = MPI_ERRHANDLER_NULL;
    ASSERT_EQ(MPI_Comm_get_errhandler(ours.handle(), &handler), MPI_SUCCESS);
    EXPECT_TRUE(handler == MPI_ERRORS_RETURN);
  }
  MPI_Errhandler handler = MPI_ERRHANDLER_NULL;
  ASSERT_EQ(MPI_Comm_get_errhandler(users, &handler), MPI_SUCCESS);
  EXPECT_TRUE(handler == MPI_ERRORS_ARE_FATAL);
  ASSERT_EQ(MPI_Comm_free(&users), MPI_SUCCESS);
}

TEST(Communicator, CollectivesAgreeWithArithmetic) {
  const int size = world().size();
  const int rank = world().rank();
  EXPECT_EQ(world().sum(std::int64_t{rank}), std::int64_t{size} * (size - 1) / 2);
  EXPECT_EQ(world().max(std::int64_t{rank}), size - 1);
  EXPECT_EQ(world().max(-1.0 - rank), -1.0);
  EXPECT_EQ(world().sum(0.5), 0.5 * size);
  EXPECT_EQ(world().sum(~std::uint64_t{0}), ~std::uint64_t{0} * static_cast<std::uint64_t>(size));
  EXPECT_TRUE(world().all(true));
  EXPECT_FALSE(world().all(rank != size - 1));
  const std::vector<std::string> texts = world().all_gather(std::string(static_cast<std::size_t>(rank), 'x'));
  ASSERT_EQ(texts.size(), static_cast<std::size_t>(size));
  EXPECT_EQ(texts.back(), std::string(static_cast<std::size_t>(size - 1), 'x'));
  std::string text = rank == 0 ? std::string("from\0root", 9) : "other";
  world().broadcast(text, 0);
  EXPECT_EQ(text, std::string("from\0root", 9));
  std::string empty = rank == 0 ? "" : "other";
  world().broadcast(empty, 0);
  EXPECT_EQ(empty, "");
}

TEST(Communicator, SplitsToTheFirstRanksAndRefusesTheImpossible) {
  const Communicator first = world().split_first(1);
  EXPECT_EQ(first.is_member(), world().rank() == 0);
  EXPECT_THROW(world().split_first(0), problem::InvalidInput);
  EXPECT_THROW(world().split_first(world().size() + 1), problem::InvalidInput);
  world().barrier();
}

TEST(Communicator, SeesSharedCores) {
  EXPECT_GE(world().cores_on_node(), 1);
  EXPECT_EQ(world().ranks_on_node(), world().size()) << "this test runs on one node";
  EXPECT_EQ(world().ranks_per_core() > 1, world().size() > world().cores_on_node());
  EXPECT_EQ(world().wait_mode() == WaitMode::yield, world().size() > world().cores_on_node());
}

TEST(MpiTransport, LongMessagesTravelInPiecesAndArriveWhole) {
  const int size = world().size();
  const int next = (world().rank() + 1) % size;
  const int previous = (world().rank() + size - 1) % size;
  MpiTransport transport(world(), 1000); // 100,001 bytes in 101 pieces
  std::vector<std::byte> from(100001);
  std::vector<std::byte> to(100001);
  for (std::size_t index = 0; index < from.size(); ++index) {
    from[index] = static_cast<std::byte>((index * 31 + static_cast<std::size_t>(world().rank())) % 251);
  }
  const Site site{"test", world().rank(), 0, next, previous};
  transport.post_receive(previous, to.data(), 100001, MessageTag::shift, site);
  transport.post_send(next, from.data(), 100001, MessageTag::shift, site);
  transport.wait_all(site);
  EXPECT_TRUE(transport.progress());
  for (std::size_t index = 0; index < to.size(); ++index) {
    ASSERT_EQ(to[index], static_cast<std::byte>((index * 31 + static_cast<std::size_t>(previous)) % 251));
  }
}

TEST(MpiTransport, AMessageOfTheWrongLengthIsAnError) {
  on_first_ranks(2, [](Communicator &pair) {
    MpiTransport transport(pair);
    std::vector<std::byte> buffer(64);
    if (pair.rank() == 0) {
      transport.post_send(1, buffer.data(), 48, MessageTag::ping, {"short message", 0, 4, 1, -1});
      transport.wait_all({"short message", 0, 4, 1, -1});
    } else {
      const Site site{"short message", 1, 4, -1, 0};
      transport.post_receive(0, buffer.data(), 64, MessageTag::ping, site);
      try {
        transport.wait_all(site);
        FAIL() << "48 bytes were taken for 64";
      } catch (const MpiFailure &failure) {
        EXPECT_THAT(failure.what(), testing::HasSubstr("48 bytes instead of 64"));
        EXPECT_THAT(failure.what(), testing::HasSubstr("step 4"));
      }
    }
  });
  on_first_ranks(2, [](Communicator &pair) {
    MpiTransport transport(pair);
    std::vector<std::byte> buffer(64);
    if (pair.rank() == 0) {
      transport.post_send(1, buffer.data(), 64, MessageTag::ping, {"long message", 0, 4, 1, -1});
      transport.wait_all({"long message", 0, 4, 1, -1});
    } else {
      transport.post_receive(0, buffer.data(), 48, MessageTag::ping, {"long message", 1, 4, -1, 0});
      EXPECT_THROW(transport.wait_all({"long message", 1, 4, -1, 0}), MpiFailure);
    }
  });
}

TEST(Measurements, TakeSoManyBenchesInTurnThatNoneStaysInTheCaches) {
  constexpr std::int64_t mebibyte = std::int64_t{1} << 20;
  EXPECT_EQ(benches_in_turn(1), 32U);
  EXPECT_EQ(benches_in_turn(mebibyte), 32U);
  EXPECT_EQ(benches_in_turn(3 * mebibyte), 11U);
  EXPECT_EQ(benches_in_turn(32 * mebibyte), 2U);
  EXPECT_EQ(benches_in_turn(1000 * mebibyte), 2U);
  TileSetting tile;
  tile.query_tokens = 96;
  tile.key_tokens = 128;
  tile.query_heads = 4;
  tile.kv_heads = 2;
  tile.head_dim = 32;
  // Queries, two outputs, keys and values unpacked and packed, two sums of every row.
  const std::int64_t query = 96 * 4 * 32;
  const std::int64_t key = 128 * 2 * 32;
  const std::int64_t packed = kernels::packed_elements(1, 128, 2, 32);
  EXPECT_EQ(TileBench(tile).bytes(), 4 * (3 * query + 2 * key + packed + 2 * 96 * 4));
  // Queries, output gradients and gradients; keys, values and gradients; two numbers of every row; a workspace, if any.
  EXPECT_GE(BackwardTileBench(tile).bytes(), 4 * (3 * query + 4 * key + 2 * 96 * 4));
}

TEST(Measurements, GiveTheAskedNumberOfPositiveSamples) {
  const Repetitions repetitions{1, 4};
  TileSetting tile;
  tile.query_tokens = 96;
  tile.key_tokens = 128;
  tile.query_heads = 2;
  tile.kv_heads = 1;
  const auto expect_samples = [](const std::vector<double> &samples, const char *what) {
    ASSERT_EQ(samples.size(), 4U) << what;
    for (const double sample : samples) {
      EXPECT_GT(sample, 0.0) << what;
      EXPECT_LT(sample, 60.0) << what;
    }
  };
  expect_samples(measure_tile(tile, repetitions), "tile");
  expect_samples(measure_backward_tile(tile, repetitions), "backward tile");
  tile.mask = problem::Mask::causal;
  tile.kernel = memory::KernelKind::materialised;
  expect_samples(measure_tile(tile, repetitions), "materialised causal tile");
  EXPECT_THROW(measure_backward_tile({.key_tokens = 8}, repetitions), problem::InvalidInput);
  expect_samples(measure_merge(tile, repetitions), "merge");
  expect_samples(measure_pack(tile, repetitions), "pack");
  world().barrier();
  on_first_ranks(2, [&](Communicator &ring) {
    expect_samples(measure_step_fixed(ring, repetitions), "fixed step");
    for (const Exchange exchange : every_exchange) {
      expect_samples(measure_shift(ring, 4096, repetitions, exchange), "shift");
    }
    expect_samples(measure_all_gather(ring, 4096, repetitions), "all-gather");
    expect_samples(measure_all_gather(ring, 4096, repetitions, Gathering::blocking), "blocking all-gather");
    EXPECT_THROW(measure_all_gather(ring, 0, repetitions), problem::InvalidInput);
    tile.kernel = memory::KernelKind::streamed;
    const OverlapMeasurement overlap = measure_overlap(ring, tile, 100000, repetitions);
    expect_samples(overlap.communication_s, "communication alone");
    expect_samples(overlap.compute_s, "compute alone");
    expect_samples(overlap.polled_s, "both, polled");
    expect_samples(overlap.unpolled_s, "both, unpolled");
    const auto hidden = [&](const std::vector<double> &both_s) {
      const double communication_s = statistics::median(overlap.communication_s);
      const double compute_s = statistics::median(overlap.compute_s);
      const double saved_s = communication_s + compute_s - statistics::median(both_s);
      return std::clamp(saved_s / std::min(communication_s, compute_s), -1.0, 1.0);
    };
    EXPECT_DOUBLE_EQ(overlap.hidden_fraction_polled, hidden(overlap.polled_s));
    EXPECT_DOUBLE_EQ(overlap.hidden_fraction_unpolled, hidden(overlap.unpolled_s));
  });
  if (world().size() >= 2) {
    for (const int messages : {1, 2}) {
      for (const std::int64_t bytes : {std::int64_t{1}, std::int64_t{70000}, std::int64_t{2000001}}) {
        const std::vector<double> samples = measure_ping_pong(world(), bytes, messages, repetitions);
        expect_samples(samples, "ping-pong");
        EXPECT_EQ(world().max(samples.front()), samples.front()) << "every rank has rank 0's samples";
      }
    }
  }
  EXPECT_THROW(measure_ping_pong(world(), 0, 1, repetitions), problem::InvalidInput);
}

TEST(SsendShim, IsThereWhenTheTestWasStartedWithIt) {
  // Set by the test that preloads the shim: proves that every send above really was synchronous.
  if (std::getenv("RINGSCALE_EXPECT_SSEND_SHIM") == nullptr) {
    GTEST_SKIP() << "started without the shim";
  }
  using Counter = long (*)();
  const auto counter = reinterpret_cast<Counter>(dlsym(RTLD_DEFAULT, "ringscale_test_synchronous_sends"));
  ASSERT_NE(counter, nullptr) << "the shim is not preloaded";
  EXPECT_GT(world().max(static_cast<std::int64_t>(counter())), 10);
}

} // namespace
} // namespace ringscale::ring
