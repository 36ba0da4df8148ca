// SPDX-License-Identifier: Apache-2.0
// NcclTransport over a stand-in for NCCL: its order of calls, its polling and its end when something fails. Says
// nothing about NCCL itself or about a device.
#include "ring/nccl_transport.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "problem/counter_random.hpp"
#include "problem/invalid_input.hpp"
#include "tests/nccl_stand_in/nccl_stand_in.hpp"
#include "tests/ring/loopback_ring.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring {
namespace {

using nccl_stand_in::Fault;

std::vector<std::byte> bytes_of(int rank, std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t index = 0; index < count; ++index) {
    bytes[index] = static_cast<std::byte>(problem::random_bits(11, static_cast<std::uint64_t>(rank), index) & 0xFF);
  }
  return bytes;
}

TEST(NcclTransport, AWholeRingGivesTheSameBitsAsVirtualRanks) {
  for (const int ring_size : {2, 4}) {
    on_first_ranks(ring_size, [&](Communicator &ring) {
      const RingOptions options = small_options(ring_size, 149, schedule::Placement::zigzag, problem::Mask::causal);
      LoopbackRing virtual_ring(options);
      virtual_ring.pass();
      const Communicator messages = Communicator::duplicate(ring.handle());
      nccl_stand_in::prepare(messages.handle());
      {
        NcclTransport transport(ring, nccl_stand_in::make_stream());
        memory::Ledger ledger;
        RingRank rank(options, ring.rank(), transport, ledger);
        rank.begin(true);
        rank.load();
        rank.run();
        EXPECT_THAT(rank.complaints(), testing::IsEmpty());
        EXPECT_EQ(ring.sum(rank.result_checksum()), virtual_ring.output_checksum());
        EXPECT_EQ(transport.counters().messages_sent, ring_size - 1);
      }
      EXPECT_EQ(nccl_stand_in::counters().groups, ring_size - 1) << "a receive and its send are one group";
      EXPECT_EQ(nccl_stand_in::counters().sends, ring_size - 1);
      EXPECT_EQ(nccl_stand_in::counters().destroyed, 1);
      EXPECT_EQ(nccl_stand_in::counters().aborted, 0);
      EXPECT_EQ(nccl_stand_in::counters().misused, 0);
    });
  }
}

TEST(NcclTransport, GathersUnevenPartsInPlaceOrNot) {
  on_first_ranks(3, [](Communicator &ring) {
    const Communicator messages = Communicator::duplicate(ring.handle());
    nccl_stand_in::prepare(messages.handle());
    NcclTransport transport(ring, nccl_stand_in::make_stream());
    const std::vector<GatheredPart> parts{{0, 700}, {710, 0}, {720, 33}};
    const GatheredPart own_part = parts[static_cast<std::size_t>(ring.rank())];
    for (const Gathering gathering : {Gathering::nonblocking, Gathering::blocking}) {
      for (const bool in_place : {false, true}) {
        const std::vector<std::byte> own = bytes_of(ring.rank(), static_cast<std::size_t>(own_part.bytes));
        std::vector<std::byte> gathered(760, std::byte{0xAA});
        std::copy(own.begin(), own.end(), gathered.begin() + (in_place ? own_part.offset_bytes : 0));
        const std::byte *from = in_place ? gathered.data() + own_part.offset_bytes : own.data();
        const Ticket ticket = transport.post_all_gather(from, gathered.data(), parts, gathering, {"gather"});
        EXPECT_FALSE(transport.progress());
        transport.wait({{ticket}}, {"gather"});
        for (int rank = 0; rank < 3; ++rank) {
          const GatheredPart part = parts[static_cast<std::size_t>(rank)];
          const std::vector<std::byte> expected = bytes_of(rank, static_cast<std::size_t>(part.bytes));
          EXPECT_TRUE(std::equal(expected.begin(), expected.end(), gathered.begin() + part.offset_bytes));
        }
        EXPECT_TRUE(transport.progress());
      }
    }
    const std::vector<GatheredPart> too_few{{0, 8}};
    std::byte nothing{};
    EXPECT_THROW(transport.post_all_gather(&nothing, &nothing, too_few, Gathering::nonblocking, {"gather"}),
                 problem::InvalidInput);
    EXPECT_EQ(nccl_stand_in::counters().misused, 0);
  });
}

