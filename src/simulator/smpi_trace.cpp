// SPDX-License-Identifier: Apache-2.0
#include "simulator/smpi_trace.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <locale>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "problem/invalid_input.hpp"
#include "simulator/plan_engine.hpp"

namespace ringscale::simulator {

using problem::InvalidInput;

namespace {

/// Operations a second of the platform's hosts: a trace's compute lines are seconds times this.
constexpr double host_speed = 1.0e9;

/// SMPI adds an envelope (tag, destination, communicator) to every message.
constexpr std::int64_t smpi_envelope_bytes = 16;

/// Sizes in the traces are times: the longest message has so many units, and every link carries that many in its time.
/// So the replay knows messages of any level, layout and length without a model of its own for each.
constexpr double longest_message_units = 1.0e9;

/// Costs as whole picoseconds: far finer than the replay's own resolution.
constexpr TickScale picoseconds{1e-12, 0};

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

/// Closes a file whose every byte must have reached it: a full disk shows only now.
void close(std::ofstream &file, const std::filesystem::path &path) {
  file.close();
  if (!file) {
    throw InvalidInput("cannot write all of " + path.string() + "; is the disk full?");
  }
}

/// The link through which a rank sends ('o') or receives ('i') on a channel.
std::string port(char way, std::int64_t channel, std::int64_t rank) {
  std::string name(1, way);
  name.append(std::to_string(channel)).append("_").append(std::to_string(rank));
  return name;
}

/// The two ends of every message that the replay will see, and the channel it takes.
using Routes = std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t>;

void write_hosts(std::int64_t ring_size, const std::filesystem::path &folder) {
  const std::filesystem::path path = folder / "hosts.txt";
  std::ofstream hosts = open_new(path);
  for (std::int64_t rank = 0; rank < ring_size; ++rank) {
    hosts << "h" << rank << "\n";
  }
  close(hosts, path);
}

void write_platform(const PlanCosts &costs, const Routes &routes, double units_per_s,
                    const std::filesystem::path &folder) {
  const std::filesystem::path path = folder / "platform.xml";
  std::ofstream platform = open_new(path);
  platform << "<?xml version='1.0'?>\n<!DOCTYPE platform SYSTEM \"https://simgrid.org/simgrid.dtd\">\n"
           << "<platform version=\"4.1\">\n<zone id=\"ring\" routing=\"Full\">\n";
  for (std::int64_t rank = 0; rank < costs.ring_size(); ++rank) {
    platform << "<host id=\"h" << rank << "\" speed=\"" << shown(host_speed) << "f\"/>\n";
  }
  // Every rank has a way out and a way in for each channel.
  std::set<std::string> ports;
  for (const auto &[ends, channel] : routes) {
    ports.insert(port('o', channel, ends.first));
    ports.insert(port('i', channel, ends.second));
  }
  for (const std::string &name : ports) {
    platform << "<link id=\"" << name << "\" bandwidth=\"" << shown(units_per_s) << "Bps\" latency=\"0s\"/>\n";
  }
  for (const auto &[ends, channel] : routes) {
    platform << "<route src=\"h" << ends.first << "\" dst=\"h" << ends.second << "\" symmetrical=\"NO\"><link_ctn id=\""
             << port('o', channel, ends.first) << "\"/><link_ctn id=\"" << port('i', channel, ends.second)
             << "\"/></route>\n";
  }
  platform << "</zone>\n</platform>\n";
  close(platform, path);
}

/// One rank's lines, from its plan.
class RankTrace {
public:
  /// Sizes are times where units_per_s is above 0, else bytes.
  RankTrace(const PlanCosts &costs, const SimulationOptions &options, double units_per_s, std::int64_t rank,
            const std::filesystem::path &path)
      : costs_(costs), options_(options), units_per_s_(units_per_s), rank_(rank), path_(path), file_(open_new(path)) {}

