// SPDX-License-Identifier: Apache-2.0
// Cards, duplex, oversubscription, rendezvous and receive buffers: closed forms, brute force and monotonicity.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "machine/links.hpp"
#include "tests/report/expect_invalid.hpp"
#include "tests/simulator/draw.hpp"
#include "tests/simulator/example_machines.hpp"

namespace ringscale::machine {
namespace {

using simulator::simulate;
using simulator_tests::Draw;
using simulator_tests::number;
using simulator_tests::ring_options;
using simulator_tests::simple_machine;

constexpr double close = 1e-9;
constexpr double latency_s = 2e-6;
constexpr double bandwidth = 1e8;

Link plain_link() { return simple_machine(1e-9, latency_s, bandwidth).links[0]; }

/// Messages on the busiest card, counted device by device: `ring_size` devices in groups of `nearer`, cards of `card`
/// devices in order, everyone sends `distance` on.
std::int64_t counted(std::int64_t ring_size, std::int64_t nearer, std::int64_t card, bool half, std::int64_t distance,
                     int directions) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(ring_size / card), 0);
  std::vector<std::int64_t> in(out.size(), 0);
  const auto send = [&](std::int64_t from, std::int64_t to) {
    if (from / nearer != to / nearer) {
      ++out[static_cast<std::size_t>(from / card)];
      ++in[static_cast<std::size_t>(to / card)];
    }
  };
  for (std::int64_t rank = 0; rank < ring_size; ++rank) {
    send(rank, (rank + distance) % ring_size);
    if (directions == 2) {
      send(rank, (rank - distance + ring_size) % ring_size);
    }
  }
  std::int64_t most = 1;
  for (std::size_t place = 0; place < out.size(); ++place) {
    most = std::max(most, half ? out[place] + in[place] : std::max(out[place], in[place]));
  }
  return most;
}

TEST(Cards, FlowsAreThoseCountedDeviceByDevice) {
  for (const std::int64_t nearer : {1, 2, 4, 8, 12}) {
    for (const std::int64_t card : {1, 2, 3, 4, 6, 8, 12, 24}) {
      if (nearer % card != 0 && card % nearer != 0) {
        continue;
      }
      for (const bool half : {false, true}) {
        for (std::int64_t distance = 1; distance <= 12; ++distance) {
          for (const int directions : {1, 2}) {
            Link link = plain_link();
            link.devices_per_card = card;
            link.duplex = half ? Duplex::half : Duplex::full;
            EXPECT_EQ(crowd_factor(link, nearer, {96, 1, distance, directions}),
                      static_cast<double>(counted(96, nearer, card, half, distance, directions)))
                << nearer << " " << card << " " << half << " " << distance << " " << directions;
          }
        }
      }
    }
  }
}

TEST(Cards, DividedBandwidthInARing) {
  // Eight devices on one card, no nearer link: every hop goes through it, 8 out and 8 in. Communication-bound:
  // T = (P - 1) (latency + 8 bytes / bandwidth) + tile; half duplex doubles the bytes.
  machine::Machine machine = simple_machine(1e-12, latency_s, bandwidth);
  const double tile_s = 1e-12 * 256 * 256;
  const double bytes = 2.0 * 256 * 64 * 4 + 64;
  for (const double ways : {1.0, 2.0}) {
    machine.links[0].devices_per_card = 8;
    machine.links[0].duplex = ways > 1.0 ? Duplex::half : Duplex::full;
    const double expected = 31 * (latency_s + 8.0 * ways * bytes / bandwidth) + tile_s;
    EXPECT_NEAR(simulate(machine, ring_options(32, 256)).time_s, expected, close * expected);
  }
  // Nodes of eight on one card: only the edges of a node use it, one message out, one in.
  Link node = plain_link();
  node.level = Level::node;
  node.group_devices = 8;
  node.bandwidth_bytes_per_s = number(1e300);
  machine.links.insert(machine.links.begin(), node);
  EXPECT_EQ(crowd_factor(machine.links[1], 8, {32, 4}), 2.0); // half duplex
  machine.links[1].duplex = Duplex::full;
  EXPECT_EQ(crowd_factor(machine.links[1], 8, {32, 4}), 1.0);
}

