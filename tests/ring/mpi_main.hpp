// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ring/communicator.hpp"

namespace ringscale::ring {

/// All ranks of the test program.
Communicator &world();

/// Runs `body(ring)` on the first `size` ranks of the world while the others sleep; a world that is too small runs
/// nothing and returns false.
template <class Body> bool on_first_ranks(int size, const Body &body) {
  if (size > world().size()) {
    return false;
  }
  {
    Communicator ring = world().split_first(size);
    if (ring.is_member()) {
      body(ring);
    }
  }
  world().sleeping_barrier();
  return true;
}

} // namespace ringscale::ring
