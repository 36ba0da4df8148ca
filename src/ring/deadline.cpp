// SPDX-License-Identifier: Apache-2.0
#include "ring/deadline.hpp"

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>

#include "ring/end_job.hpp"

namespace ringscale::ring {

namespace {

constexpr int watchdog_exit_code = 124;
constexpr int longest_spin = 2000; // polls, a few hundred microseconds
constexpr auto longest_nap = std::chrono::microseconds(500);

} // namespace

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void wait_until(const std::function<bool()> &done, double deadline_s, WaitMode mode, const Site &site,
                const Outstanding &outstanding) {
  if (done()) {
    return;
  }
  const double begin_s = now_s();
  int spins = 0;
  auto nap = std::chrono::microseconds(20);
  while (!done()) {
    if (deadline_s > 0.0 && !(now_s() - begin_s <= deadline_s)) {
      end_at_deadline(deadline_s, site, outstanding ? outstanding() : std::string());
    }
    if (mode == WaitMode::yield || (mode == WaitMode::spin && spins >= longest_spin)) {
      sched_yield();
    } else if (mode == WaitMode::sleep) {
      std::this_thread::sleep_for(nap);
      nap = std::min(2 * nap, std::chrono::microseconds(longest_nap));
    } else {
      ++spins;
    }
  }
}

void end_at_deadline(double deadline_s, const Site &site, const std::string &outstanding) {
  std::fprintf(stderr, "ringscale watchdog: nothing within %g s: %s%s%s\n", deadline_s, describe(site).c_str(),
               outstanding.empty() ? "" : "; outstanding: ", outstanding.c_str());
  end_job(watchdog_exit_code);
}

} // namespace ringscale::ring
