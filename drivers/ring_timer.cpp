// SPDX-License-Identifier: Apache-2.0
#include "drivers/ring_timer.hpp"

#include <algorithm>
#include <fstream>
#include <string>

#include "drivers/session.hpp"
#include "ring/communicator.hpp"
#include "ring/ring_run.hpp"

namespace ringscale::drivers {

namespace {

/// Ranks in network namespaces of one host are strangers to MPI and still share its cores; the running kernel's
/// identity tells. Empty where the system has none, which makes all ranks one host.
std::string host_identity() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string identity;
  std::getline(file, identity);
  return identity;
}

} // namespace

RingTimer::RingTimer(Session &session, ring::Communicator &world) : session_(session), world_(world) {
  const std::vector<std::string> hosts = world.all_gather(host_identity());
  for (const std::string &host : hosts) {
    host_of_rank_.push_back(static_cast<int>(std::find(hosts.begin(), hosts.end(), host) - hosts.begin()));
  }
}

void RingTimer::time(const std::vector<RingSetting> &settings, int samples, statistics::Typical typical) {
  rings_.resize(std::max(rings_.size(), settings.size()));
  for (std::size_t place = 0; place < settings.size(); ++place) {
    session_.progress("ring " + describe(settings[place].problem));
    rings_[place].typical = typical;
    time(settings[place], samples, rings_[place]);
    world_.sleeping_barrier();
  }
}

void RingTimer::time(const RingSetting &setting, int samples, simulator::MeasuredRing &measured) {
  const auto ring_size = static_cast<int>(setting.problem.ring_size);
  ring::Communicator group = world_.split_first(ring_size);
  if (!group.is_member()) {
    return;
  }
  ring::RingOptions options;
  options.problem = setting.problem;
  options.seed = session_.options.seed;
  options.warmup = 2; // buffers are new each time; after one pass alone times are still a few percent longer
  options.repetitions = samples;
  options.verify = false; // the ring verb verifies; here only time counts
  const ring::RingRun run = ring::run_ring(group, options);
  measured.options.problem = setting.problem;
  measured.options.ranks_on_node = std::count(host_of_rank_.begin(), host_of_rank_.begin() + ring_size, 0);
  measured.samples_s.insert(measured.samples_s.end(), run.samples_s.begin(), run.samples_s.end());
}

} // namespace ringscale::drivers