TEST(Cards, AreAtMostAsLargeAsTheRing) {
  Link link = plain_link();
  link.devices_per_card = 8;
  EXPECT_EQ(crowd_factor(link, 1, {2, 1}), 2.0);
  EXPECT_EQ(crowd_factor(link, 1, {64, 1}), 8.0);
}

TEST(Oversubscription, DividesTheWayUpOfAGroup) {
  // Groups of 16 with a card each have 16 / o of a card's bandwidth on their way up. Neighbours: one message leaves, so
  // nothing is lost until o passes 16. Hops of distance 16 all leave: each has 1 / o.
  Link link = plain_link();
  link.oversubscription = number(4.0);
  EXPECT_EQ(crowd_factor(link, 16, {256, 1, 1, 1}), 1.0);
  EXPECT_EQ(crowd_factor(link, 16, {256, 1, 16, 1}), 4.0);
  EXPECT_EQ(crowd_factor(link, 16, {256, 1, 8, 2}), 4.0);
  link.oversubscription = number(32.0);
  EXPECT_EQ(crowd_factor(link, 16, {256, 1, 1, 1}), 2.0);
  // Two cards in a group of sixteen: the way up is that of two cards over o.
  link.devices_per_card = 8;
  link.oversubscription = number(4.0);
  EXPECT_EQ(crowd_factor(link, 16, {256, 1, 1, 1}), 2.0);
}

TEST(Rendezvous, CostsAHandshakeAboveItsThreshold) {
  Link link = plain_link();
  link.rendezvous = Rendezvous{8192, number(5e-6)};
  EXPECT_DOUBLE_EQ(message_time(link, 8192, 1.0), latency_s + 8192 / bandwidth);
  EXPECT_DOUBLE_EQ(message_time(link, 8193, 1.0), latency_s + 8193 / bandwidth + 5e-6);
}

TEST(ReceiveBuffer, AsksForEveryFurtherPiece) {
  // n pieces: the first needs one latency, every further one is asked for (a latency) and travels (another).
  Link link = plain_link();
  link.receive_buffer_bytes = 1000;
  for (const double pieces : {1.0, 2.0, 7.0}) {
    EXPECT_DOUBLE_EQ(message_time(link, 1000.0 * pieces, 1.0),
                     latency_s + 1000.0 * pieces / bandwidth + 2.0 * (pieces - 1.0) * latency_s);
  }
  EXPECT_DOUBLE_EQ(message_time(link, 1001.0, 1.0), 3.0 * latency_s + 1001.0 / bandwidth);
  // In the long run a window of W bytes has the bandwidth W / (W / bandwidth + 2 latencies).
  const double bytes = 1e9;
  EXPECT_NEAR(bytes / message_time(link, bytes, 1.0), 1000.0 / (1000.0 / bandwidth + 2.0 * latency_s),
              1e-6 * bandwidth);
}

TEST(MeasuredMessages, StandForTheLineAndAreCrowdedBeyondTheLatency) {
  Link link = plain_link();
  ASSERT_EQ(link.latency_s.value + link.per_message_overhead_s.value, latency_s);
  const double line_s = message_time(link, 3000.0, 1.0);
  link.message_times = {{100.0, latency_s}, {1000.0, latency_s + 1e-6}, {5000.0, latency_s + 9e-6}};
  EXPECT_DOUBLE_EQ(message_time(link, 10.0, 1.0), latency_s); // below the shortest nothing is known to be faster
  EXPECT_DOUBLE_EQ(message_time(link, 1000.0, 1.0), latency_s + 1e-6);
  EXPECT_DOUBLE_EQ(message_time(link, 3000.0, 1.0), latency_s + 5e-6);
  EXPECT_NE(message_time(link, 3000.0, 1.0), line_s);
  EXPECT_DOUBLE_EQ(message_time(link, 9000.0, 1.0), latency_s + 17e-6); // the last slope goes on
  EXPECT_DOUBLE_EQ(message_time(link, 3000.0, 3.0), latency_s + 15e-6);
}

