// SPDX-License-Identifier: Apache-2.0
#include "drivers/limit_flags.hpp"

#include <CLI/CLI.hpp>

#include <limits>

#include "problem/invalid_input.hpp"

namespace ringscale::drivers {

void add_limit_flags(CLI::App &verb, LimitFlags &flags, std::initializer_list<LimitFlag> honoured) {
  for (const LimitFlag flag : honoured) {
    switch (flag) {
    case LimitFlag::communication:
      verb.add_option("--communication-limit", flags.communication,
                      "Most bytes of one message, such as 512MiB; 0: no limit (default 1GB)");
      break;
    case LimitFlag::projection:
      verb.add_option("--projection-limit", flags.projection_elements,
                      "Most elements of one projection's weights; 0: no limit")
          ->capture_default_str()
          ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()));
      break;
    case LimitFlag::memory:
      verb.add_option("--memory-limit", flags.memory,
                      "Most bytes of one rank's tensors, such as 4GiB; 0: no limit (default)");
      break;
    case LimitFlag::lower_precision:
      verb.add_flag("--allow-lower-precision", flags.allow_lower_precision,
                    "--memory-limit may store tensors as bfloat16 when nothing else is enough; the row says so");
      break;
    }
  }
}

memory::Limits limits_of(const LimitFlags &flags) {
  memory::Limits limits;
  if (!flags.communication.empty()) {
    limits.communication_bytes = memory::parse_bytes("--communication-limit", flags.communication);
  }
  limits.projection_elements = flags.projection_elements;
  if (!flags.memory.empty()) {
    limits.memory_bytes = memory::parse_bytes("--memory-limit", flags.memory);
  }
  if (flags.allow_lower_precision && limits.memory_bytes == 0) {
    throw problem::InvalidInput("--allow-lower-precision has no effect without --memory-limit; set one, or ask for "
                                "--dtype bfloat16");
  }
  return limits;
}

} // namespace ringscale::drivers