/// Rank 0 and 1 exchange a message with a fault on both; the text of the failure, "" without one.
std::string failure_of(Fault fault, double deadline_s) {
  std::string failure;
  on_first_ranks(2, [&](Communicator &pair) {
    const Communicator messages = Communicator::duplicate(pair.handle());
    nccl_stand_in::prepare(messages.handle());
    nccl_stand_in::inject(fault);
    pair.set_deadline(deadline_s);
    try {
      NcclTransport transport(pair, nccl_stand_in::make_stream());
      const int peer = 1 - pair.rank();
      const Site site{"exchange", pair.rank(), 5, peer, peer};
      const std::vector<std::byte> from = bytes_of(pair.rank(), 64);
      std::vector<std::byte> into(64);
      transport.post_receive(peer, into.data(), 64, MessageTag::shift, site);
      transport.post_send(peer, from.data(), 64, MessageTag::shift, site);
      try {
        transport.wait_all(site);
        EXPECT_EQ(into, bytes_of(peer, 64));
      } catch (const MpiFailure &) {
        EXPECT_THROW(transport.progress(), MpiFailure) << "given up for good";
        EXPECT_THROW(transport.wait_all(site), MpiFailure);
        throw;
      }
    } catch (const MpiFailure &caught) {
      failure = caught.what();
    }
    pair.set_deadline(300.0);
    const nccl_stand_in::Counters counted = nccl_stand_in::counters();
    EXPECT_EQ(counted.aborted, failure.empty() || fault == Fault::no_id ? 0 : 1);
    EXPECT_EQ(counted.destroyed, failure.empty() ? 1 : 0);
    EXPECT_EQ(counted.misused, 0);
    pair.barrier();
  });
  return failure;
}

TEST(NcclTransport, EveryFailureAbortsTheCommunicatorOnceAndSaysWhy) {
  using testing::AllOf;
  using testing::HasSubstr;
  EXPECT_EQ(failure_of(Fault::none, 30.0), "") << "the control";
  if (world().rank() > 1) {
    for (const Fault fault : {Fault::no_id, Fault::failed_start, Fault::endless_start, Fault::failed_group,
                              Fault::async_error, Fault::endless_group, Fault::lost_messages}) {
      failure_of(fault, 1.0);
    }
    return;
  }
  EXPECT_THAT(failure_of(Fault::no_id, 30.0), HasSubstr(world().rank() == 0 ? "ncclGetUniqueId failed" : "no id"));
  EXPECT_THAT(failure_of(Fault::failed_start, 30.0),
              AllOf(HasSubstr("ncclCommInitRankConfig failed"), HasSubstr("system error")));
  EXPECT_THAT(failure_of(Fault::endless_start, 0.3), AllOf(HasSubstr("nothing within"), HasSubstr("joining")));
  EXPECT_THAT(failure_of(Fault::failed_group, 30.0), HasSubstr("ncclGroupEnd failed"));
  EXPECT_THAT(failure_of(Fault::async_error, 30.0), AllOf(HasSubstr("the other side failed"), HasSubstr("step 5")));
  const int peer = 1 - world().rank();
  for (const Fault fault : {Fault::endless_group, Fault::lost_messages}) {
    EXPECT_THAT(failure_of(fault, 0.3), AllOf(HasSubstr("nothing within"), HasSubstr("step 5"),
                                              HasSubstr("receive from rank " + std::to_string(peer) + " (64 bytes)")));
  }
}

TEST(NcclTransport, AMessageLongerThanItsReceiveIsAnError) {
  on_first_ranks(2, [](Communicator &pair) {
    const Communicator messages = Communicator::duplicate(pair.handle());
    nccl_stand_in::prepare(messages.handle());
    NcclTransport transport(pair, nccl_stand_in::make_stream());
    std::vector<std::byte> buffer(64);
    if (pair.rank() == 0) {
      transport.post_send(1, buffer.data(), 64, MessageTag::shift, {"long message"});
      transport.wait_all({"long message"});
    } else {
      transport.post_receive(0, buffer.data(), 48, MessageTag::shift, {"long message"});
      EXPECT_THROW(transport.wait_all({"long message"}), MpiFailure);
      EXPECT_EQ(nccl_stand_in::counters().aborted, 1);
    }
  });
}

} // namespace
} // namespace ringscale::ring
