// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>

#include "ring/mpi_check.hpp"

namespace ringscale::ring {

/// Seconds of the monotonic clock since an arbitrary moment.
double now_s();

/// How a wait spends its time between polls. spin: fastest hand-over, for a core of one's own; yields too once the wait
/// is no longer short, in case something else wants the core. yield: ranks share cores, so the core goes to a rank that
/// has work. sleep: nothing urgent, leave the cores alone.
enum class WaitMode { spin, yield, sleep };

/// What is still missing when a deadline passes, for the last message.
using Outstanding = std::function<std::string()>;

/// Polls `done` until it is true. After `deadline_s` seconds without it (0: wait for ever) prints one line naming the
/// site and what is outstanding on standard error and ends the job with code 124: a communicator with a dead rank
/// cannot be mended in MPICH 4, so the honest end is a prompt one.
void wait_until(const std::function<bool()> &done, double deadline_s, WaitMode mode, const Site &site,
                const Outstanding &outstanding);

/// What wait_until does at the end, for waits that are watched in another way.
[[noreturn]] void end_at_deadline(double deadline_s, const Site &site, const std::string &outstanding);

} // namespace ringscale::ring
