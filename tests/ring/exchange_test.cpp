// SPDX-License-Identifier: Apache-2.0
// Every exchange moves the same bytes on real ranks and fails in the same way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "problem/counter_random.hpp"
#include "problem/invalid_input.hpp"
#include "ring/make_transport.hpp"
#include "ring/persistent_transport.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring {
namespace {

std::vector<std::byte> bytes_of(std::uint64_t seed, int rank, std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t index = 0; index < count; ++index) {
    bytes[index] = static_cast<std::byte>(problem::random_bits(seed, static_cast<std::uint64_t>(rank), index) & 0xFF);
  }
  return bytes;
}

/// Neighbours of this rank in a ring over `ring`, as a site of a test.
Site ring_site(const Communicator &ring, const char *what, std::int64_t step = -1) {
  const int size = ring.size();
  return {what, ring.rank(), step, (ring.rank() + 1) % size, (ring.rank() + size - 1) % size};
}

TEST(Exchange, BytesGoRoundTheRingWithEach) {
  const int size = world().size();
  for (const Exchange exchange : every_exchange) {
    const auto transport = make_transport(exchange, world());
    std::vector<std::byte> held = bytes_of(1, world().rank(), 70001); // above the eager limit
    std::vector<std::byte> incoming(held.size());
    for (int step = 0; step < size; ++step) {
      const Site site = ring_site(world(), "test", step);
      transport->post_receive(site.receive_from, incoming.data(), 70001, MessageTag::key_value_block, site);
      transport->post_send(site.send_to, held.data(), 70001, MessageTag::key_value_block, site);
      for (int poll = 0; poll < 3; ++poll) {
        transport->progress();
      }
      transport->wait_all(site);
      EXPECT_TRUE(transport->progress());
      std::swap(held, incoming);
    }
    EXPECT_TRUE(held == bytes_of(1, world().rank(), 70001)) << name(exchange);
    const TransportCounters counters = transport->counters();
    EXPECT_EQ(counters.messages_sent, size);
    EXPECT_EQ(counters.bytes_sent, std::int64_t{70001} * size);
    EXPECT_EQ(counters.messages_received, size);
    EXPECT_EQ(counters.bytes_received, counters.bytes_sent);
    EXPECT_GE(counters.requests_started, 2 * size);
    EXPECT_EQ(counters.requests_created < counters.requests_started, exchange == Exchange::persistent && size > 2);
  }
}

TEST(Exchange, LongMessagesTravelInPiecesAndLengthsOfZeroCost) {
  for (const Exchange exchange : every_exchange) {
    const auto transport = make_transport(exchange, world(), 1000);
    const Site site = ring_site(world(), "pieces");
    const std::vector<std::byte> from = bytes_of(2, world().rank(), 30001);
    std::vector<std::byte> into(from.size());
    transport->post_receive(site.receive_from, into.data(), 30001, MessageTag::shift, site);
    transport->post_receive(site.receive_from, into.data(), 0, MessageTag::shift, site);
    transport->post_send(site.send_to, from.data(), 30001, MessageTag::shift, site);
    transport->post_send(site.send_to, from.data(), 0, MessageTag::shift, site);
    transport->wait_all(site);
    EXPECT_TRUE(into == bytes_of(2, site.receive_from, 30001)) << name(exchange);
  }
}

TEST(Exchange, LanesToTheSamePeerDoNotMix) {
  on_first_ranks(2, [](Communicator &pair) {
    for (const Exchange exchange : every_exchange) {
      const auto transport = make_transport(exchange, pair);
      const int peer = 1 - pair.rank();
      const Site site = ring_site(pair, "lanes");
      std::vector<std::vector<std::byte>> into(4, std::vector<std::byte>(5000));
      std::vector<std::vector<std::byte>> from;
      for (int lane = 0; lane < 4; ++lane) {
        from.push_back(bytes_of(static_cast<std::uint64_t>(lane), pair.rank(), 5000));
        transport->post_receive(peer, into[static_cast<std::size_t>(lane)].data(), 5000,
                                tagged(MessageTag::key_value_block, lane), site);
      }
      for (const int lane : {2, 0, 3, 1}) { // another order than the receives
        transport->post_send(peer, from[static_cast<std::size_t>(lane)].data(), 5000,
                             tagged(MessageTag::key_value_block, lane), site);
      }
      transport->wait_all(site);
      for (std::size_t lane = 0; lane < 4; ++lane) {
        EXPECT_TRUE(into[lane] == bytes_of(lane, peer, 5000)) << name(exchange) << " lane " << lane;
      }
    }
  });
}

