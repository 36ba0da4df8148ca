// SPDX-License-Identifier: Apache-2.0
#include "sweep/crew.hpp"

#include <string>

#include "problem/invalid_input.hpp"
#include "report/json.hpp"

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
