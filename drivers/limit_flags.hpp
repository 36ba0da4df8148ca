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

/// --communication-limit, --projection-limit and --memory-limit as typed; empty is the default of memory::Limits.
struct LimitFlags {
  std::string communication;
  std::int64_t projection_elements = memory::Limits().projection_elements;
  std::string memory;
};

enum class LimitFlag { communication, projection, memory };

/// Adds those of the three that a verb honours.
void add_limit_flags(CLI::App &verb, LimitFlags &flags, std::initializer_list<LimitFlag> honoured);

/// Throws InvalidInput for what is no size.
memory::Limits limits_of(const LimitFlags &flags);

} // namespace ringscale::drivers