TEST(Exchange, MessagesOfOneTagMatchInTheOrderOfPosting) {
  on_first_ranks(2, [](Communicator &pair) {
    for (const Exchange exchange : every_exchange) {
      const auto transport = make_transport(exchange, pair);
      const int peer = 1 - pair.rank();
      const Site site = ring_site(pair, "order");
      // The first is long and the others short, so that they would overtake it where they can.
      const std::vector<std::size_t> lengths{2000000, 8, 300000, 64};
      std::vector<std::vector<std::byte>> into;
      std::vector<std::vector<std::byte>> from;
      std::vector<Ticket> receives;
      for (std::size_t place = 0; place < lengths.size(); ++place) {
        into.emplace_back(lengths[place]);
        from.push_back(bytes_of(place, pair.rank(), lengths[place]));
        receives.push_back(transport->post_receive(peer, into.back().data(), static_cast<std::int64_t>(lengths[place]),
                                                   MessageTag::result_block, site));
      }
      for (const std::vector<std::byte> &message : from) {
        transport->post_send(peer, message.data(), static_cast<std::int64_t>(message.size()), MessageTag::result_block,
                             site);
      }
      for (const std::size_t place : {3U, 1U, 0U, 2U}) {
        transport->wait({{receives[place]}}, site);
        EXPECT_TRUE(into[place] == bytes_of(place, peer, lengths[place])) << name(exchange) << " message " << place;
      }
      transport->wait_all(site);
    }
  });
}

TEST(Exchange, ATicketIsWaitedForWhileALaterMessageIsMissing) {
  on_first_ranks(2, [](Communicator &pair) {
    for (const Exchange exchange : every_exchange) {
      const auto transport = make_transport(exchange, pair);
      const Site site = ring_site(pair, "one of two");
      if (pair.rank() == 0) {
        std::vector<std::byte> first(50000);
        std::vector<std::byte> second(50000);
        const Ticket early = transport->post_receive(1, first.data(), 50000, MessageTag::shift, site);
        const Ticket late = transport->post_receive(1, second.data(), 50000, tagged(MessageTag::shift, 1), site);
        // Rank 1 sends the second only when it has heard that the first was waited for alone.
        transport->wait({{early}}, site);
        EXPECT_TRUE(first == bytes_of(3, 1, 50000)) << name(exchange);
        EXPECT_FALSE(transport->progress());
        std::byte go{1};
        const Ticket sent = transport->post_send(1, &go, 1, MessageTag::ping, site);
        transport->wait({{sent}}, site);
        transport->wait({{late, early}}, site);
        EXPECT_TRUE(second == bytes_of(4, 1, 50000)) << name(exchange);
      } else {
        const std::vector<std::byte> first = bytes_of(3, 1, 50000);
        const std::vector<std::byte> second = bytes_of(4, 1, 50000);
        std::byte go{0};
        transport->wait({{transport->post_send(0, first.data(), 50000, MessageTag::shift, site)}}, site);
        transport->wait({{transport->post_receive(0, &go, 1, MessageTag::ping, site)}}, site);
        EXPECT_EQ(go, std::byte{1});
        transport->wait({{transport->post_send(0, second.data(), 50000, tagged(MessageTag::shift, 1), site)}}, site);
      }
      transport->wait_all(site);
    }
  });
}

TEST(BlockingExchange, NothingMovesBeforeSomebodyWaitsAndWithTheOthersPollingIsEnough) {
  on_first_ranks(2, [](Communicator &pair) {
    for (const Exchange exchange : every_exchange) {
      const auto transport = make_transport(exchange, pair);
      const Site site = ring_site(pair, "polling only");
      const std::vector<std::byte> expected = bytes_of(5, 1 - pair.rank(), 64);
      const std::vector<std::byte> from = bytes_of(5, pair.rank(), 64);
      std::vector<std::byte> into(64);
      transport->post_receive(1 - pair.rank(), into.data(), 64, MessageTag::shift, site);
      transport->post_send(1 - pair.rank(), from.data(), 64, MessageTag::shift, site);
      for (int turn = 0; turn < 50; ++turn) {
        transport->progress();
        pair.barrier(); // gives the other rank its turn
      }
      EXPECT_EQ(into == expected, exchange != Exchange::blocking) << name(exchange);
      EXPECT_EQ(transport->progress(), exchange != Exchange::blocking) << name(exchange);
      transport->wait_all(site);
      EXPECT_EQ(into, expected) << name(exchange);
      EXPECT_TRUE(transport->progress()) << name(exchange);
    }
  });
}

