// SPDX-License-Identifier: Apache-2.0
#include "ring/polled_transport.hpp"

#include <memory>
#include <utility>

namespace ringscale::ring {

namespace {

/// MPI_Iallgatherv reads these until it has completed.
struct GatherArguments {
  std::vector<int> counts;
  std::vector<int> offsets;
};

} // namespace

Ticket PolledTransport::post_all_gather(const std::byte *own, std::byte *gathered, std::span<const GatheredPart> parts,
                                        Gathering gathering, const Site &site) {
  require_gatherable(parts, communicator_.size());
  const Ticket ticket = next_ticket();
  const auto arguments = std::make_shared<GatherArguments>();
  std::int64_t bytes = 0;
  for (const GatheredPart &part : parts) {
    arguments->counts.push_back(static_cast<int>(part.bytes));
    arguments->offsets.push_back(part.bytes == 0 ? 0 : static_cast<int>(part.offset_bytes));
    bytes += part.bytes;
  }
  ++counters_.gathers;
  counters_.gathered_bytes += bytes;
  const GatheredPart own_part = parts[static_cast<std::size_t>(communicator_.rank())];
  const bool in_place = own == gathered + own_part.offset_bytes;
  const auto start = [=, this] {
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Iallgatherv(in_place ? MPI_IN_PLACE : own, static_cast<int>(own_part.bytes), MPI_BYTE, gathered,
                              arguments->counts.data(), arguments->offsets.data(), MPI_BYTE, communicator_.handle(),
                              &request),
              "MPI_Iallgatherv", site);
    count_request();
    requests_.add(request, {ticket, RequestSet::Kind::gather, -1, static_cast<int>(bytes), site, nullptr, arguments});
  };
  if (gathering == Gathering::blocking) {
    // Not MPI_Allgatherv itself: nothing could end that when a rank is lost.
    start_in_wait(start);
  } else {
    start();
  }
  return ticket;
}

bool PolledTransport::progress() {
  if (!moves_only_in_waits()) {
    poll();
  }
  return deferred_.empty() && !anything_travels();
}

void PolledTransport::wait(std::span<const Ticket> tickets, const Site &site) {
  start_deferred();
  if (travels(tickets)) {
    poll_until([&] { return !travels(tickets); }, site);
  }
}

void PolledTransport::wait_all(const Site &site) {
  start_deferred();
  poll_until([&] { return !anything_travels(); }, site);
}

void PolledTransport::poll_until(const std::function<bool()> &done, const Site &site) {
  wait_until(
      [&] {
        poll();
        return done();
      },
      communicator_.deadline_s(), communicator_.wait_mode(), site, [this] { return describe_outstanding(); });
}

void PolledTransport::start_deferred() {
  for (const std::function<void()> &start : std::exchange(deferred_, {})) {
    start();
  }
}

void PolledTransport::poll() { requests_.poll(); }
bool PolledTransport::travels(std::span<const Ticket> tickets) const { return requests_.holds_any(tickets); }
bool PolledTransport::anything_travels() const { return !requests_.empty(); }
std::string PolledTransport::describe_outstanding() const { return requests_.describe_outstanding(); }

void PolledTransport::count_send(std::int64_t bytes) {
  ++counters_.messages_sent;
  counters_.bytes_sent += bytes;
}

void PolledTransport::count_receive(std::int64_t bytes) {
  ++counters_.messages_received;
  counters_.bytes_received += bytes;
}

void PolledTransport::count_request() {
  ++counters_.requests_created;
  ++counters_.requests_started;
}

} // namespace ringscale::ring
