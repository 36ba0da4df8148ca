// SPDX-License-Identifier: Apache-2.0
#include "ring/staged_transport.hpp"

#include <algorithm>

namespace ringscale::ring {

namespace {

template <class Space> using Bytes = Kokkos::View<std::byte *, Space, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
template <class Space>
using ConstBytes = Kokkos::View<const std::byte *, Space, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;

} // namespace

StagedTransport::StagedTransport(Transport &below, int rank, memory::Ledger &ledger, std::int64_t most_idle_bytes)
    : below_(below), rank_(rank), ledger_(ledger), most_idle_bytes_(most_idle_bytes) {}

Ticket StagedTransport::post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag,
                                     const Site &site) {
  StagingBuffer staging = take(bytes);
  const Ticket ticket = below_.post_receive(source, staging.data(), bytes, tag, site);
  pending_.emplace(ticket, Pending{std::move(staging), {{buffer, 0, bytes}}});
  return ticket;
}

Ticket StagedTransport::post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                                  const Site &site) {
  StagingBuffer staging = take(bytes);
  copy_to_staging(staging.data(), buffer, bytes);
  const Ticket ticket = below_.post_send(destination, staging.data(), bytes, tag, site);
  pending_.emplace(ticket, Pending{std::move(staging), {}});
  return ticket;
}

Ticket StagedTransport::post_all_gather(const std::byte *own, std::byte *gathered, std::span<const GatheredPart> parts,
                                        Gathering gathering, const Site &site) {
  require_parts(parts, static_cast<int>(parts.size()));
  std::int64_t end_bytes = 0;
  Pending pending;
  for (const GatheredPart &part : parts) {
    end_bytes = std::max(end_bytes, part.offset_bytes + part.bytes);
    pending.copies.push_back({gathered + part.offset_bytes, part.offset_bytes, part.bytes});
  }
  pending.staging = take(end_bytes);
  const GatheredPart own_part = parts[static_cast<std::size_t>(rank_)];
  std::byte *own_staged = pending.staging.data() + own_part.offset_bytes;
  copy_to_staging(own_staged, own, own_part.bytes);
  const Ticket ticket = below_.post_all_gather(own_staged, pending.staging.data(), parts, gathering, site);
  pending_.emplace(ticket, std::move(pending));
  return ticket;
}

bool StagedTransport::progress() {
  if (!below_.progress()) {
    return false;
  }
  finish_all();
  return true;
}

void StagedTransport::wait(std::span<const Ticket> tickets, const Site &site) {
  below_.wait(tickets, site);
  for (const Ticket ticket : tickets) {
    if (const auto found = pending_.find(ticket); found != pending_.end()) {
      finish(found->second);
      pending_.erase(found);
    }
  }
}

void StagedTransport::wait_all(const Site &site) {
  below_.wait_all(site);
  finish_all();
}

TransportCounters StagedTransport::counters() const {
  TransportCounters counters = below_.counters();
  counters.staged_bytes += staged_bytes_;
  counters.staging_pool_bytes += pool_bytes_;
  return counters;
}

StagedTransport::StagingBuffer StagedTransport::take(std::int64_t bytes) {
  // The smallest that is large enough.
  auto best = idle_.end();
  for (auto candidate = idle_.begin(); candidate != idle_.end(); ++candidate) {
    if (candidate->bytes() >= bytes && (best == idle_.end() || candidate->bytes() < best->bytes())) {
      best = candidate;
    }
  }
  if (best == idle_.end()) {
    pool_bytes_ += bytes;
    return {ledger_, memory::Purpose::communication, "staging", bytes};
  }
  StagingBuffer taken = std::move(*best);
  idle_.erase(best);
  return taken;
}

void StagedTransport::give_back(StagingBuffer buffer) {
  std::int64_t idle_bytes = buffer.bytes();
  for (const StagingBuffer &idle : idle_) {
    idle_bytes += idle.bytes();
  }
  if (idle_bytes > most_idle_bytes_) {
    pool_bytes_ -= buffer.bytes(); // freed here
    return;
  }
  idle_.push_back(std::move(buffer));
}

void StagedTransport::copy_to_staging(std::byte *staging, const std::byte *device, std::int64_t bytes) {
  const auto length = static_cast<std::size_t>(bytes);
  Kokkos::deep_copy(space_, Bytes<StagingSpace>(staging, length), ConstBytes<kernels::MemorySpace>(device, length));
  space_.fence("ringscale::staging: bytes to send are in host memory");
  staged_bytes_ += bytes;
}

void StagedTransport::finish(Pending &pending) {
  for (const CopyBack &copy : pending.copies) {
    const auto length = static_cast<std::size_t>(copy.bytes);
    Kokkos::deep_copy(space_, Bytes<kernels::MemorySpace>(copy.device, length),
                      ConstBytes<StagingSpace>(pending.staging.data() + copy.staging_offset_bytes, length));
    staged_bytes_ += copy.bytes;
  }
  if (!pending.copies.empty()) {
    space_.fence("ringscale::staging: received bytes are in device memory");
  }
  give_back(std::move(pending.staging));
}

void StagedTransport::finish_all() {
  for (auto &[ticket, pending] : pending_) {
    finish(pending);
  }
  pending_.clear();
}

} // namespace ringscale::ring
