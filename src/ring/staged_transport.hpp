// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <map>
#include <memory>
#include <vector>

#include "kernels/types.hpp"
#include "memory/tracked_buffer.hpp"
#include "ring/transport.hpp"

namespace ringscale::ring {

/// Sends device memory through host memory, for an MPI that cannot read the device's: device buffer, host staging
/// buffer, message, host staging buffer, device buffer. Only the buffers differ from the direct path: the messages are
/// those of the transport below. On host backends the copies are made all the same. The transport and the ledger must
/// outlive it. A posted send buffer must hold its data: work on other execution space instances is fenced by the
/// caller.
class StagedTransport : public Transport {
public:
  /// `rank` is this rank's place among the parts of an all-gather. Staging buffers come from a pool, counted in
  /// `ledger` as communication; those that would leave more than `most_idle_bytes` unused are freed instead of kept.
  StagedTransport(Transport &below, int rank, memory::Ledger &ledger,
                  std::int64_t most_idle_bytes = std::int64_t{1} << 32);

  Ticket post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) override;
  Ticket post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                   const Site &site) override;
  Ticket post_all_gather(const std::byte *own, std::byte *gathered, std::span<const GatheredPart> parts,
                         Gathering gathering, const Site &site) override;
  bool progress() override;
  void wait(std::span<const Ticket> tickets, const Site &site) override;
  void wait_all(const Site &site) override;
  TransportCounters counters() const override;

private:
#ifdef KOKKOS_HAS_SHARED_HOST_PINNED_SPACE
  using StagingSpace = Kokkos::SharedHostPinnedSpace;
#else
  using StagingSpace = Kokkos::HostSpace;
#endif
  using StagingBuffer = memory::TrackedBuffer<StagingSpace>;

  /// Bytes that go back to the device when the operation has completed.
  struct CopyBack {
    std::byte *device = nullptr;
    std::int64_t staging_offset_bytes = 0;
    std::int64_t bytes = 0;
  };
  struct Pending {
    StagingBuffer staging;
    std::vector<CopyBack> copies;
  };

  StagingBuffer take(std::int64_t bytes);
  void give_back(StagingBuffer buffer);
  void copy_to_staging(std::byte *staging, const std::byte *device, std::int64_t bytes);
  void finish(Pending &pending);
  void finish_all();

  Transport &below_;
  int rank_;
  memory::Ledger &ledger_;
  std::int64_t most_idle_bytes_;
  kernels::ExecutionSpace space_;
  std::vector<StagingBuffer> idle_;
  std::map<Ticket, Pending> pending_; ///< by the ticket below, which is handed on
  std::int64_t staged_bytes_ = 0;
  std::int64_t pool_bytes_ = 0;
};

} // namespace ringscale::ring
