// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "ring/communicator.hpp"
#include "ring/request_set.hpp"
#include "ring/transport.hpp"

namespace ringscale::ring {

/// What the transports over MPI share: tickets, polling to completion within the communicator's deadline, operations
/// that only start in a wait, all-gathers and counters. A derived class posts its messages into `requests_`, or keeps
/// operations of its own and overrides the hooks. The communicator must outlive it.
class PolledTransport : public Transport {
public:
  Ticket post_all_gather(const std::byte *own, std::byte *gathered, std::span<const GatheredPart> parts,
                         Gathering gathering, const Site &site) override;
  bool progress() final;
  void wait(std::span<const Ticket> tickets, const Site &site) final;
  void wait_all(const Site &site) final;
  TransportCounters counters() const override { return counters_; }

protected:
  explicit PolledTransport(const Communicator &communicator) : communicator_(communicator) {}

  /// One look at the network; whether any of `tickets`, or anything at all, still travels; names of what does.
  virtual void poll();
  virtual bool travels(std::span<const Ticket> tickets) const;
  virtual bool anything_travels() const;
  virtual std::string describe_outstanding() const;
  /// True for a transport whose progress() does not look at the network.
  virtual bool moves_only_in_waits() const { return false; }

  /// Runs `start` at the beginning of the next wait; progress() is false until then.
  void start_in_wait(std::function<void()> start) { deferred_.push_back(std::move(start)); }

  Ticket next_ticket() { return ++last_ticket_; }
  void count_send(std::int64_t bytes);
  void count_receive(std::int64_t bytes);
  void count_request();

  const Communicator &communicator_;
  RequestSet requests_;
  TransportCounters counters_;

private:
  void start_deferred();
  void poll_until(const std::function<bool()> &done, const Site &site);

  Ticket last_ticket_ = 0;
  std::vector<std::function<void()>> deferred_;
};

} // namespace ringscale::ring
