// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>

#include <memory>

#include "ring/device_stream.hpp"

namespace ringscale::nccl_stand_in {

/// What goes wrong on this rank from now on. no_id: ncclGetUniqueId fails. failed_start: joining ends in an error.
/// endless_start: joining never ends. failed_group: ncclGroupEnd reports an error. async_error: a group that was
/// accepted fails while it travels. endless_group: it is never put into the stream. lost_messages: it is, and never
/// arrives.
enum class Fault { none, no_id, failed_start, endless_start, failed_group, async_error, endless_group, lost_messages };

/// The ranks that the next ncclCommInitRankConfig joins (a real NCCL finds them by the id). Fresh counters, no fault.
void prepare(MPI_Comm communicator);
void inject(Fault fault);

struct Counters {
  int groups = 0;
  int sends = 0;
  int receives = 0;
  int aborted = 0;
  int destroyed = 0;
  int misused = 0; ///< calls NCCL forbids: outside a group, before joining ended, after the end
};
Counters counters();

/// A stream of host memory: groups run one after the other, and only while somebody asks for a mark or a state.
std::unique_ptr<ring::DeviceStream> make_stream();

} // namespace ringscale::nccl_stand_in