  void write(const schedule::LastSteps &last_steps, Routes &routes) {
    const schedule::RingPlan plan = schedule::ring_plan(costs_.problem(), last_steps, rank_);
    const auto last = static_cast<std::int64_t>(plan.steps.size()) - 1;
    file_ << rank_ << " init\n";
    for (std::int64_t step = 0; step <= last; ++step) {
      const schedule::RankStep &one = plan.steps[static_cast<std::size_t>(step)];
      post_receives(one, step);
      copy(one);
      post_sends(one, step, routes);
      const WorkSeconds work = work_of(one, step);
      compute(plan_work_ticks(costs_, options_, picoseconds, rank_, step, work, step < last));
      wait(work, step, step < last);
      add(one);
    }
    file_ << rank_ << " finalize\n";
    close(file_, path_);
  }

private:
  struct Due {
    std::int64_t from, to, tag;
    double received_s; ///< 0 for a message sent
  };

  void compute(std::int64_t ticks) {
    if (ticks > 0) {
      file_ << rank_ << " compute " << shown(static_cast<double>(ticks) * picoseconds.tick_s * host_speed) << "\n";
    }
  }

  /// A number that no other message between the same two ranks has.
  std::int64_t tag_of(const Transfer &message, std::int64_t lane) const {
    return 8 * message.departure_step + 4 * (message.is_result ? 1 : 0) + 2 * (message.to_owner ? 1 : 0) + lane % 2;
  }

  void post(const char *verb, const Transfer &message, std::int64_t lane) {
    const double message_s = costs_.message_s(message);
    const double bytes = message.is_result ? costs_.result_bytes(message.owner) : costs_.block_bytes(message.owner);
    const std::int64_t units =
        std::llround(units_per_s_ > 0.0 ? message_s * units_per_s_ : bytes) - smpi_envelope_bytes;
    const std::int64_t peer = message.from == rank_ ? message.to : message.from;
    const std::int64_t tag = tag_of(message, lane);
    file_ << rank_ << " " << verb << " " << peer << " " << tag << " " << std::max<std::int64_t>(1, units) << " 6\n";
    due_[message.until_step].push_back({message.from, message.to, tag, message.to == rank_ ? message_s : 0.0});
  }

  Transfer block(const schedule::BlockMessage &message, std::int64_t step, bool sent) const {
    return {sent ? rank_ : message.peer,
            sent ? message.peer : rank_,
            message.owner,
            message.channel,
            step,
            message.until_step,
            false,
            false};
  }
  Transfer result(const schedule::ResultMessage &message, std::int64_t step, bool sent) const {
    const std::int64_t from = sent ? rank_ : message.peer;
    const std::int64_t to = sent ? message.peer : rank_;
    return {from, to, message.owner, result_channel(costs_.problem(), from, to), step, step, true, message.to_owner};
  }
  /// Blocks that leave one rank for another in one step differ in when they are due.
  std::int64_t lane_of(const schedule::BlockMessage &message) const { return message.channel; }

  void post_receives(const schedule::RankStep &one, std::int64_t step) {
    for (const schedule::BlockMessage &message : one.receives) {
      post("irecv", block(message, step, false), lane_of(message));
    }
    for (const schedule::ResultMessage &message : one.result_receives) {
      post("irecv", result(message, step, false), message.lane);
    }
  }

  void copy(const schedule::RankStep &one) {
    std::int64_t ticks = 0;
    for (const schedule::BlockMessage &message : one.sends) {
      ticks += std::llround(costs_.copy_s(rank_, message.owner) / picoseconds.tick_s);
    }
    compute(ticks);
  }

  void post_sends(const schedule::RankStep &one, std::int64_t step, Routes &routes) {
    for (const schedule::BlockMessage &message : one.sends) {
      routes[{rank_, message.peer}] = message.channel;
      post("isend", block(message, step, true), lane_of(message));
    }
    for (const schedule::ResultMessage &message : one.result_sends) {
      const Transfer transfer = result(message, step, true);
      routes.emplace(std::pair{rank_, message.peer}, transfer.channel);
      post("isend", transfer, message.lane);
    }
  }

  WorkSeconds work_of(const schedule::RankStep &one, std::int64_t step) const {
    WorkSeconds work;
    for (const schedule::Meeting &meeting : one.meetings) {
      const WorkSeconds added = costs_.meeting(rank_, meeting.owner);
      work.tile_s += added.tile_s;
      work.merge_s += added.merge_s;
    }
    work.tile_s *= costs_.core_factor(step);
    work.merge_s *= costs_.core_factor(step);
    return work;
  }

