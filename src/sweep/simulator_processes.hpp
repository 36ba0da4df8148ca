// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ring/communicator.hpp"
#include "simulator/process_group.hpp"

namespace ringscale::sweep {

/// The ranks of a job as processes of the simulator; messages through `world`, which it keeps a reference to. Throws
/// ring::MpiFailure.
class SimulatorProcesses : public simulator::ProcessGroup {
public:
  explicit SimulatorProcesses(ring::Communicator &world) : world_(world) {}
  int rank() const override { return world_.rank(); }
  int size() const override { return world_.size(); }
  void all_gather(std::span<const std::int64_t> mine, std::span<std::int64_t> everyones) override {
    world_.start_all_gather(std::as_bytes(mine), std::as_writable_bytes(everyones)).wait();
  }

private:
  ring::Communicator &world_;
};

} // namespace ringscale::sweep
