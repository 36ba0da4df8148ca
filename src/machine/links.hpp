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

/// Seconds of one message over `link` beside flows - 1 others.
double message_time(const Link &link, double bytes, std::int64_t flows);

/// Ranks after which the pattern of links repeats: 1 when all hops are alike.
std::int64_t link_period(const Machine &machine, std::int64_t ring_size);

/// Factor on compute time when `ranks` ranks share one node and the equivalent of `active` of them compute.
double core_sharing_factor(const CoreSharing &sharing, double ranks, double active);

} // namespace ringscale::machine