TEST(Exchange, AMessageOfTheWrongLengthIsAnErrorWithEach) {
  for (const Exchange exchange : every_exchange) {
    for (const auto &[sent_bytes, posted_bytes] : {std::pair(48, 64), std::pair(64, 48)}) {
      on_first_ranks(2, [&, sent = sent_bytes, posted = posted_bytes](Communicator &pair) {
        const auto transport = make_transport(exchange, pair);
        std::vector<std::byte> buffer(64, static_cast<std::byte>(pair.rank()));
        const Site site = ring_site(pair, "wrong length", 4);
        if (pair.rank() == 0) {
          transport->post_send(1, buffer.data(), sent, MessageTag::ping, site);
          transport->wait_all(site);
        } else {
          transport->post_receive(0, buffer.data(), posted, MessageTag::ping, site);
          try {
            transport->wait_all(site);
            ADD_FAILURE() << sent << " bytes were taken for " << posted << " with " << name(exchange);
          } catch (const MpiFailure &failure) {
            EXPECT_THAT(failure.what(), testing::HasSubstr("step 4"));
            if (sent < posted) {
              EXPECT_THAT(failure.what(), testing::HasSubstr("48 bytes instead of 64"));
            }
          }
          EXPECT_TRUE(
              std::all_of(buffer.begin() + 48, buffer.end(), [](std::byte byte) { return byte == std::byte{1}; }))
              << name(exchange) << " wrote past the end";
        }
      });
    }
  }
}

TEST(PersistentExchange, RequestsAreMadeOnceAndStartedOften) {
  PersistentTransport transport(world());
  const Site site = ring_site(world(), "persistent");
  std::vector<std::byte> buffers[2] = {std::vector<std::byte>(3000), std::vector<std::byte>(3000)};
  for (int step = 0; step < 20; ++step) {
    transport.post_receive(site.receive_from, buffers[(step + 1) % 2].data(), 3000, MessageTag::shift, site);
    transport.post_send(site.send_to, buffers[step % 2].data(), 3000, MessageTag::shift, site);
    transport.wait_all(site);
  }
  EXPECT_EQ(transport.counters().requests_created, 4);
  EXPECT_EQ(transport.counters().requests_started, 40);
}

TEST(PersistentExchange, OneBufferSentTwiceAtOnceTakesTwoRequestsAndIdleOnesAreDropped) {
  PersistentTransport transport(world(), std::int64_t{1} << 30, 4);
  const Site site = ring_site(world(), "persistent");
  const std::vector<std::byte> from = bytes_of(6, world().rank(), 900);
  std::vector<std::byte> into(1800);
  transport.post_receive(site.receive_from, into.data(), 900, MessageTag::shift, site);
  transport.post_receive(site.receive_from, into.data() + 900, 900, MessageTag::shift, site);
  transport.post_send(site.send_to, from.data(), 900, MessageTag::shift, site);
  transport.post_send(site.send_to, from.data(), 900, MessageTag::shift, site);
  transport.wait_all(site);
  EXPECT_TRUE(std::equal(into.begin(), into.begin() + 900, into.begin() + 900));
  EXPECT_EQ(transport.counters().requests_created, 4);
  for (int length = 1; length <= 30; ++length) { // 60 further keys in a cache of 4
    transport.post_receive(site.receive_from, into.data(), length, MessageTag::shift, site);
    transport.post_send(site.send_to, from.data(), length, MessageTag::shift, site);
    transport.wait_all(site);
  }
  EXPECT_EQ(transport.counters().requests_created, 64);
  transport.post_receive(site.receive_from, into.data(), 900, MessageTag::shift, site);
  transport.post_send(site.send_to, from.data(), 900, MessageTag::shift, site);
  transport.wait_all(site);
  EXPECT_EQ(transport.counters().requests_created, 66) << "those of the beginning are gone";
}

