// SPDX-License-Identifier: Apache-2.0
#include "drivers/host_load.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <limits>
#include <string>

#include "ring/communicator.hpp"

namespace ringscale::drivers {

namespace {

struct ProcessorSeconds {
  double busy_s = std::numeric_limits<double>::quiet_NaN();
  double all_s = std::numeric_limits<double>::quiet_NaN();
};

/// Of all processors since the system started: user, nice, system, idle, waiting for disks, interrupts (hard, soft),
/// and what other virtual machines took.
ProcessorSeconds host_seconds() {
  std::ifstream file("/proc/stat");
  std::string word;
  std::array<double, 8> ticks{};
  file >> word;
  for (double &tick : ticks) {
    file >> tick;
  }
  if (!file || word != "cpu") {
    return {};
  }
  double all = 0.0;
  for (const double tick : ticks) {
    all += tick;
  }
  constexpr std::size_t idle = 3;
  constexpr std::size_t disk = 4;
  const auto ticks_per_s = static_cast<double>(sysconf(_SC_CLK_TCK));
  return {(all - ticks[idle] - ticks[disk]) / ticks_per_s, all / ticks_per_s};
}

double own_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval &time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

} // namespace

HostLoad::HostLoad(ring::Communicator &world) : world_(world) {
  const ProcessorSeconds host = host_seconds();
  busy_s_ = host.busy_s;
  all_s_ = host.all_s;
  own_s_ = own_seconds();
}

double HostLoad::others_share() const {
  const ProcessorSeconds host = host_seconds();
  const double own_s = world_.sum(own_seconds() - own_s_);
  const double share = (host.busy_s - busy_s_ - own_s) / (host.all_s - all_s_);
  return share < 0.0 ? 0.0 : share; // the two clocks differ by some ticks
}

} // namespace ringscale::drivers
