// SPDX-License-Identifier: Apache-2.0
#include "simulator/smpi_trace.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <locale>

#include "problem/invalid_input.hpp"
#include "simulator/tick_costs.hpp"

namespace ringscale::simulator {

using problem::InvalidInput;

namespace {

/// Operations a second of the platform's hosts: a trace's compute lines are seconds times this.
constexpr double host_speed = 1.0e9;

/// SMPI adds an envelope (tag, destination, communicator) to every message.
constexpr std::int64_t smpi_envelope_bytes = 16;

std::string shown(double value) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.17g", value);
  return text.data();
}

std::ofstream open_new(const std::filesystem::path &path) {
  std::ofstream file(path);
  file.imbue(std::locale::classic());
  if (!file) {
    throw InvalidInput("cannot write " + path.string());
  }
  return file;
}

void write_platform(const RingCosts &costs, const std::filesystem::path &folder) {
  std::ofstream platform = open_new(folder / "platform.xml");
  std::ofstream hosts = open_new(folder / "hosts.txt");
  const std::int64_t ring_size = costs.ring_size();
  platform << "<?xml version='1.0'?>\n<!DOCTYPE platform SYSTEM \"https://simgrid.org/simgrid.dtd\">\n"
           << "<platform version=\"4.1\">\n<zone id=\"ring\" routing=\"Full\">\n";
  for (std::int64_t rank = 0; rank < ring_size; ++rank) {
    platform << "<host id=\"h" << rank << "\" speed=\"" << shown(host_speed) << "f\"/>\n";
    hosts << "h" << rank << "\n";
  }
  // hop_in(rank) = latency + bytes / bandwidth. The hop as a whole is what matters, so all of it but a nanosecond is
  // put on the bandwidth side.
  for (std::int64_t rank = 0; rank < ring_size && ring_size > 1; ++rank) {
    const double latency_s = std::min(1e-9, 0.5 * costs.hop_s(rank));
    platform << "<link id=\"l" << rank << "\" bandwidth=\""
             << shown(costs.hop_bytes() / (costs.hop_s(rank) - latency_s)) << "Bps\" latency=\"" << shown(latency_s)
             << "s\" sharing_policy=\"SPLITDUPLEX\"/>\n";
  }
  for (std::int64_t rank = 0; rank < ring_size && ring_size > 1; ++rank) {
    const std::int64_t before = (rank - 1 + ring_size) % ring_size;
    platform << "<route src=\"h" << before << "\" dst=\"h" << rank << "\" symmetrical=\"NO\"><link_ctn id=\"l" << rank
             << "\" direction=\"UP\"/></route>\n";
    if (ring_size > 2) {
      platform << "<route src=\"h" << rank << "\" dst=\"h" << before << "\" symmetrical=\"NO\"><link_ctn id=\"l" << rank
               << "\" direction=\"DOWN\"/></route>\n";
    }
  }
  platform << "</zone>\n</platform>\n";
}

void write_rank(const RingCosts &costs, const SimulationOptions &options, std::int64_t rank,
                const std::filesystem::path &file_name) {
  // Costs as whole picoseconds: far finer than the replay's own resolution.
  const TickScale picoseconds{1e-12, 0};
  std::ofstream file = open_new(file_name);
  const auto seconds_line = [&](std::int64_t ticks) {
    if (ticks > 0) {
      file << rank << " compute " << shown(static_cast<double>(ticks) * picoseconds.tick_s * host_speed) << "\n";
    }
  };
  const std::int64_t bytes =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(costs.hop_bytes()) - smpi_envelope_bytes);
  file << rank << " init\n";
  for (std::int64_t step = 0; step < costs.steps(); ++step) {
    const schedule::Step plan = schedule::step_of(options.problem, rank, step);
    if (plan.receive_from >= 0) {
      file << rank << " irecv " << plan.receive_from << " 0 " << bytes << " 6\n";
    }
    if (plan.send_to >= 0) {
      file << rank << " isend " << plan.send_to << " 0 " << bytes << " 6\n";
    }
    const std::int64_t work = work_ticks(costs, options, picoseconds, rank, step);
    seconds_line(work + jitter_ticks(options, rank, step, amplitude_ticks(options, work)));
    if (plan.receive_from >= 0) {
      file << rank << " waitall\n";
      seconds_line(exposed_ticks(costs, picoseconds, rank, step));
    }
  }
  file << rank << " finalize\n";
}

} // namespace

std::string exact_smpi_settings() {
  std::string settings;
  for (const char *setting :
       {"network/model:CM02", "network/crosstraffic:0", "network/TCP-gamma:0", "network/latency-factor:1",
        "network/bandwidth-factor:1", "network/weight-S:0", "smpi/simulate-computation:1", "smpi/cpu-threshold:1e9",
        "smpi/send-is-detached-thresh:0"}) {
    settings += std::string(settings.empty() ? "" : " ") + "--cfg=" + setting;
  }
  return settings;
}

std::string write_smpi_trace(const machine::Machine &machine, const SimulationOptions &options,
                             const std::filesystem::path &folder) {
  validate(options);
  if (options.problem.ring_size > most_traced_ranks) {
    throw InvalidInput("ring_size " + std::to_string(options.problem.ring_size) +
                       " is too large to trace; SimGrid replays "
                       "up to " +
                       std::to_string(most_traced_ranks) + " ranks");
  }
  const RingCosts costs(machine, options);
  std::error_code problem;
  if (!std::filesystem::create_directory(folder, problem)) {
    throw InvalidInput("cannot make the trace folder " + folder.string() + ": " +
                       (problem ? problem.message() : "it exists already"));
  }
  write_platform(costs, folder);
  std::ofstream list = open_new(folder / "traces.txt");
  for (std::int64_t rank = 0; rank < costs.ring_size(); ++rank) {
    const std::filesystem::path file = folder / ("rank-" + std::to_string(rank) + ".txt");
    write_rank(costs, options, rank, file);
    list << std::filesystem::absolute(file).string() << "\n";
  }
  return "smpirun -np " + std::to_string(costs.ring_size()) + " -platform " + (folder / "platform.xml").string() +
         " -hostfile " + (folder / "hosts.txt").string() + " -replay " + (folder / "traces.txt").string() + " " +
         exact_smpi_settings();
}

} // namespace ringscale::simulator
