// SPDX-License-Identifier: Apache-2.0
#include "sweep/stop_signal.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <utility>

namespace ringscale::sweep {
namespace {

TEST(StopSignal, NotesWhatWasReceived) {
  for (const auto &[signal, name] : {std::pair{SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGUSR1, "SIGUSR1"}}) {
    const StopSignal stop;
    EXPECT_EQ(StopSignal::received(), nullptr);
    std::raise(signal);
    EXPECT_STREQ(StopSignal::received(), name);
  }
}

TEST(StopSignal, LetsASecondSignalEndTheProcess) {
  EXPECT_EXIT(
      {
        const StopSignal stop;
        std::raise(SIGTERM);
        std::raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

} // namespace
} // namespace ringscale::sweep
