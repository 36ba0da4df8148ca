// SPDX-License-Identifier: Apache-2.0
#include "machine/tile_time.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "problem/invalid_input.hpp"

namespace ringscale::machine {

using problem::InvalidInput;
using problem::Mask;

namespace {

/// Position of `x` on an axis: cell index and weight of its right end. Weights beyond [0, 1] extrapolate.
struct Place {
  std::size_t cell = 0;
  double weight = 0.0;
};

Place place_on(const std::vector<double> &axis, double x) {
  if (axis.size() < 2) {
    return {};
  }
  const auto right = std::upper_bound(axis.begin() + 1, axis.end() - 1, x);
  const auto cell = static_cast<std::size_t>(right - axis.begin()) - 1;
  return {cell, (x - axis[cell]) / (axis[cell + 1] - axis[cell])};
}

double interpolate(const std::vector<double> &axis, const std::vector<double> &values, double x) {
  const double inside = std::clamp(x, axis.front(), axis.back());
  const Place place = place_on(axis, inside);
  if (axis.size() < 2) {
    return values.front();
  }
  return (1.0 - place.weight) * values[place.cell] + place.weight * values[place.cell + 1];
}

/// Pairs of a diagonal tile of n tokens over its full n^2.
double diagonal_share(double tokens) { return (tokens + 1.0) / (2.0 * tokens); }

std::size_t index_of(const std::set<std::int64_t> &values, std::int64_t value) {
  return static_cast<std::size_t>(std::distance(values.begin(), values.find(value)));
}

std::vector<double> logs(const std::set<std::int64_t> &values) {
  std::vector<double> result;
  for (const std::int64_t value : values) {
    result.push_back(std::log(static_cast<double>(value)));
  }
  return result;
}

} // namespace

TileTime::TileTime(const Machine &machine, const std::string &dtype) {
  if (machine.tiles.samples.empty()) {
    roofline_ = machine.roofline;
    std::string known;
    std::size_t chosen = roofline_.arithmetic.size();
    for (std::size_t index = 0; index < roofline_.arithmetic.size(); ++index) {
      known += (known.empty() ? "" : ", ") + roofline_.arithmetic[index].dtype;
      if (chosen == roofline_.arithmetic.size() && (dtype.empty() || roofline_.arithmetic[index].dtype == dtype)) {
        chosen = index;
      }
    }
    if (chosen == roofline_.arithmetic.size()) {
      throw InvalidInput("machine " + machine.name + " has no arithmetic for dtype '" + dtype + "'; one of: " + known);
    }
    arithmetic_ = roofline_.arithmetic[chosen];
    return;
  }
  if (!dtype.empty() && dtype != "float32") {
    throw InvalidInput("machine " + machine.name + " was calibrated with float32, not with '" + dtype + "'");
  }
  arithmetic_.dtype = "float32";
  arithmetic_.element_bytes = 4;
  calibrated_heads_ = static_cast<double>(machine.tiles.query_heads);
  std::map<std::int64_t, std::vector<const TileSample *>> by_head_dim;
  for (const TileSample &sample : machine.tiles.samples) {
    by_head_dim[sample.head_dim].push_back(&sample);
  }
  for (const auto &[head_dim, samples] : by_head_dim) {
    grids_.emplace(head_dim, make_grid(samples));
  }
}

TileTime::Grid TileTime::make_grid(const std::vector<const TileSample *> &samples) {
  std::set<std::int64_t> queries;
  std::set<std::int64_t> keys;
  std::map<std::int64_t, double> diagonal;
  for (const TileSample *sample : samples) {
    if (sample->mask == Mask::causal) {
      diagonal[sample->query_tokens] = sample->time_s;
    } else {
      queries.insert(sample->query_tokens);
      keys.insert(sample->key_tokens);
    }
  }
  Grid grid;
  grid.log_query = logs(queries);
  grid.log_key = logs(keys);
  grid.log_time.resize(queries.size() * keys.size());
  for (const TileSample *sample : samples) {
    if (sample->mask == Mask::none) {
      grid.log_time[index_of(queries, sample->query_tokens) * keys.size() + index_of(keys, sample->key_tokens)] =
          std::log(sample->time_s);
    }
  }
  for (const auto &[tokens, time] : diagonal) {
    const auto length = static_cast<double>(tokens);
    grid.log_diagonal.push_back(std::log(length));
    grid.log_penalty.push_back(std::log(time / (grid.full(length, length) * diagonal_share(length))));
  }
  return grid;
}

double TileTime::Grid::full(double query_tokens, double key_tokens) const {
  const double q = std::log(query_tokens);
  const double k = std::log(key_tokens);
  // Beyond the longest lengths time per pair stays; below the shortest the grid's outer slope goes on, within [0, 1].
  const double inner_q = std::clamp(q, log_query.front(), log_query.back());
  const double inner_k = std::clamp(k, log_key.front(), log_key.back());
  const Place at_q = place_on(log_query, inner_q);
  const Place at_k = place_on(log_key, inner_k);
  const std::size_t columns = log_key.size();
  const auto value = [&](std::size_t row, std::size_t column) {
    return log_time[std::min(row, log_query.size() - 1) * columns + std::min(column, columns - 1)];
  };
  const auto along_keys = [&](std::size_t row) {
    return (1.0 - at_k.weight) * value(row, at_k.cell) + at_k.weight * value(row, at_k.cell + 1);
  };
  double log_result = (1.0 - at_q.weight) * along_keys(at_q.cell) + at_q.weight * along_keys(at_q.cell + 1);
  const auto outside = [](double x, double inner, const std::vector<double> &axis, double first, double second) {
    if (x >= inner) {
      return x - inner;
    }
    const double slope = axis.size() < 2 ? 1.0 : (second - first) / (axis[1] - axis[0]);
    return (x - inner) * std::clamp(slope, 0.0, 1.0);
  };
  log_result += outside(q, inner_q, log_query, along_keys(0), along_keys(1));
  const auto along_queries = [&](std::size_t column) {
    return (1.0 - at_q.weight) * value(at_q.cell, column) + at_q.weight * value(at_q.cell + 1, column);
  };
  log_result += outside(k, inner_k, log_key, along_queries(0), along_queries(1));
  return std::exp(log_result);
}

double TileTime::Grid::penalty(double tokens) const {
  if (log_diagonal.empty()) {
    return 1.0;
  }
  return std::exp(interpolate(log_diagonal, log_penalty, std::log(tokens)));
}

double TileTime::grid_time(const Grid &grid, const TileWork &work) const {
  const auto queries = static_cast<double>(work.query_tokens);
  const auto keys = static_cast<double>(work.key_tokens);
  const double full = grid.full(queries, keys);
  const double share = work.pairs / (queries * keys);
  if (!(share < 1.0)) {
    return full;
  }
  // A partly admitted tile never takes longer than the whole one.
  return std::min(full, full * share * grid.penalty(std::sqrt(queries * keys)));
}

double TileTime::calibrated(const TileWork &work) const {
  const double heads = static_cast<double>(work.batch * work.query_heads) / calibrated_heads_;
  const auto above = grids_.lower_bound(work.head_dim);
  if (above != grids_.end() && above->first == work.head_dim) {
    return heads * grid_time(above->second, work);
  }
  const auto dim = static_cast<double>(work.head_dim);
  if (above == grids_.end()) {
    const auto &[widest, grid] = *grids_.rbegin();
    return heads * grid_time(grid, work) * dim / static_cast<double>(widest);
  }
  if (above == grids_.begin()) {
    return heads * grid_time(above->second, work) * dim / static_cast<double>(above->first);
  }
  const auto below = std::prev(above);
  const auto low = static_cast<double>(below->first);
  const auto high = static_cast<double>(above->first);
  const double weight = (dim - low) / (high - low);
  return heads * ((1.0 - weight) * grid_time(below->second, work) + weight * grid_time(above->second, work));
}

double TileTime::roofline(const TileWork &work) const {
  const auto heads = static_cast<double>(work.batch * work.query_heads);
  const auto kv_heads = static_cast<double>(work.batch * work.kv_heads);
  const auto dim = static_cast<double>(work.head_dim);
  const auto queries = static_cast<double>(work.query_tokens);
  const auto keys = static_cast<double>(work.key_tokens);
  const double flop = 4.0 * work.pairs * heads * dim;
  // Queries and output once each, keys and values once: a streamed kernel keeps the scores on chip.
  const double bytes = static_cast<double>(arithmetic_.element_bytes) * 2.0 * dim * (queries * heads + keys * kv_heads);
  const double arithmetic_s = flop / (arithmetic_.peak_flop_per_s.value * arithmetic_.efficiency.value);
  const double memory_s = bytes / roofline_.memory_bandwidth_bytes_per_s.value;
  const double exponential_s = work.pairs * heads / roofline_.exponentials_per_s.value;
  return roofline_.launch_s.value + std::max({arithmetic_s, memory_s, exponential_s});
}

double TileTime::operator()(const TileWork &work) const {
  if (!(work.pairs > 0.0)) {
    return 0.0;
  }
  return grids_.empty() ? roofline(work) : calibrated(work);
}

std::string TileTime::extrapolation(const TileWork &work) const {
  if (grids_.empty() || !(work.pairs > 0.0)) {
    return "";
  }
  std::string reasons;
  const auto note = [&](const std::string &field, std::int64_t value, double low, double high) {
    const auto number = static_cast<double>(value);
    if (number < low - 0.5 || number > high + 0.5) {
      reasons += (reasons.empty() ? "" : ", ") + field + " " + std::to_string(value) + " outside " +
                 std::to_string(std::llround(low)) + ".." + std::to_string(std::llround(high));
    }
  };
  note("head_dim", work.head_dim, static_cast<double>(grids_.begin()->first),
       static_cast<double>(grids_.rbegin()->first));
  const auto above = grids_.lower_bound(work.head_dim);
  const Grid &grid = above == grids_.end() ? grids_.rbegin()->second : above->second;
  note("query_tokens", work.query_tokens, std::exp(grid.log_query.front()), std::exp(grid.log_query.back()));
  note("key_tokens", work.key_tokens, std::exp(grid.log_key.front()), std::exp(grid.log_key.back()));
  return reasons;
}

namespace {

void make_samples_monotone(std::vector<TileSample> &samples) {
  // Few samples (tens), so a quadratic pass in order of work is enough.
  std::vector<TileSample *> ordered;
  for (TileSample &sample : samples) {
    ordered.push_back(&sample);
  }
  std::sort(ordered.begin(), ordered.end(), [](const TileSample *left, const TileSample *right) {
    return std::pair(left->query_tokens + left->key_tokens, left->query_tokens) <
           std::pair(right->query_tokens + right->key_tokens, right->query_tokens);
  });
  for (std::size_t later = 0; later < ordered.size(); ++later) {
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      if (ordered[earlier]->head_dim == ordered[later]->head_dim && ordered[earlier]->mask == ordered[later]->mask &&
          ordered[earlier]->query_tokens <= ordered[later]->query_tokens &&
          ordered[earlier]->key_tokens <= ordered[later]->key_tokens) {
        ordered[later]->time_s = std::max(ordered[later]->time_s, ordered[earlier]->time_s);
      }
    }
  }
}

} // namespace

void make_monotone(TileTable &table) {
  make_samples_monotone(table.samples);
  make_samples_monotone(table.backward_samples);
}

} // namespace ringscale::machine
