// SPDX-License-Identifier: Apache-2.0
#include "simulator/variation_text.hpp"

#include "problem/readable_number.hpp"

namespace ringscale::simulator {

using problem::readable;

std::string variation_text(const SimulationOptions &options) {
  std::string text;
  const auto add = [&](const std::string &part) { text += (text.empty() ? "" : ", ") + part; };
  if (options.speed_spread > 0.0) {
    add("speed spread " + readable(options.speed_spread));
  }
  if (options.measured_jitter) {
    add("jitter measured");
  } else if (options.jitter > 0.0) {
    add("jitter " + readable(options.jitter));
  }
  if (options.straggler_share > 0.0) {
    add("stragglers " + readable(options.straggler_share) + " of the devices, " + readable(options.straggler_factor) +
        " times slower");
  }
  if (!options.device_speeds.empty()) {
    add("speeds of devices as listed");
  }
  if (options.tile_speedup != 1.0) {
    add("what-if: tiles " + readable(options.tile_speedup) + " times faster than the machine's");
  }
  return text;
}

} // namespace ringscale::simulator
