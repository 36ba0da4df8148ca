// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace ringscale::problem {

/// Bad input from a user: a flag, a file or a shape. The message names what, where and what would be right, in
/// one line; the program ends with exit code 2 and has written nothing.
class InvalidInput : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

} // namespace ringscale::problem
