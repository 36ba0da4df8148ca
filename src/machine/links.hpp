// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/machine.hpp"

namespace ringscale::machine {

/// The nearest link whose group holds both ranks; devices are numbered through nodes in order.
const Link &link_between(const Machine &machine, std::int64_t rank, std::int64_t other);

/// Hops of a ring of `ring_size` that use one group of `link` at the same time.
std::int64_t concurrent_flows(const Machine &machine, const Link &link, std::int64_t ring_size);

/// Traffic of one step over a link: every rank sends to the one `distance` further on, and to the one before it too
/// when there are two `directions`.
struct Traffic {
  std::int64_t ring_size = 1;
  std::int64_t flows = 1; ///< messages that use one group of the link in one direction at the same time
  std::int64_t distance = 1;
  int directions = 1;
};

/// Devices of the group that reach each other without `link`.
std::int64_t nearer_group(const Machine &machine, const Link &link);

/// What the bandwidth of one message over `link` is divided by, the largest of
///   sharing            1 + sharing x (flows - 1)
///   network card       messages that use the busiest card of devices_per_card devices in its busier direction; in both
///                      directions together when the card is half duplex
///   oversubscription   messages that leave a nearer group x oversubscription / cards of that group
/// 1 without these fields. `nearer` is nearer_group(). Devices are at most those of the ring.
double crowd_factor(const Link &link, std::int64_t nearer, const Traffic &traffic);

/// Seconds of one message over `link`: latency + overhead + bytes / bandwidth x crowd, a handshake more above the
/// rendezvous threshold, and for every further piece that the receive buffer forces two latencies more: the receiver
/// asks for it, and it has its own way to go. A link with measured message_times takes these instead of the line,
/// linear between two of them, the shortest one's below and the last two's slope above; what exceeds latency and
/// overhead is multiplied by crowd.
double message_time(const Link &link, double bytes, double crowd);

/// Ranks after which the pattern of links repeats: 1 when all hops are alike.
std::int64_t link_period(const Machine &machine, std::int64_t ring_size);

/// Factor on compute time when `ranks` ranks share one node and the equivalent of `active` of them compute.
double core_sharing_factor(const CoreSharing &sharing, double ranks, double active);

} // namespace ringscale::machine