TEST(MeasuredMessages, MustRise) {
  Machine machine = simple_machine(1e-9, 1e-6, 1e9);
  machine.links.back().message_times = {{64.0, 1e-6}, {128.0, 1e-6}};
  EXPECT_NO_THROW(validate(machine, "m.json"));
  const std::vector<std::vector<MessageTime>> wrong{{{64.0, 1e-6}},
                                                    {{64.0, 1e-6}, {64.0, 2e-6}},
                                                    {{64.0, 2e-6}, {128.0, 1e-6}},
                                                    {{64.0, 0.0}, {128.0, 1e-6}},
                                                    {{64.0, 1e-6}, {128.0, std::nan("")}}};
  for (const std::vector<MessageTime> &times : wrong) {
    machine.links.back().message_times = times;
    expect_invalid([&] { validate(machine, "m.json"); }, {"m.json", "message_times"});
  }
}

TEST(LinkFields, NothingGetsFasterByAnyOfThem) {
  Draw draw(5, 31);
  const auto worse = std::vector<void (*)(Link &)>{
      [](Link &link) { link.devices_per_card = link.devices_per_card > 0 ? 2 * link.devices_per_card : 4; },
      [](Link &link) { link.duplex = Duplex::half; },
      [](Link &link) {
        link.oversubscription = number(link.oversubscription ? 1.5 * link.oversubscription->value : 2.0);
      },
      [](Link &link) {
        link.rendezvous = Rendezvous{1024, number(1e-5)};
      },
      [](Link &link) {
        link.receive_buffer_bytes = link.receive_buffer_bytes > 0 ? link.receive_buffer_bytes / 2 : 16384;
      }};
  constexpr schedule::Schedule schedules[] = {schedule::Schedule::ring, schedule::Schedule::bidirectional_ring,
                                              schedule::Schedule::double_ring, schedule::Schedule::all_gather};
  int slower = 0;
  for (int round = 0; round < 200; ++round) {
    Machine machine = simple_machine(1e-12 * draw.between(1.0, 100.0), latency_s, bandwidth);
    Link node = machine.links[0];
    node.level = Level::node;
    node.group_devices = 4;
    node.bandwidth_bytes_per_s = number(1e9);
    machine.links.insert(machine.links.begin(), node);
    simulator::SimulationOptions options = ring_options(4 * (1 + draw.below(8)), 128);
    options.problem.schedule = schedules[draw.below(4)];
    options.problem.inner_ring_size = options.problem.schedule == schedule::Schedule::double_ring ? 4 : 1;
    options.problem.layout = draw.coin() ? schedule::MessageLayout::separate : schedule::MessageLayout::stored_packed;
    double before = simulate(machine, options).time_s;
    for (int change = 0; change < 6; ++change) {
      worse[static_cast<std::size_t>(draw.below(5))](machine.links[static_cast<std::size_t>(draw.below(2))]);
      const double after = simulate(machine, options).time_s;
      EXPECT_GE(after, before * (1.0 - close));
      slower += after > before * (1.0 + close) ? 1 : 0;
      before = after;
    }
  }
  EXPECT_GT(slower, 200); // negative control: the fields do something
}

TEST(LinkFields, AreRefusedWhereTheyMakeNoSense) {
  const auto refused = [](void (*change)(Link &), const char *what) {
    Machine machine = simple_machine(1e-9, latency_s, bandwidth);
    change(machine.links[0]);
    expect_invalid([&] { validate(machine, "m.json"); }, {"m.json", what});
  };
  refused([](Link &link) { link.devices_per_card = -1; }, "devices_per_card");
  refused([](Link &link) { link.oversubscription = number(0.5); }, "oversubscription");
  refused([](Link &link) { link.rendezvous = Rendezvous{-1, number(0.0)}; }, "threshold_bytes");
  refused([](Link &link) { link.rendezvous = Rendezvous{0, number(-1.0)}; }, "handshake_s");
  refused([](Link &link) { link.receive_buffer_bytes = -1; }, "receive_buffer_bytes");
  Machine machine = simple_machine(1e-9, latency_s, bandwidth);
  Link node = machine.links[0];
  node.group_devices = 6;
  machine.links.insert(machine.links.begin(), node);
  machine.links[1].devices_per_card = 4;
  expect_invalid([&] { validate(machine, "m.json"); }, {"links[1].devices_per_card", "multiple"});
}

} // namespace
} // namespace ringscale::machine
