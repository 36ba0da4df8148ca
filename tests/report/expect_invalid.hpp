// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "problem/invalid_input.hpp"

namespace ringscale {

/// Runs `call`, which must throw InvalidInput with one line that holds every one of `parts`.
template <class Call> void expect_invalid(Call &&call, const std::vector<std::string> &parts) {
  try {
    call();
    ADD_FAILURE() << "nothing was refused; expected a message with '" << parts.front() << "'";
  } catch (const problem::InvalidInput &error) {
    const std::string message = error.what();
    for (const std::string &part : parts) {
      EXPECT_THAT(message, testing::HasSubstr(part));
    }
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 600U) << message;
  }
}

} // namespace ringscale
