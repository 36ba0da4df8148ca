// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace ringscale::ring {

/// How a message is moved; the same bytes arrive with each, so that they can be timed against each other.
/// nonblocking: MPI_Isend and MPI_Irecv. blocking: nothing moves before somebody waits, as with MPI_Sendrecv.
/// persistent: MPI_Send_init and MPI_Recv_init once a buffer, MPI_Start each time. one_sided: MPI_Rput into the
/// receiver's exposed buffer. docs/transports.md says more.
enum class Exchange { nonblocking, blocking, persistent, one_sided };

inline constexpr Exchange every_exchange[] = {Exchange::nonblocking, Exchange::blocking, Exchange::persistent,
                                              Exchange::one_sided};

std::string_view name(Exchange exchange);
/// Throws InvalidInput with the words allowed.
Exchange parse_exchange(std::string_view word);

/// Whether an all-gather travels from the moment it is posted or only while somebody waits for it.
enum class Gathering { nonblocking, blocking };

std::string_view name(Gathering gathering);
/// Throws InvalidInput with the words allowed.
Gathering parse_gathering(std::string_view word);

} // namespace ringscale::ring
