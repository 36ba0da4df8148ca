// SPDX-License-Identifier: Apache-2.0
#include "drivers/simulate/output.hpp"

#include <array>
#include <cstdio>

namespace ringscale::drivers {

std::string shown(double value, const char *unit) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.6g %s", value, unit);
  return text.data();
}

void print_table(Session &session, const machine::Machine &machine, const simulator::Simulation &result) {
  session.say("time              " + shown(result.time_s, "s  simulated on ") + machine.name + " (" + machine.kind +
              ", " + result.dtype + ")");
  session.say("throughput        " + shown(result.tokens_per_s, "tokens/s in all, ") +
              shown(result.tokens_per_s_per_device, "tokens/s per device"));
  session.say("efficiency        " +
              shown(100.0 * result.efficiency, "% of the time of the average device is work; bound by ") +
              result.bound);
  session.say("memory per device " + shown(static_cast<double>(result.memory_peak_bytes) / 1e9, "GB of ") +
              shown(static_cast<double>(result.device_memory_bytes) / 1e9, "GB") +
              (result.fits_memory ? "" : ": does not fit"));
  session.say("devices finish    " + shown(result.finish.p0_s, "s first, ") + shown(result.finish.p50_s, "s median, ") +
              shown(result.finish.p100_s, "s last"));
  if (result.hold_out_points > 0) {
    session.say("error             " + shown(100.0 * result.hold_out_median_relative_error, "% median on ") +
                std::to_string(result.hold_out_points) + " real rings left out of the fit");
  } else {
    session.say("error             unknown: this machine file was written from published numbers, not calibrated");
  }
  if (result.extrapolated) {
    session.say("extrapolated      " + result.extrapolation);
  }
  if (result.result_hops > 0.0) {
    session.say("results           " + shown(result.result_hops, "messages of up to ") +
                shown(result.result_hop_bytes, "bytes, times of ") + result.time_source);
  }
  session.say("simulator         " + shown(result.hops, "hops in ") + shown(result.wall_s, "s, ") + result.engine +
              " engine");
}

void explain(Session &session, const simulator::Breakdown &part) {
  session.say("slowest device    rank " + std::to_string(part.rank));
  const auto line = [&](const char *name, double seconds) {
    std::array<char, 96> text{};
    std::snprintf(text.data(), text.size(), "  %-26s %14.6g s  %6.2f %%", name, seconds,
                  100.0 * seconds / part.total_s);
    session.say(text.data());
  };
  line("compute", part.compute_s);
  line("merge", part.merge_s);
  line("fixed per step", part.fixed_s);
  line("exposed communication", part.exposed_communication_s);
  line("waiting for neighbours", part.waiting_s);
  line("total", part.total_s);
}

} // namespace ringscale::drivers
