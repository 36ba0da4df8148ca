// SPDX-License-Identifier: Apache-2.0
// What every transport promises, on virtual ranks of one thread; exchange_test.cpp asks real ranks.
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <vector>

#include "memory/ledger.hpp"
#include "problem/invalid_input.hpp"
#include "ring/loopback_transport.hpp"
#include "ring/staged_transport.hpp"

namespace ringscale::ring {
namespace {

const Site here{"test"};

std::vector<std::byte> filled(std::size_t bytes, int value) { return {bytes, static_cast<std::byte>(value)}; }

TEST(Exchange, WordsGoBothWaysAndOthersAreRefused) {
  for (const Exchange exchange : every_exchange) {
    EXPECT_EQ(parse_exchange(name(exchange)), exchange);
  }
  for (const Gathering gathering : {Gathering::nonblocking, Gathering::blocking}) {
    EXPECT_EQ(parse_gathering(name(gathering)), gathering);
  }
  EXPECT_THROW(parse_exchange("telepathy"), problem::InvalidInput);
  EXPECT_THROW(parse_gathering(""), problem::InvalidInput);
}

TEST(MessageTag, LanesOfAllKindsAreDifferentTagsThatMpiPromises) {
  std::set<int> values;
  const std::vector<MessageTag> bases{
      MessageTag::key_value_block, MessageTag::returning_block, MessageTag::query_block, MessageTag::result_block,
      MessageTag::gathered_block,  MessageTag::gradient_block,  MessageTag::ping,        MessageTag::shift,
      MessageTag::control};
  for (const MessageTag base : bases) {
    EXPECT_EQ(tagged(base, 0), base);
    for (int lane = 0; lane < tag_lanes; ++lane) {
      values.insert(static_cast<int>(tagged(base, lane)));
    }
    EXPECT_THROW(tagged(base, tag_lanes), MpiFailure);
    EXPECT_THROW(tagged(base, -1), MpiFailure);
  }
  EXPECT_EQ(values.size(), bases.size() * tag_lanes);
  // One-sided control messages use two tags for each.
  EXPECT_LT(2 * *values.rbegin() + 1, 32767);
}

TEST(Tickets, OneMessageIsWaitedForWhileOthersAreMissing) {
  LoopbackNetwork network;
  LoopbackTransport left(network, 0);
  LoopbackTransport right(network, 1);
  std::vector<std::byte> first = filled(8, 0);
  std::vector<std::byte> second = filled(8, 0);
  const std::vector<std::byte> sent = filled(8, 7);
  const Ticket early = left.post_receive(1, first.data(), 8, MessageTag::key_value_block, here);
  const Ticket late = left.post_receive(1, second.data(), 8, tagged(MessageTag::key_value_block, 1), here);
  EXPECT_LT(early, late);
  right.post_send(0, sent.data(), 8, tagged(MessageTag::key_value_block, 1), here);
  left.wait({{late}}, here);
  EXPECT_EQ(second, sent);
  EXPECT_EQ(first, filled(8, 0)) << "a message on another lane was taken";
  EXPECT_FALSE(left.progress());
  EXPECT_THROW(left.wait({{early}}, here), MpiFailure);
  EXPECT_THROW(left.wait({{early, late}}, here), MpiFailure);
  EXPECT_THROW(left.wait_all(here), MpiFailure);
  right.post_send(0, sent.data(), 8, MessageTag::key_value_block, here);
  left.wait({{early, late}}, here);
  left.wait({{early}}, here); // again: completed tickets cost nothing
  left.wait({}, here);
  EXPECT_TRUE(left.progress());
}

TEST(Counters, CountMessagesAndBytes) {
  LoopbackNetwork network;
  LoopbackTransport left(network, 0);
  LoopbackTransport right(network, 1);
  std::vector<std::byte> buffer(100);
  const std::vector<std::byte> sent(100);
  for (const std::int64_t bytes : {100, 30}) {
    left.post_receive(1, buffer.data(), bytes, MessageTag::shift, here);
    right.post_send(0, sent.data(), bytes, MessageTag::shift, here);
  }
  EXPECT_EQ(right.counters().messages_sent, 2);
  EXPECT_EQ(right.counters().bytes_sent, 130);
  EXPECT_EQ(right.counters().messages_received, 0);
  EXPECT_EQ(left.counters().messages_received, 2);
  EXPECT_EQ(left.counters().bytes_received, 130);
  EXPECT_EQ(left.counters().bytes_sent, 0);
}

/// Parts of 1, 2, 3 ... bytes with a gap of one byte after each.
std::vector<GatheredPart> uneven_parts(int ranks) {
  std::vector<GatheredPart> parts;
  std::int64_t offset = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    parts.push_back({offset, rank + 1});
    offset += rank + 2;
  }
  return parts;
}

TEST(AllGather, VirtualRanksGetUnevenPartsAndTwoGathersDoNotMix) {
  constexpr int ranks = 4;
  LoopbackNetwork network;
  const std::vector<GatheredPart> parts = uneven_parts(ranks);
  std::vector<LoopbackTransport> transports;
  std::vector<std::vector<std::byte>> first(ranks, filled(14, 0xAA));
  std::vector<std::vector<std::byte>> second(ranks, filled(14, 0xAA));
  std::vector<std::vector<std::byte>> own;
  std::vector<Ticket> tickets;
  for (int rank = 0; rank < ranks; ++rank) {
    transports.emplace_back(network, rank);
    own.push_back(filled(static_cast<std::size_t>(rank) + 1, 10 + rank));
  }
  for (int rank = 0; rank < ranks; ++rank) {
    const auto place = static_cast<std::size_t>(rank);
    tickets.push_back(
        transports[place].post_all_gather(own[place].data(), first[place].data(), parts, Gathering::nonblocking, here));
    // In place: the own bytes lie where they belong already.
    std::byte *inside = second[place].data() + parts[place].offset_bytes;
    std::fill(inside, inside + parts[place].bytes, static_cast<std::byte>(20 + rank));
    transports[place].post_all_gather(inside, second[place].data(), parts, Gathering::blocking, here);
    EXPECT_EQ(transports[place].progress(), rank == ranks - 1);
    if (rank < ranks - 1) {
      EXPECT_THROW(transports[place].wait({{tickets[place]}}, here), MpiFailure) << "the last rank is missing";
    }
  }
  for (int rank = 0; rank < ranks; ++rank) {
    const auto place = static_cast<std::size_t>(rank);
    transports[place].wait_all(here);
    for (int source = 0; source < ranks; ++source) {
      const auto [offset, bytes] = parts[static_cast<std::size_t>(source)];
      for (std::int64_t byte = offset; byte < offset + bytes; ++byte) {
        EXPECT_EQ(first[place][static_cast<std::size_t>(byte)], static_cast<std::byte>(10 + source));
        EXPECT_EQ(second[place][static_cast<std::size_t>(byte)], static_cast<std::byte>(20 + source));
      }
      EXPECT_EQ(first[place][static_cast<std::size_t>(offset + bytes)], std::byte{0xAA}) << "a gap was written";
    }
    EXPECT_EQ(transports[place].counters().gathers, 2);
    EXPECT_EQ(transports[place].counters().gathered_bytes, 20);
  }
}

TEST(AllGather, RanksMustAgreeOnTheLengths) {
  LoopbackNetwork network;
  LoopbackTransport left(network, 0);
  LoopbackTransport right(network, 1);
  std::vector<std::byte> buffer(16);
  const std::vector<GatheredPart> parts{{0, 4}, {4, 4}};
  const std::vector<GatheredPart> others{{0, 4}, {4, 5}};
  left.post_all_gather(buffer.data(), buffer.data(), parts, Gathering::nonblocking, here);
  EXPECT_THROW(right.post_all_gather(buffer.data(), buffer.data(), others, Gathering::nonblocking, here), MpiFailure);
}

TEST(AllGather, PartsThatMpiCannotGatherAreRefused) {
  const std::int64_t most = std::numeric_limits<int>::max();
  EXPECT_NO_THROW(require_gatherable(std::vector<GatheredPart>{{0, most - 1}, {most - 1, 1}}, 2));
  EXPECT_NO_THROW(require_gatherable(std::vector<GatheredPart>{{8, 8}, {0, 8}, {4, 0}}, 3)) << "any order";
  const auto refused = [](const std::vector<GatheredPart> &parts, int ranks) {
    EXPECT_THROW(require_gatherable(parts, ranks), problem::InvalidInput);
  };
  refused({{0, most}, {most, 1}}, 2);
  refused({{0, most + 1}}, 1);
  refused({{std::numeric_limits<std::int64_t>::max(), 1}}, 1);
  refused({{0, 8}}, 2);
  refused({{0, 8}, {7, 8}}, 2);
  refused({{0, -1}}, 1);
  refused({{-8, 8}}, 1);
}

TEST(StagedTransport, CopiesThroughAPoolThatTheLedgerCounts) {
  LoopbackNetwork network;
  LoopbackTransport left_below(network, 0);
  LoopbackTransport right_below(network, 1);
  memory::Ledger ledger;
  {
    StagedTransport left(left_below, 0, ledger);
    StagedTransport right(right_below, 1, ledger);
    for (int round = 1; round <= 5; ++round) {
      std::vector<std::byte> sent = filled(1000, round);
      std::vector<std::byte> received = filled(1000, 0);
      const Ticket ticket = left.post_receive(1, received.data(), 1000, MessageTag::shift, here);
      right.post_send(0, sent.data(), 1000, MessageTag::shift, here);
      sent = filled(1000, 99); // it was copied, so this does no harm
      EXPECT_EQ(received, filled(1000, 0)) << "nothing may be written before the ticket completed";
      left.wait({{ticket}}, here);
      right.wait_all(here);
      EXPECT_EQ(received, filled(1000, round));
    }
    EXPECT_EQ(left.counters().staged_bytes, 5000);
    EXPECT_EQ(right.counters().staged_bytes, 5000);
    EXPECT_EQ(left.counters().staging_pool_bytes, 1000) << "one buffer serves all rounds";
    EXPECT_EQ(left.counters().messages_received, 5);
    EXPECT_EQ(ledger.held()[memory::Purpose::communication], 2000);

    std::vector<std::byte> all_left = filled(10, 0);
    std::vector<std::byte> all_right = filled(10, 0);
    const std::vector<GatheredPart> parts{{0, 6}, {6, 4}};
    left.post_all_gather(filled(6, 1).data(), all_left.data(), parts, Gathering::nonblocking, here);
    right.post_all_gather(filled(4, 2).data(), all_right.data(), parts, Gathering::nonblocking, here);
    EXPECT_TRUE(left.progress());
    right.wait_all(here);
    std::vector<std::byte> expected = filled(6, 1);
    expected.resize(10, std::byte{2});
    EXPECT_EQ(all_left, expected);
    EXPECT_EQ(all_right, expected);
  }
  EXPECT_EQ(ledger.held()[memory::Purpose::communication], 0);
}

TEST(StagedTransport, KeepsNoMoreIdleBytesThanAsked) {
  LoopbackNetwork network;
  LoopbackTransport below(network, 0);
  memory::Ledger ledger;
  StagedTransport transport(below, 0, ledger, 500);
  std::vector<std::byte> from(400);
  std::vector<std::byte> into(400);
  transport.post_receive(0, into.data(), 400, MessageTag::shift, here);
  transport.post_send(0, from.data(), 400, MessageTag::shift, here);
  EXPECT_EQ(ledger.held()[memory::Purpose::communication], 800);
  transport.wait_all(here);
  EXPECT_EQ(ledger.held()[memory::Purpose::communication], 400);
  EXPECT_EQ(transport.counters().staging_pool_bytes, 400);
}

} // namespace
} // namespace ringscale::ring
