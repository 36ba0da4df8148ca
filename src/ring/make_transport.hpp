// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "ring/communicator.hpp"
#include "ring/transport.hpp"

namespace ringscale::ring {

/// The transport that moves messages as `exchange` says, in pieces of at most `piece_bytes` (31-bit MPI counts). The
/// communicator must outlive it. Collective for one_sided, as is destroying it; the others are made by each rank alone.
/// Give it the communicator's deadline before: one_sided keeps the one it finds.
std::unique_ptr<Transport> make_transport(Exchange exchange, const Communicator &communicator,
                                          std::int64_t piece_bytes = std::int64_t{1} << 30);

} // namespace ringscale::ring