TEST(AllGather, EveryRankGetsUnevenPartsWithEach) {
  const int size = world().size();
  std::vector<GatheredPart> parts;
  std::int64_t offset = 0;
  for (int rank = 0; rank < size; ++rank) {
    const std::int64_t bytes = rank == 1 ? 0 : 1000 * (rank + 1) + rank;
    parts.push_back({offset, bytes});
    offset += bytes + 16;
  }
  for (const Exchange exchange : every_exchange) {
    const auto transport = make_transport(exchange, world());
    for (const Gathering gathering : {Gathering::nonblocking, Gathering::blocking}) {
      for (const bool in_place : {false, true}) {
        const Site site = ring_site(world(), "all-gather");
        const GatheredPart own_part = parts[static_cast<std::size_t>(world().rank())];
        const std::vector<std::byte> own = bytes_of(7, world().rank(), static_cast<std::size_t>(own_part.bytes));
        std::vector<std::byte> gathered(static_cast<std::size_t>(offset), std::byte{0xAA});
        std::copy(own.begin(), own.end(), gathered.begin() + (in_place ? own_part.offset_bytes : 0));
        const std::byte *from = in_place ? gathered.data() + own_part.offset_bytes : own.data();
        // A message beside it must not disturb it.
        std::byte passed{0};
        const auto token = static_cast<std::byte>(world().rank());
        const Ticket arrives = transport->post_receive(site.receive_from, &passed, 1, MessageTag::ping, site);
        transport->post_send(site.send_to, &token, 1, MessageTag::ping, site);
        const Ticket ticket = transport->post_all_gather(from, gathered.data(), parts, gathering, site);
        transport->progress();
        transport->wait({{ticket, arrives}}, site);
        for (int rank = 0; rank < size; ++rank) {
          const GatheredPart part = parts[static_cast<std::size_t>(rank)];
          const std::vector<std::byte> expected = bytes_of(7, rank, static_cast<std::size_t>(part.bytes));
          EXPECT_TRUE(std::equal(expected.begin(), expected.end(), gathered.begin() + part.offset_bytes))
              << name(exchange) << " " << name(gathering) << " part of rank " << rank;
        }
        EXPECT_EQ(passed, static_cast<std::byte>(site.receive_from));
        transport->wait_all(site);
      }
    }
    EXPECT_EQ(transport->counters().gathers, 4);
  }
}

TEST(PersistentExchange, RequestsDifferByTagAndPeer) {
  PersistentTransport transport(world());
  const Site site = ring_site(world(), "persistent");
  const int size = world().size();
  std::vector<std::byte> from = bytes_of(8, world().rank(), 100);
  std::vector<std::byte> into(100);
  const auto shift_by = [&](int ranks, MessageTag tag) {
    transport.post_receive((world().rank() + size - ranks) % size, into.data(), 100, tag, site);
    transport.post_send((world().rank() + ranks) % size, from.data(), 100, tag, site);
    transport.wait_all(site);
    EXPECT_TRUE(into == bytes_of(8, (world().rank() + size - ranks) % size, 100));
  };
  shift_by(1, MessageTag::shift);
  shift_by(1, tagged(MessageTag::shift, 1));
  EXPECT_EQ(transport.counters().requests_created, 4);
  shift_by(0, MessageTag::shift); // to oneself
  EXPECT_EQ(transport.counters().requests_created, size > 1 ? 6 : 4);
  shift_by(1, MessageTag::shift);
  EXPECT_EQ(transport.counters().requests_created, size > 1 ? 6 : 4);
}

TEST(AllGather, ABlockingOneMovesOnlyInAWait) {
  std::vector<GatheredPart> parts;
  for (int rank = 0; rank < world().size(); ++rank) {
    parts.push_back({rank, 1});
  }
  for (const Gathering gathering : {Gathering::nonblocking, Gathering::blocking}) {
    const auto transport = make_transport(Exchange::nonblocking, world());
    std::vector<std::byte> gathered(parts.size());
    const std::byte own{1};
    const Ticket ticket = transport->post_all_gather(&own, gathered.data(), parts, gathering, {"all-gather"});
    for (int turn = 0; turn < 50; ++turn) {
      transport->progress();
      world().barrier();
    }
    EXPECT_EQ(transport->progress(), gathering == Gathering::nonblocking);
    EXPECT_EQ(gathered == std::vector<std::byte>(parts.size(), own), gathering == Gathering::nonblocking);
    transport->wait({{ticket}}, {"all-gather"});
    EXPECT_EQ(gathered, std::vector<std::byte>(parts.size(), own));
  }
}

TEST(AllGather, OfMoreThanMpiCanCountIsRefusedBeforeAnythingTravels) {
  const auto transport = make_transport(Exchange::nonblocking, world());
  std::vector<GatheredPart> parts(static_cast<std::size_t>(world().size()), {0, 0});
  parts.back() = {std::int64_t{1} << 31, 1};
  std::byte nothing{};
  EXPECT_THROW(transport->post_all_gather(&nothing, &nothing, parts, Gathering::nonblocking, {"too long"}),
               problem::InvalidInput);
  EXPECT_TRUE(transport->progress());
}

} // namespace
} // namespace ringscale::ring
