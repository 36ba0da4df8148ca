// SPDX-License-Identifier: Apache-2.0
#include "ring/make_transport.hpp"

#include "problem/invalid_input.hpp"
#include "ring/mpi_transport.hpp"
#include "ring/one_sided_transport.hpp"
#include "ring/persistent_transport.hpp"

namespace ringscale::ring {

std::unique_ptr<Transport> make_transport(Exchange exchange, const Communicator &communicator,
                                          std::int64_t piece_bytes) {
  switch (exchange) {
  case Exchange::nonblocking:
    return std::make_unique<MpiTransport>(communicator, piece_bytes);
  case Exchange::blocking:
    return std::make_unique<BlockingTransport>(communicator, piece_bytes);
  case Exchange::persistent:
    return std::make_unique<PersistentTransport>(communicator, piece_bytes);
  case Exchange::one_sided:
    return std::make_unique<OneSidedTransport>(communicator, piece_bytes);
  }
  throw problem::InvalidInput("unknown exchange");
}

} // namespace ringscale::ring
