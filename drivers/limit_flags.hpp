// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "memory/limits.hpp"

namespace CLI {
class App;
}

namespace ringscale::drivers {

/// --communication-limit, --projection-limit and --memory-limit as typed, empty is the default of memory::Limits; and
/// whether the precision may be lowered to stay within the last.
struct LimitFlags {
  std::string communication;
  std::int64_t projection_elements = memory::Limits().projection_elements;
  std::string memory;
  bool allow_lower_precision = false;
};

enum class LimitFlag { communication, projection, memory, lower_precision };

/// Adds those that a verb honours.
void add_limit_flags(CLI::App &verb, LimitFlags &flags, std::initializer_list<LimitFlag> honoured);

/// Throws InvalidInput for what is no size, and for permission to stay within a limit that is not set.
memory::Limits limits_of(const LimitFlags &flags);

} // namespace ringscale::drivers
