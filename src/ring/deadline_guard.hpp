// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "ring/deadline.hpp"

namespace ringscale::ring {

/// Ends the job as wait_until does when a call that cannot be polled does not come back (MPI_Win_flush: MPI has no
/// nonblocking form). One thread watches, and calls MPI only to end the job.
class DeadlineGuard {
public:
  /// 0 seconds: no deadline and no thread.
  explicit DeadlineGuard(double deadline_s);
  ~DeadlineGuard();
  DeadlineGuard(const DeadlineGuard &) = delete;
  DeadlineGuard &operator=(const DeadlineGuard &) = delete;

  /// Runs `call` with the deadline counting from now; `outstanding` is what the last message names as missing.
  template <class Call> void run(const Site &site, const std::string &outstanding, const Call &call) {
    const Armed armed(*this, site, outstanding);
    call();
  }

private:
  struct Watched {
    double end_s = 0.0;
    Site site;
    std::string outstanding;
  };
  struct Armed {
    Armed(DeadlineGuard &owner, const Site &site, const std::string &outstanding);
    ~Armed();
    Armed(const Armed &) = delete;
    Armed &operator=(const Armed &) = delete;
    DeadlineGuard &guard;
  };
  void watch();

  double deadline_s_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Watched> watched_;
  bool ending_ = false;
  std::thread thread_;
};

} // namespace ringscale::ring
