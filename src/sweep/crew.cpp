// SPDX-License-Identifier: Apache-2.0
#include "sweep/crew.hpp"

#include <algorithm>
#include <numeric>
#include <string>

#include "problem/invalid_input.hpp"
#include "report/json.hpp"
#include "sweep/simulator_processes.hpp"

namespace ringscale::sweep {

namespace {

constexpr const char *source = "order of rank 0";

report::Json order_of(const Point &point) {
  report::Json order = report::Json::object();
  order["grid"] = point.grid;
  order["settings"] = point.settings;
  return order;
}

} // namespace

ring::RingRun Crew::take_part(const Point &point) {
  ring::Communicator ring = world_.split_first(static_cast<int>(point.problem().ring_size));
  return ring.is_member() ? ring::run_ring(ring, point.ring) : ring::RingRun{};
}

ring::RingRun Crew::measure(const Point &point) {
  require_ranks(point.problem().ring_size, world_.size());
  std::string order = report::write_json(order_of(point), -1);
  world_.sleeping_barrier();
  world_.broadcast(order, 0);
  return take_part(point);
}

std::vector<int> shared_out(const std::vector<Point> &points, int ranks) {
  const auto cost = [&](std::size_t place) {
    const schedule::RingProblem &problem = points[place].problem();
    return static_cast<double>(problem.ring_size) * static_cast<double>(schedule::step_count(problem));
  };
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t one, std::size_t other) { return cost(one) > cost(other); });
  std::vector<double> load(static_cast<std::size_t>(ranks), 0.0);
  std::vector<int> rank_of(points.size(), 0);
  for (const std::size_t place : order) {
    if (is_divided(points[place], ranks)) {
      rank_of[place] = -1;
      continue;
    }
    const auto least = std::min_element(load.begin(), load.end());
    rank_of[place] = static_cast<int>(least - load.begin());
    *least += cost(place);
  }
  return rank_of;
}

std::vector<std::string> Crew::simulate_share(const std::vector<Point> &points) {
  const std::vector<int> rank_of = shared_out(points, world_.size());
  report::Json rows = report::Json::object();
  const auto answer = [&](std::size_t place, int threads, simulator::ProcessGroup *processes) {
    report::Json &entry = rows[std::to_string(place)] = report::Json::object();
    try {
      entry["row"] = simulated_row(points[place], machines_, threads, processes);
    } catch (const problem::InvalidInput &error) {
      entry["refused"] = error.what();
    }
  };
  // Rings that all divide come first: then nobody waits for a rank that is still at its own points.
  SimulatorProcesses processes(world_);
  const int ranks = world_.ranks_on_node();
  const int divided_threads = std::max(1, world_.cores_on_node() / ranks);
  for (std::size_t place = 0; place < points.size(); ++place) {
    if (rank_of[place] >= 0) {
      continue;
    }
    if (world_.rank() == 0) {
      answer(place, divided_threads, &processes);
      continue;
    }
    try {
      help_simulated_row(points[place], machines_, divided_threads, processes);
    } catch (const problem::InvalidInput &) { // which rank 0 says
    }
  }
  const int busy = static_cast<int>(std::min<std::size_t>(points.size(), static_cast<std::size_t>(ranks)));
  for (std::size_t place = 0; place < points.size(); ++place) {
    if (rank_of[place] == world_.rank()) {
      answer(place, std::max(1, world_.cores_on_node() / std::max(1, busy)), nullptr);
    }
  }
  world_.sleeping_barrier(); // a rank may have more to do than messages may take
  return world_.all_gather(report::write_json(rows, -1));
}

std::vector<report::Json> Crew::simulate(std::span<const Point *const> points, const report::Json &machines) {
  report::Json order = report::Json::object();
  if (machines_.empty()) {
    machines_ = machines_of(machines, source);
    order["machines"] = machines;
  }
  order["simulate"] = report::Json::array();
  std::vector<Point> same;
  for (const Point *point : points) {
    order["simulate"].push_back(order_of(*point));
    same.push_back(*point);
  }
  std::string text = report::write_json(order, -1);
  world_.sleeping_barrier();
  world_.broadcast(text, 0);
  std::vector<report::Json> by_place(points.size());
  for (const std::string &share : simulate_share(same)) {
    const report::Json rows = report::parse_json(share, "rows of a rank");
    for (const auto &[place, entry] : rows.items()) {
      by_place[std::stoul(place)] = entry;
    }
  }
  std::vector<report::Json> result;
  for (report::Json &entry : by_place) {
    if (entry.contains("refused")) {
      if (result.empty()) {
        throw problem::InvalidInput(entry["refused"].get<std::string>());
      }
      break;
    }
    result.push_back(std::move(entry["row"]));
  }
  return result;
}

void Crew::dismiss(int code) {
  report::Json order = report::Json::object();
  order["exit_code"] = code;
  std::string text = report::write_json(order, -1);
  world_.sleeping_barrier();
  world_.broadcast(text, 0);
}

int Crew::serve() {
  for (;;) {
    std::string text;
    world_.sleeping_barrier();
    world_.broadcast(text, 0);
    const report::Json order = report::parse_json(text, source);
    const report::ObjectReader reader(order, source);
    if (reader.has("exit_code")) {
      return static_cast<int>(reader.integer("exit_code", 0, 255));
    }
    if (reader.has("machines")) {
      machines_ = machines_of(reader.any("machines"), source);
    }
    if (reader.has("simulate")) {
      std::vector<Point> points;
      for (const report::ObjectReader &one : reader.objects("simulate")) {
        points.push_back(read_point(PointKind::simulated, one.text("grid"), one.any("settings"), source, "$.settings"));
      }
      simulate_share(points);
      continue;
    }
    take_part(read_point(PointKind::measured, reader.text("grid"), reader.any("settings"), source, "$.settings"));
  }
}

void require_ranks(std::int64_t largest_ring, int ranks) {
  if (largest_ring > ranks) {
    const std::string needed = std::to_string(largest_ring);
    throw problem::InvalidInput("the largest measured ring needs " + needed + " ranks and this job has " +
                                std::to_string(ranks) + "; start it with mpiexec -n " + needed);
  }
}

} // namespace ringscale::sweep
