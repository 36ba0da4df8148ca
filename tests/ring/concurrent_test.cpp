// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <thread>
#include <vector>

#include "memory/buffer_pool.hpp"
#include "memory/limits.hpp"
#include "tests/ring/loopback_ring.hpp"

namespace ringscale::ring {
namespace {

/// Rings of different shapes, so that threads are at different places of the code at any moment.
std::vector<RingOptions> every_ring() {
  std::vector<RingOptions> rings;
  std::int64_t ring_size = 1;
  for (const schedule::Placement placement : every_placement) {
    for (const problem::Mask mask : every_mask) {
      for (const memory::KernelKind kernel : {memory::KernelKind::streamed, memory::KernelKind::materialised}) {
        rings.push_back(small_options(ring_size, 97 + 8 * ring_size, placement, mask));
        rings.back().kernel = kernel;
        rings.back().seed = rings.size();
        ring_size = ring_size % 4 + 1;
      }
    }
  }
  return rings;
}

/// What a ring leaves behind, bit for bit.
struct Outcome {
  std::uint64_t checksum = 0;
  std::vector<std::int64_t> high_water_bytes;
  bool operator==(const Outcome &) const = default;
};

Outcome run(const RingOptions &options) {
  LoopbackRing ring(options);
  ring.pass();
  Outcome outcome{ring.output_checksum(), {}};
  for (std::int64_t rank = 0; rank < options.problem.ring_size; ++rank) {
    outcome.high_water_bytes.push_back(ring.ledger(rank).high_water_bytes());
  }
  return outcome;
}

/// Runs body(thread) on `count` threads; an exception fails the test.
template <class Body> void on_threads(int count, const Body &body) {
  std::vector<std::thread> crowd;
  std::atomic<int> failures{0};
  for (int number = 0; number < count; ++number) {
    crowd.emplace_back([&, number] {
      try {
        body(number);
      } catch (const std::exception &) {
        ++failures;
      }
    });
  }
  for (std::thread &thread : crowd) {
    thread.join();
  }
  EXPECT_EQ(failures, 0) << "threads that ended with an exception";
}

TEST(Concurrent, RingsOfSeveralThreadsHaveTheBitsOfSerialOnes) {
  const std::vector<RingOptions> rings = every_ring();
  std::vector<Outcome> serial;
  for (const RingOptions &options : rings) {
    serial.push_back(run(options));
  }
  // Negative control: the outcomes tell the rings apart.
  RingOptions other = rings.front();
  other.seed += 1000;
  EXPECT_NE(run(other), serial.front());
  constexpr int threads = 4;
  std::vector<std::vector<Outcome>> concurrent(threads);
  on_threads(threads, [&](int thread) {
    // Each thread runs all of them four times, beginning elsewhere.
    std::vector<Outcome> outcomes(rings.size());
    for (std::size_t turn = 0; turn < 4 * rings.size(); ++turn) {
      const std::size_t index = (turn + static_cast<std::size_t>(thread) * rings.size() / threads) % rings.size();
      const Outcome outcome = run(rings[index]);
      if (turn >= rings.size() && outcome != outcomes[index]) {
        throw std::runtime_error("a ring had other bits the second time");
      }
      outcomes[index] = outcome;
    }
    concurrent[static_cast<std::size_t>(thread)] = std::move(outcomes);
  });
  for (const std::vector<Outcome> &outcomes : concurrent) {
    EXPECT_EQ(outcomes, serial);
  }
}

TEST(Concurrent, OneLedgerAndOnePoolServeSeveralRings) {
  memory::Ledger ledger;
  {
    memory::BufferPool pool(ledger, memory::kokkos_source<Kokkos::HostSpace>(), {2, 0, 2});
    const std::vector<RingOptions> rings = every_ring();
    on_threads(4, [&](int thread) {
      for (std::size_t turn = 0; turn < 4; ++turn) {
        const RingOptions &options = rings[(static_cast<std::size_t>(thread) * 4 + turn) % rings.size()];
        const Outcome outcome = run(options);
        memory::PooledBuffer buffer = pool.acquire(outcome.high_water_bytes.front());
        const memory::LedgerEntry entry(ledger, memory::Purpose::scores, 64);
        buffer.resize(2 * buffer.bytes());
      }
    });
    EXPECT_GE(pool.counters().hits + pool.counters().misses, 16);
    EXPECT_LE(pool.idle_buffers(), 2);
    EXPECT_EQ(ledger.held().total(), pool.counters().bytes_held);
  }
  EXPECT_EQ(ledger.held().total(), 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they end the program instead
TEST(Concurrent, PoolOfKokkosMemoryRefusesWhatTheSystemCannotGive) {
  memory::Ledger ledger;
  memory::BufferPool pool(ledger, memory::kokkos_source<Kokkos::HostSpace>());
  EXPECT_THROW(pool.acquire(std::int64_t{1} << 60), memory::OutOfBudget);
  EXPECT_EQ(ledger.held().total(), 0);
  EXPECT_NE(pool.acquire(4096).data(), nullptr);
}
#endif

#if defined(__SANITIZE_THREAD__)
/// Two threads that add to one plain number: what the sanitizer must not let pass.
void race() {
  std::int64_t shared = 0;
  on_threads(2, [&](int) {
    for (int turn = 0; turn < 10000; ++turn) {
      shared += turn;
    }
  });
  std::printf("%lld\n", static_cast<long long>(shared));
}

TEST(ConcurrentDeathTest, TheSanitizerSeesARace) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT((race(), std::exit(0)), testing::ExitedWithCode(66), "data race");
}
#endif

} // namespace
} // namespace ringscale::ring
