// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace ringscale::ring {

/// Where in the ring a call or a wait stands; -1 where it does not apply.
struct Site {
  const char *what = "";
  int rank = -1;
  std::int64_t step = -1;
  int send_to = -1;
  int receive_from = -1;
};

/// "rank 2, step 3, receiving from rank 1, sending to rank 3" as far as it applies.
std::string describe(const Site &site);

/// An MPI call returned something else than MPI_SUCCESS. The message names call, rank, peer, step and MPI's own text.
class MpiFailure : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// The one place that looks at return codes: throws MpiFailure unless `code` is MPI_SUCCESS.
void check_mpi(int code, const char *call, const Site &site);

} // namespace ringscale::ring
