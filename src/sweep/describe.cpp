// SPDX-License-Identifier: Apache-2.0
#include "sweep/describe.hpp"

#include <array>
#include <cstdio>
#include <string_view>

namespace ringscale::sweep {

namespace {

using report::Json;

/// Four significant digits and a unit with the prefix that suits, "12.35 GFLOP".
std::string scaled(double value, std::string_view unit) {
  constexpr std::array<const char *, 7> prefixes{"", "k", "M", "G", "T", "P", "E"};
  std::size_t prefix = 0;
  while (value >= 1000.0 && prefix + 1 < prefixes.size()) {
    value /= 1000.0;
    ++prefix;
  }
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.4g %s", value, prefixes[prefix]);
  return std::string(text.data()).append(unit);
}

std::string seconds(double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.4g s", value);
  return text.data();
}

std::string count(std::size_t number, const char *kind) { return std::to_string(number).append(" ").append(kind); }

} // namespace

std::vector<std::string> describe(const Plan &plan) {
  const WorkEstimate work = estimate(plan);
  std::vector<std::string> lines;
  std::string head = "experiment ";
  head.append(plan.name)
      .append(": ")
      .append(count(plan.points.size(), "points ("))
      .append(count(work.measured_points, "measured, "));
  head.append(count(work.simulated_points, "simulated, ")).append(count(work.analytic_points, "analytic)"));
  lines.push_back(std::move(head));
  if (work.measured_points > 0) {
    std::string line = "measured work: ";
    line.append(scaled(work.measured_flop, "FLOP")).append(" before verification, rings of up to ");
    line.append(std::to_string(plan.largest_measured_ring())).append(" ranks, at most ");
    line.append(scaled(work.largest_measured_memory_bytes, "B")).append(" in tensors at once");
    lines.push_back(std::move(line));
  }
  if (work.simulated_points > 0) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "simulated work: at most %.4g device steps", work.simulated_device_steps);
    lines.emplace_back(text.data());
  }
  for (const Point &point : plan.points) {
    std::string line = "  ";
    line.append(name(point.kind)).append("  ").append(point.id);
    lines.push_back(std::move(line));
  }
  return lines;
}

Json plan_document(const Plan &plan) {
  const WorkEstimate work = estimate(plan);
  Json document = Json::object();
  document["schema"] = "ringscale.plan";
  document["schema_version"] = 1;
  document["name"] = plan.name;
  document["identity"] = plan.identity;
  document["measured_points"] = work.measured_points;
  document["simulated_points"] = work.simulated_points;
  document["analytic_points"] = work.analytic_points;
  document["measured_flop"] = work.measured_flop;
  document["simulated_device_steps"] = work.simulated_device_steps;
  document["largest_measured_memory_bytes"] = work.largest_measured_memory_bytes;
  document["ranks_needed"] = plan.largest_measured_ring();
  document["points"] = Json::array();
  for (const Point &point : plan.points) {
    Json entry = Json::object();
    entry["point"] = point.id;
    entry["grid"] = point.grid;
    entry["kind"] = name(point.kind);
    entry["settings"] = point.settings;
    document["points"].push_back(std::move(entry));
  }
  return document;
}

std::string summary_line(const Json &row) {
  std::string line = row.at("point").get<std::string>();
  line.append("  [").append(row.at("kind").get<std::string>()).append("]");
  if (row.contains("time_s") && row["time_s"].is_number()) {
    line.append("  ").append(seconds(row["time_s"].get<double>()));
  }
  if (row.contains("tokens_per_s") && row["tokens_per_s"].is_number()) {
    line.append("  ").append(scaled(row["tokens_per_s"].get<double>(), "tokens/s"));
  }
  if (row.contains("memory_peak_bytes")) {
    line.append("  ").append(scaled(row["memory_peak_bytes"].get<double>(), "B"));
  }
  if (row.contains("verdict")) {
    line.append("  ").append(row["verdict"].get<std::string>());
  }
  return line;
}

} // namespace ringscale::sweep
