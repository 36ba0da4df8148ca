// SPDX-License-Identifier: Apache-2.0
#include "sweep/stop_signal.hpp"

#include <array>
#include <csignal>

namespace ringscale::sweep {

namespace {

constexpr std::array signals{SIGTERM, SIGINT, SIGUSR1};
volatile std::sig_atomic_t last_signal = 0;

extern "C" void note_signal(int signal) { last_signal = signal; }

} // namespace

StopSignal::StopSignal() {
  last_signal = 0;
  for (const int signal : signals) {
    struct sigaction action {};
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
  }
}

StopSignal::~StopSignal() {
  for (const int signal : signals) {
    std::signal(signal, SIG_DFL);
  }
}

const char *StopSignal::received() {
  switch (last_signal) {
  case SIGTERM:
    return "SIGTERM";
  case SIGINT:
    return "SIGINT";
  case SIGUSR1:
    return "SIGUSR1";
  default:
    return nullptr;
  }
}

} // namespace ringscale::sweep
