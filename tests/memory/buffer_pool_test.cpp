// SPDX-License-Identifier: Apache-2.0
#include "memory/buffer_pool.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "memory/limits.hpp"
#include "problem/counter_random.hpp"

namespace ringscale::memory {
namespace {

/// Memory of this process that knows what is out, and that can be told to fail.
struct CountingSource {
  std::set<std::byte *> out;
  std::int64_t failures_left = 0;

  BufferSource source() {
    return {[this](std::int64_t bytes) {
              if (failures_left > 0) {
                --failures_left;
                throw std::bad_alloc();
              }
              auto *data = static_cast<std::byte *>(std::malloc(static_cast<std::size_t>(bytes)));
              out.insert(data);
              return data;
            },
            [this](std::byte *data) {
              EXPECT_EQ(out.erase(data), 1U) << "given back twice, or never taken";
              std::free(data);
            }};
  }
};

TEST(BufferPool, AnswersFromIdleBuffersOfTheSameSizeOrALittleMore) {
  Ledger ledger;
  CountingSource memory;
  BufferPool pool(ledger, memory.source());
  std::byte *first = nullptr;
  {
    const PooledBuffer buffer = pool.acquire(100);
    first = buffer.data();
    EXPECT_EQ(buffer.bytes(), 100);
  }
  EXPECT_EQ(pool.idle_buffers(), 1);
  EXPECT_EQ(ledger.held()[Purpose::workspace], 100) << "idle bytes are held too";
  {
    const PooledBuffer same = pool.acquire(100);
    EXPECT_EQ(same.data(), first);
    EXPECT_NE(pool.acquire(100).data(), first) << "a lent buffer is nobody else's";
  }
  const PooledBuffer smaller = pool.acquire(50);
  EXPECT_EQ(smaller.capacity_bytes(), 100) << "twice as large is the most that matches";
  EXPECT_EQ(smaller.bytes(), 50);
  const PooledBuffer tiny = pool.acquire(49);
  EXPECT_EQ(tiny.capacity_bytes(), 49) << "more than twice as large does not match";
  const PoolCounters counters = pool.counters();
  EXPECT_EQ(counters.hits, 2);
  EXPECT_EQ(counters.misses, 3);
  EXPECT_EQ(counters.evictions, 0);
  EXPECT_EQ(counters.bytes_held, 249);
  EXPECT_EQ(counters.most_bytes_held, 249);
  EXPECT_EQ(memory.out.size(), 3U);
}

TEST(BufferPool, TakesTheSmallestThatIsLargeEnough) {
  Ledger ledger;
  CountingSource memory;
  BufferPool pool(ledger, memory.source());
  {
    const PooledBuffer large = pool.acquire(190);
    const PooledBuffer medium = pool.acquire(120);
    const PooledBuffer small = pool.acquire(99);
  }
  EXPECT_EQ(pool.acquire(100).capacity_bytes(), 120);
}

TEST(BufferPool, EvictsWhatWasUsedLongestAgo) {
  Ledger ledger;
  CountingSource memory;
  BufferPool pool(ledger, memory.source(), {2, 0, 1});
  const auto use = [&](std::int64_t bytes) { static_cast<void>(pool.acquire(bytes)); };
  use(10);
  use(20);
  use(10); // 20 is now the oldest
  use(30); // evicts it
  EXPECT_EQ(pool.counters().evictions, 1);
  EXPECT_EQ(pool.counters().hits, 1);
  use(10);
  EXPECT_EQ(pool.counters().hits, 2) << "10 was kept";
  use(20);
  EXPECT_EQ(pool.counters().hits, 2) << "20 was not";
  EXPECT_EQ(pool.idle_buffers(), 2);
  EXPECT_EQ(ledger.held().total(), pool.counters().bytes_held);
}

TEST(BufferPool, StaysWithinItsBytesAndTheBudgetOfTheLedger) {
  for (const bool by_ledger : {false, true}) {
    Ledger ledger;
    ledger.set_budget(by_ledger ? 100 : 0);
    CountingSource memory;
    BufferPool pool(ledger, memory.source(), {64, by_ledger ? 0 : 100, 2});
    {
      const PooledBuffer left = pool.acquire(60);
      const PooledBuffer right = pool.acquire(40);
      EXPECT_THROW(pool.acquire(1), OutOfBudget) << "everything is lent";
    }
    const PooledBuffer whole = pool.acquire(90); // both idle ones must go
    EXPECT_EQ(pool.counters().evictions, 2);
    EXPECT_EQ(pool.counters().advices, 1);
    EXPECT_EQ(pool.counters().most_bytes_held, 100);
    EXPECT_EQ(ledger.high_water_bytes(), 100);
    try {
      static_cast<void>(pool.acquire(11));
      FAIL() << "beyond the bound";
    } catch (const OutOfBudget &refusal) {
      EXPECT_EQ(refusal.asked_bytes(), 11);
      EXPECT_EQ(refusal.held_bytes(), 90);
      EXPECT_EQ(refusal.budget_bytes(), 100);
      EXPECT_NE(std::string(refusal.what()).find("split the batch"), std::string::npos) << refusal.what();
    }
  }
}

TEST(BufferPool, ResizesThenReallocatesThenAdvises) {
  Ledger ledger;
  ledger.set_budget(1000);
  CountingSource memory;
  BufferPool pool(ledger, memory.source());
  PooledBuffer buffer = pool.acquire(100);
  std::byte *const own = buffer.data();
  std::memset(own, 7, 100);
  buffer.resize(40);
  buffer.resize(100);
  EXPECT_EQ(buffer.data(), own);
  EXPECT_EQ(buffer.data()[99], std::byte{7}) << "the first stage keeps the contents";
  EXPECT_EQ(pool.counters().resizes, 2);
  EXPECT_EQ(pool.counters().reallocations, 0);
  buffer.resize(950); // only fits because its own 100 bytes may go
  EXPECT_EQ(buffer.capacity_bytes(), 950);
  EXPECT_EQ(pool.counters().reallocations, 1);
  EXPECT_EQ(pool.counters().evictions, 1);
  EXPECT_THROW(buffer.resize(1001), OutOfBudget);
  EXPECT_EQ(pool.counters().advices, 1);
  EXPECT_EQ(pool.counters().reallocations, 1);
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_EQ(buffer.bytes(), 0);
  buffer.resize(10);
  EXPECT_NE(buffer.data(), nullptr) << "it can be used again";
  EXPECT_THROW(buffer.resize(-1), std::logic_error);
  EXPECT_THROW(PooledBuffer().resize(1), std::logic_error);
}

TEST(BufferPool, GivesIdleMemoryBackWhenTheSystemHasNone) {
  Ledger ledger;
  CountingSource memory;
  BufferPool pool(ledger, memory.source());
  static_cast<void>(pool.acquire(1000));
  memory.failures_left = 1;
  const PooledBuffer buffer = pool.acquire(10);
  EXPECT_NE(buffer.data(), nullptr);
  EXPECT_EQ(pool.counters().evictions, 1);
  memory.failures_left = 1;
  EXPECT_THROW(pool.acquire(500), OutOfBudget) << "nothing idle is left to give back";
  EXPECT_EQ(ledger.held().total(), 10) << "what failed is not counted";
  EXPECT_EQ(memory.failures_left, 0);
}

TEST(BufferPool, CountsUnderItsPurposeAndGivesEverythingBack) {
  Ledger ledger;
  CountingSource memory;
  PooledBuffer survivor;
  {
    BufferPool pool(ledger, memory.source(), {}, Purpose::communication);
    static_cast<void>(pool.acquire(30));
    survivor = pool.acquire(70);
    EXPECT_EQ(ledger.held()[Purpose::communication], 100);
    EXPECT_EQ(pool.drop_idle(), 30);
    EXPECT_EQ(ledger.held()[Purpose::communication], 70);
    const PooledBuffer empty = pool.acquire(0);
    EXPECT_EQ(empty.data(), nullptr);
  }
  std::memset(survivor.data(), 1, 70); // a buffer may outlive its pool
  survivor = PooledBuffer();
  EXPECT_EQ(ledger.held().total(), 0);
  EXPECT_TRUE(memory.out.empty());
  BufferPool pool(ledger, memory.source());
  EXPECT_THROW(pool.acquire(-1), std::logic_error);
  EXPECT_THROW(BufferPool(ledger, memory.source(), {1, 1, 0}), std::logic_error);
}

/// Each thread fills its buffers with its own number and finds it again: a buffer lent twice would show.
TEST(BufferPool, ThreadsNeverShareABuffer) {
  constexpr int threads = 4;
  constexpr int rounds = 3000;
  Ledger ledger;
  ledger.set_budget(20000);
  const BufferSource source{
      [](std::int64_t bytes) { return static_cast<std::byte *>(std::malloc(static_cast<std::size_t>(bytes))); },
      [](std::byte *data) { std::free(data); }};
  std::vector<std::int64_t> foreign(threads, 0);
  std::vector<std::int64_t> refused(threads, 0);
  PoolCounters counters;
  {
    BufferPool pool(ledger, source, {3, 0, 2});
    std::vector<std::thread> crowd;
    for (int thread = 0; thread < threads; ++thread) {
      crowd.emplace_back([&, thread] {
        const auto mark = static_cast<unsigned char>(thread + 1);
        for (int round = 0; round < rounds; ++round) {
          const std::uint64_t bits =
              problem::random_bits(17, static_cast<std::uint64_t>(thread), static_cast<std::uint64_t>(round));
          try {
            PooledBuffer buffer = pool.acquire(1 + static_cast<std::int64_t>(bits % 4000));
            std::memset(buffer.data(), mark, static_cast<std::size_t>(buffer.bytes()));
            std::this_thread::yield();
            for (std::int64_t place = 0; place < buffer.bytes(); ++place) {
              foreign[static_cast<std::size_t>(thread)] += buffer.data()[place] == std::byte{mark} ? 0 : 1;
            }
            if ((bits >> 32) % 4 == 0) {
              buffer.resize(1 + static_cast<std::int64_t>((bits >> 40) % 4000));
            }
          } catch (const OutOfBudget &) {
            ++refused[static_cast<std::size_t>(thread)];
          }
        }
      });
    }
    for (std::thread &thread : crowd) {
      thread.join();
    }
    counters = pool.counters();
  }
  EXPECT_EQ(foreign, std::vector<std::int64_t>(threads, 0));
  EXPECT_EQ(refused, std::vector<std::int64_t>(threads, 0)) << "four buffers of 4000 bytes always fit";
  EXPECT_GE(counters.hits + counters.misses, threads * rounds);
  EXPECT_LE(counters.most_bytes_held, 20000);
  EXPECT_GT(counters.evictions, 0);
  EXPECT_EQ(ledger.held().total(), 0);
}

} // namespace
} // namespace ringscale::memory
