// SPDX-License-Identifier: Apache-2.0
#include "ring/deadline_guard.hpp"

#include <algorithm>
#include <chrono>

namespace ringscale::ring {

DeadlineGuard::DeadlineGuard(double deadline_s) : deadline_s_(deadline_s) {
  if (deadline_s_ > 0.0) {
    thread_ = std::thread([this] { watch(); });
  }
}

DeadlineGuard::~DeadlineGuard() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
}

DeadlineGuard::Armed::Armed(DeadlineGuard &owner, const Site &site, const std::string &outstanding) : guard(owner) {
  const std::lock_guard lock(guard.mutex_);
  guard.watched_ = Watched{now_s() + guard.deadline_s_, site, outstanding};
}

DeadlineGuard::Armed::~Armed() {
  const std::lock_guard lock(guard.mutex_);
  guard.watched_.reset();
}

void DeadlineGuard::watch() {
  // Looks a few times a deadline instead of being woken for every call: calls are many, lost ranks rare.
  const auto pause = std::chrono::duration<double>(std::min(0.25, deadline_s_ / 4.0));
  std::unique_lock lock(mutex_);
  while (!ending_) {
    changed_.wait_for(lock, pause);
    if (watched_ && !ending_ && !(now_s() <= watched_->end_s)) {
      end_at_deadline(deadline_s_, watched_->site, watched_->outstanding);
    }
  }
}

} // namespace ringscale::ring
