// SPDX-License-Identifier: Apache-2.0
#include "machine/calibration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "machine/tile_time.hpp"
#include "problem/invalid_input.hpp"
#include "statistics/fit.hpp"
#include "statistics/summary.hpp"

namespace ringscale::machine {

namespace {

double positive_typical(const std::vector<double> &samples, const char *what, statistics::Typical kind) {
  if (samples.empty()) {
    throw problem::InvalidInput(std::string("calibration: no samples of ") + what);
  }
  for (const double sample : samples) {
    if (!(sample > 0.0) || !std::isfinite(sample)) {
      throw problem::InvalidInput(std::string("calibration: a sample of ") + what + " is not above 0");
    }
  }
  return statistics::typical(samples, kind);
}

/// Least squares of relative residuals; neither intercept nor slope below `least`.
statistics::LineFit relative_fit(const std::vector<double> &x, const std::vector<double> &y) {
  std::vector<double> weights;
  for (const double value : y) {
    weights.push_back(1.0 / (value * value));
  }
  return statistics::fit_line(x, y, weights);
}

struct Series {
  std::vector<double> bytes;
  std::vector<double> time_s;
};

/// The line through the shortest and the longest message.
statistics::LineFit line_through_ends(const Series &series) {
  const auto ends = std::minmax_element(series.bytes.begin(), series.bytes.end());
  const auto first = static_cast<std::size_t>(ends.first - series.bytes.begin());
  const auto last = static_cast<std::size_t>(ends.second - series.bytes.begin());
  return statistics::fit_line(std::array{series.bytes[first], series.bytes[last]},
                              std::array{series.time_s[first], series.time_s[last]});
}

double largest_relative_residual(const statistics::LineFit &line, const Series &series) {
  double largest = 0.0;
  for (std::size_t place = 0; place < series.bytes.size(); ++place) {
    largest = std::max(largest, std::abs(series.time_s[place] - line.at(series.bytes[place])) / series.time_s[place]);
  }
  return largest;
}

/// Relative residuals make no line where a network lets short bursts through faster than its bandwidth: there the many
/// short messages would set the time of the long ones, which are those of a ring.
statistics::LineFit message_line(const Series &series) {
  constexpr double believed_residual = 0.25;
  const statistics::LineFit fit = relative_fit(series.bytes, series.time_s);
  const auto longest =
      static_cast<std::size_t>(std::max_element(series.bytes.begin(), series.bytes.end()) - series.bytes.begin());
  const double residual = std::abs(fit.at(series.bytes[longest]) / series.time_s[longest] - 1.0);
  return residual <= believed_residual ? fit : line_through_ends(series);
}

Series shifts_of(const std::vector<MessageSample> &messages, std::int64_t ranks) {
  Series series;
  for (const MessageSample &message : messages) {
    if (message.pattern == "shift" && message.ranks == ranks) {
      series.bytes.push_back(static_cast<double>(message.message_bytes));
      series.time_s.push_back(message.time_s);
    }
  }
  return series;
}

void set_merge(const RawCalibration &raw, Machine &machine) {
  const std::string source = "separate merge of two partials, " + raw.where;
  machine.merge.fused = raw.merge_is_fused;
  std::vector<double> elements;
  std::vector<double> time_s;
  for (const MergeSample &merge : raw.merges) {
    elements.push_back(merge.elements);
    time_s.push_back(positive_typical(merge.samples_s, "merge", raw.typical));
  }
  if (elements.size() < 2) {
    throw problem::InvalidInput("calibration: merges need two lengths or more");
  }
  const statistics::LineFit fit = relative_fit(elements, time_s);
  machine.merge.fixed_s = {std::max(0.0, fit.intercept), "measured", source};
  machine.merge.per_element_s = {std::max(0.0, fit.slope), "measured", source};
  std::vector<double> in_tile;
  for (const MergeSample &merge : raw.merges_in_tiles) {
    for (const double sample_s : merge.samples_s) {
      in_tile.push_back(sample_s / merge.elements);
    }
  }
  if (!in_tile.empty()) {
    machine.merge.in_tile_per_element_s = {std::max(0.0, statistics::median(in_tile)), "measured",
                                           "tiles that merge less tiles that do not, " + raw.where};
  }
}

void set_jitter(const RawCalibration &raw, Machine &machine) {
  const double middle = positive_typical(raw.repeated_tile_s, "repeated tile", statistics::Typical::median);
  std::vector<double> relative;
  for (const double sample : raw.repeated_tile_s) {
    relative.push_back(sample / middle);
  }
  // Half the distance of the 16 % and 84 % quantiles is the standard deviation of a normal distribution, and unlike the
  // root of the mean square it is not made by a few interruptions.
  const double spread = 0.5 * (statistics::quantile(relative, 0.84) - statistics::quantile(relative, 0.16));
  machine.jitter.relative_standard_deviation = {spread, "measured",
                                                std::to_string(relative.size()) + " repeats of one tile, " + raw.where};
  for (int share = 0; share <= 20; ++share) {
    machine.jitter.relative_quantiles.push_back(statistics::quantile(relative, share / 20.0));
  }
}

} // namespace

namespace {

/// The measured times, what exceeds the latency divided by `crowd`; a longer message takes no less than a shorter one.
std::vector<MessageTime> free_message_times(const Series &series, double latency_s, double crowd) {
  std::vector<MessageTime> times;
  for (std::size_t place = 0; place < series.bytes.size(); ++place) {
    const double beyond_s = std::max(0.0, series.time_s[place] - latency_s);
    times.push_back({series.bytes[place], std::min(latency_s, series.time_s[place]) + beyond_s / crowd});
  }
  std::sort(times.begin(), times.end(),
            [](const MessageTime &one, const MessageTime &other) { return one.bytes < other.bytes; });
  for (std::size_t place = 1; place < times.size(); ++place) {
    times[place].time_s = std::max(times[place].time_s, times[place - 1].time_s);
  }
  return times.size() < 2 ? std::vector<MessageTime>{} : times;
}

} // namespace

Link fit_link(const std::vector<MessageSample> &messages, const std::string &source, double &max_relative_residual) {
  std::set<std::int64_t> rank_counts;
  for (const MessageSample &message : messages) {
    if (message.pattern == "shift" && message.ranks >= 2) {
      rank_counts.insert(message.ranks);
    }
  }
  Link link;
  link.level = Level::core;
  link.per_message_overhead_s = {0.0, "analytic", "part of the latency: messages are timed whole"};
  if (rank_counts.empty()) {
    // One rank alone: no hop will ever be made on this job, but a machine needs a link.
    link.latency_s = {0.0, "analytic", "no second rank to measure with"};
    link.bandwidth_bytes_per_s = {1.0e12, "analytic", "no second rank to measure with"};
    link.sharing = {0.0, "analytic", "no second rank to measure with"};
    max_relative_residual = 0.0;
    return link;
  }
  const std::int64_t fewest = *rank_counts.begin();
  const std::int64_t most = *rank_counts.rbegin();
  const Series base = shifts_of(messages, fewest);
  const statistics::LineFit fit = message_line(base);
  if (!(fit.slope > 0.0)) {
    throw problem::InvalidInput(
        "calibration: message time does not grow with size; the machine was disturbed, run again");
  }
  max_relative_residual = largest_relative_residual(fit, base);
  double sharing = 0.0;
  if (most > fewest) {
    // bytes / bandwidth x (1 + sharing (flows - 1)) at two numbers of flows f < g with slopes in the ratio rho:
    // rho (1 + sharing (f - 1)) = 1 + sharing (g - 1).
    const Series crowded = shifts_of(messages, most);
    const double rho = message_line(crowded).slope / fit.slope;
    const double divisor = static_cast<double>(most - 1) - rho * static_cast<double>(fewest - 1);
    sharing = divisor > 0.0 ? std::clamp((rho - 1.0) / divisor, 0.0, 1.0) : 1.0;
  }
  const double crowd = 1.0 + sharing * static_cast<double>(fewest - 1);
  link.latency_s = {std::max(0.0, fit.intercept), "measured", source};
  link.message_times = free_message_times(base, link.latency_s.value, crowd);
  link.bandwidth_bytes_per_s = {crowd / fit.slope, "measured", source};
  link.sharing = {sharing, "measured",
                  most > fewest ? source : source + "; one number of ranks with cores of their own, so unknown beyond"};
  return link;
}

Machine assemble(const RawCalibration &raw) {
  Machine machine;
  machine.name = raw.name;
  machine.kind = "measured";
  machine.description = raw.description;
  machine.device.memory_bytes = {raw.memory_bytes, "measured",
                                 "memory of the host shared among its cores, " + raw.where};
  machine.device.peak_flop_per_s = {raw.peak_flop_per_s, "measured", "float32 multiply-add chains, " + raw.where};
  machine.tiles = raw.tiles;
  for (TileSample &sample : machine.tiles.samples) {
    sample.time_s = positive_typical(sample.samples_s, "tile", raw.typical);
  }
  for (TileSample &sample : machine.tiles.backward_samples) {
    sample.time_s = positive_typical(sample.samples_s, "backward tile", raw.typical);
  }
  for (std::vector<ReuseSample> *reuse : {&machine.tiles.reuse, &machine.tiles.backward_reuse}) {
    for (ReuseSample &sample : *reuse) {
      sample.alone_s = positive_typical(sample.alone_samples_s, "tile alone", raw.typical);
      sample.in_turn_s = positive_typical(sample.in_turn_samples_s, "tile in turn", raw.typical);
    }
  }
  make_monotone(machine.tiles);
  set_merge(raw, machine);
  machine.messages = raw.messages;
  for (MessageSample &message : machine.messages) {
    message.time_s = positive_typical(message.samples_s, "message", raw.typical);
  }
  machine.links = {fit_link(machine.messages,
                            std::string("ring shifts between ranks ") +
                                (raw.messages_leave_the_node ? "of different nodes, " : "of one node, ") + raw.where,
                            machine.message_fit_max_relative_residual)};
  machine.links.front().level = raw.messages_leave_the_node ? Level::fabric : Level::core;
  machine.step_fixed_s = {raw.step_fixed_s.empty() ? 0.0 : positive_typical(raw.step_fixed_s, "step", raw.typical),
                          "measured", "fitted on whole rings, " + raw.where};
  machine.overlap.samples = raw.hidden_fractions;
  machine.overlap.hidden_fraction = {raw.hidden_fractions.empty() ? 1.0 : statistics::median(raw.hidden_fractions),
                                     "measured",
                                     (raw.hidden_fractions.empty() ? "fitted on whole rings, polled progress, "
                                                                   : "messages beside tiles, polled progress, ") +
                                         raw.where};
  set_jitter(raw, machine);
  const double alone_s = statistics::typical(raw.repeated_tile_s, raw.typical);
  const double neighbour = raw.neighbour_tile_s.empty()
                               ? 1.0
                               : positive_typical(raw.neighbour_tile_s, "tile beside others", raw.typical) / alone_s;
  const std::string fitted = "fitted on whole rings, " + raw.where;
  machine.core_sharing = {raw.cores, {neighbour, "measured", fitted}, {0.0, "measured", fitted},
                          {},        {0.0, "measured", fitted},       {0.0, "measured", fitted}};
  for (const std::int64_t ranks : raw.shared_ranks) {
    machine.core_sharing.crowding.push_back({ranks, {1.0, "measured", fitted}});
  }
  machine.footprint = raw.footprint;
  validate(machine, "calibration");
  return machine;
}

} // namespace ringscale::machine