  void wait(const WorkSeconds &work, std::int64_t step, bool computes) {
    double longest_s = 0.0;
    for (const Due &message : due_[step]) {
      file_ << rank_ << " wait " << message.from << " " << message.to << " " << message.tag << "\n";
      longest_s = std::max(longest_s, message.received_s);
    }
    due_.erase(step);
    if (longest_s > 0.0) {
      const double fixed_s = computes ? costs_.step_fixed_s(rank_) : 0.0;
      compute(std::llround(costs_.exposed_s(rank_, work.total() + fixed_s, longest_s) / picoseconds.tick_s));
    }
  }

  void add(const schedule::RankStep &one) {
    const double factor = costs_.time_factor(rank_);
    std::int64_t ticks = 0;
    for (const schedule::Meeting &meeting : one.meetings) {
      if (meeting.arriving_result != schedule::no_result) {
        ticks += std::llround(costs_.addition_s(rank_, meeting.owner) * factor / picoseconds.tick_s);
      }
    }
    const auto home = static_cast<std::int64_t>(one.home_additions.size());
    compute(ticks + home * std::llround(costs_.addition_s(rank_, rank_) * factor / picoseconds.tick_s));
  }

  const PlanCosts &costs_;
  const SimulationOptions &options_;
  double units_per_s_;
  std::int64_t rank_;
  std::filesystem::path path_;
  std::ofstream file_;
  std::map<std::int64_t, std::vector<Due>> due_; ///< by step
};

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

void require_smpi_ring_size(std::int64_t ring_size) {
  if (ring_size > most_traced_ranks) {
    throw InvalidInput("ring_size " + std::to_string(ring_size) +
                       " is too large to trace; SimGrid replays "
                       "up to " +
                       std::to_string(most_traced_ranks) + " ranks");
  }
}

namespace {

/// The platform only where sizes are times.
void write_files(const PlanCosts &costs, const SimulationOptions &options, double units_per_s,
                 const std::filesystem::path &folder) {
  Routes routes;
  const schedule::LastSteps last_steps(options.problem);
  const std::filesystem::path list_path = folder / "traces.txt";
  std::ofstream list = open_new(list_path);
  for (std::int64_t rank = 0; rank < costs.ring_size(); ++rank) {
    const std::filesystem::path file = folder / ("rank-" + std::to_string(rank) + ".txt");
    RankTrace(costs, options, units_per_s, rank, file).write(last_steps, routes);
    list << std::filesystem::absolute(file).string() << "\n";
  }
  close(list, list_path);
  write_hosts(costs.ring_size(), folder);
  if (units_per_s > 0.0) {
    write_platform(costs, routes, units_per_s, folder);
  }
}

} // namespace

std::string write_smpi_trace(const machine::Fleet &fleet, const SimulationOptions &options,
                             const std::filesystem::path &folder, TraceSizes sizes) {
  validate(options);
  if (sizes == TraceSizes::bytes && options.problem.layout == schedule::MessageLayout::separate) {
    throw InvalidInput("message layout separate has no trace in bytes; use stored_packed");
  }
  const std::int64_t ring_size = options.problem.ring_size;
  require_smpi_ring_size(ring_size);
  const PlanCosts costs(fleet, options);
  std::error_code problem;
  if (!std::filesystem::create_directory(folder, problem)) {
    throw InvalidInput("cannot make the trace folder " + folder.string() + ": " +
                       (problem ? problem.message() : "it exists already"));
  }
  const double longest_s = costs.largest_message_s();
  double units_per_s = longest_s > 0.0 ? longest_message_units / longest_s : longest_message_units;
  if (sizes == TraceSizes::bytes) {
    units_per_s = 0.0;
  }
  try {
    write_files(costs, options, units_per_s, folder);
  } catch (...) {
    std::filesystem::remove_all(folder, problem); // made above: nothing half-written stays
    throw;
  }
  return "smpirun -np " + std::to_string(ring_size) + " -platform " + (folder / "platform.xml").string() +
         " -hostfile " + (folder / "hosts.txt").string() + " -replay " + (folder / "traces.txt").string() + " " +
         exact_smpi_settings();
}

} // namespace ringscale::simulator
