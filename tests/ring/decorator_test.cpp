// SPDX-License-Identifier: Apache-2.0
// Rings over transports that stage their messages or delay them: the same bits as over plain ones.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>

#include "ring/make_transport.hpp"
#include "ring/staged_transport.hpp"
#include "tests/ring/delayed_transport.hpp"
#include "tests/ring/loopback_ring.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring {
namespace {

RingOptions decorated_options(int ring_size) {
  return small_options(ring_size, 149, schedule::Placement::zigzag, problem::Mask::causal);
}

/// Two repetitions of a ring over `transport`; the checksum of all ranks' outputs.
std::uint64_t ring_checksum(const Communicator &ring, const RingOptions &options, Transport &transport) {
  memory::Ledger ledger;
  RingRank rank(options, ring.rank(), transport, ledger);
  for (int repetition = 0; repetition < 2; ++repetition) {
    rank.begin(true);
    rank.load();
    rank.run();
    EXPECT_THAT(rank.complaints(), testing::IsEmpty());
    EXPECT_TRUE(rank.met_every_block_once());
  }
  return ring.sum(rank.result_checksum());
}

std::uint64_t loopback_checksum(const RingOptions &options) {
  LoopbackRing ring(options);
  ring.pass();
  return ring.output_checksum();
}

TEST(Decorator, RingsOverEveryExchangeStagedOrDelayedGiveTheSameBits) {
  for (const int ring_size : {2, 4}) {
    on_first_ranks(ring_size, [&](Communicator &ring) {
      const RingOptions options = decorated_options(ring_size);
      const std::uint64_t expected = loopback_checksum(options);
      for (const Exchange exchange : every_exchange) {
        const auto below = make_transport(exchange, ring);
        EXPECT_EQ(ring_checksum(ring, options, *below), expected) << name(exchange);
        memory::Ledger staging;
        StagedTransport staged(*below, ring.rank(), staging);
        EXPECT_EQ(ring_checksum(ring, options, staged), expected) << "staged " << name(exchange);
        const TransportCounters counters = staged.counters();
        // What the direct ring sent and received before is half of what the transport below counted.
        EXPECT_EQ(counters.staged_bytes, (counters.bytes_sent + counters.bytes_received) / 2);
        EXPECT_GT(counters.staged_bytes, 0);
        EXPECT_GT(staging.high_water_bytes(), 0);
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
          DelayedTransport delayed(*below, seed + 10 * static_cast<std::uint64_t>(ring.rank()));
          EXPECT_EQ(ring_checksum(ring, options, delayed), expected) << "delayed " << name(exchange) << " " << seed;
        }
      }
    });
  }
}

/// Passes everything on but returns from waits at once, as a ring loop that forgets to wait.
class ForgetfulTransport : public Transport {
public:
  explicit ForgetfulTransport(Transport &below) : below_(below) {}
  Ticket post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) override {
    return below_.post_receive(source, buffer, bytes, tag, site);
  }
  Ticket post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                   const Site &site) override {
    return below_.post_send(destination, buffer, bytes, tag, site);
  }
  Ticket post_all_gather(const std::byte *own, std::byte *gathered, std::span<const GatheredPart> parts,
                         Gathering gathering, const Site &site) override {
    return below_.post_all_gather(own, gathered, parts, gathering, site);
  }
  bool progress() override { return below_.progress(); }
  void wait(std::span<const Ticket>, const Site &) override {}
  void wait_all(const Site &) override {}
  TransportCounters counters() const override { return below_.counters(); }

private:
  Transport &below_;
};

TEST(Decorator, ALoopThatDoesNotWaitIsSeenUnderDelays) {
  on_first_ranks(2, [&](Communicator &ring) {
    const RingOptions options = decorated_options(2);
    const auto below = make_transport(Exchange::nonblocking, ring);
    DelayedTransport delayed(*below, 1, 1000000); // later than any polling of so small a ring
    ForgetfulTransport forgetful(delayed);
    memory::Ledger ledger;
    RingRank rank(options, ring.rank(), forgetful, ledger);
    rank.begin(true);
    rank.load();
    rank.run();
    EXPECT_THAT(rank.complaints(), testing::Not(testing::IsEmpty()));
    EXPECT_FALSE(rank.met_every_block_once());
    delayed.wait_all({"what was forgotten"}); // into buffers that still exist
  });
}

TEST(Decorator, DelayedMessagesFillTheirBuffersOnlyWhenTheirTicketIsWaitedFor) {
  on_first_ranks(2, [](Communicator &pair) {
    const auto below = make_transport(Exchange::nonblocking, pair);
    DelayedTransport delayed(*below, 5, 30);
    const int peer = 1 - pair.rank();
    constexpr std::size_t messages = 12;
    std::vector<int> into(messages, -1);
    std::vector<int> from(messages);
    std::vector<Ticket> receives;
    for (std::size_t message = 0; message < messages; ++message) {
      from[message] = static_cast<int>(message);
      const MessageTag tag = tagged(MessageTag::shift, static_cast<int>(message));
      receives.push_back(delayed.post_receive(peer, reinterpret_cast<std::byte *>(&into[message]), sizeof(int), tag,
                                              {"delayed receive"}));
      delayed.post_send(peer, reinterpret_cast<const std::byte *>(&from[message]), sizeof(int), tag, {"delayed send"});
    }
    const int poison = into.front();
    EXPECT_EQ(poison, static_cast<int>(0xEEEEEEEEU));
    for (std::size_t message = messages; message-- > 0;) { // the last first
      delayed.wait({{receives[message]}}, {"delayed"});
      EXPECT_EQ(into[message], from[message]);
      EXPECT_EQ(std::count(into.begin(), into.end(), poison), static_cast<std::ptrdiff_t>(message));
    }
    delayed.wait_all({"delayed"});
    EXPECT_TRUE(delayed.progress());
  });
}

TEST(RandomDelayShim, IsThereWhenTheTestWasStartedWithIt) {
  // Set by the test that preloads the shim: proves that the messages above really were delayed.
  if (std::getenv("RINGSCALE_EXPECT_DELAY_SHIM") == nullptr) {
    GTEST_SKIP() << "started without the shim";
  }
  using Counter = long (*)();
  const auto counter = reinterpret_cast<Counter>(dlsym(RTLD_DEFAULT, "ringscale_test_random_delays"));
  ASSERT_NE(counter, nullptr) << "the shim is not preloaded";
  EXPECT_GT(world().max(static_cast<std::int64_t>(counter())), 100);
}

} // namespace
} // namespace ringscale::ring
