// SPDX-License-Identifier: Apache-2.0
#include "simulator/measured_jitter.hpp"

#include <algorithm>
#include <string>

#include "problem/invalid_input.hpp"

namespace ringscale::simulator {

namespace {

constexpr std::size_t most_quantiles = 4097;
constexpr double places = 65536.0; ///< in a cell

void require_quantiles(const machine::Machine &machine) {
  const std::vector<double> &quantiles = machine.jitter.relative_quantiles;
  const bool good = quantiles.size() >= 2 && quantiles.size() <= most_quantiles && quantiles.front() > 0.0 &&
                    quantiles.back() <= 100.0 && std::is_sorted(quantiles.begin(), quantiles.end());
  if (!good) {
    throw problem::InvalidInput("measured jitter: machine " + machine.name +
                                " has no rising jitter.relative_quantiles between 0 and 100 (2 to " +
                                std::to_string(most_quantiles) +
                                " of them); calibrate it, or give the jitter as a number");
  }
}

} // namespace

MeasuredJitter::MeasuredJitter(const machine::Fleet &fleet, std::uint64_t seed) : seed_(seed) {
  std::vector<std::uint16_t> table_of_type;
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    require_quantiles(fleet.machine(type));
    const std::vector<double> &quantiles = fleet.machine(type).jitter.relative_quantiles;
    largest_ = type == 0 ? quantiles.back() - 1.0 : std::max(largest_, quantiles.back() - 1.0);
    std::size_t earlier = 0;
    while (fleet.machine(earlier).jitter.relative_quantiles != quantiles) {
      ++earlier;
    }
    if (earlier < type) {
      table_of_type.push_back(table_of_type[earlier]);
      continue;
    }
    table_of_type.push_back(static_cast<std::uint16_t>(tables_.size()));
    const std::size_t cells = quantiles.size() - 1;
    tables_.push_back({static_cast<std::uint32_t>(base_.size()), static_cast<std::uint32_t>(cells)});
    for (std::size_t cell = 0; cell < cells; ++cell) {
      const double rise = (quantiles[cell + 1] - quantiles[cell]) / places;
      base_.push_back(quantiles[cell] - 1.0);
      slope_.push_back(rise);
    }
  }
  single_base_.assign(base_.begin(), base_.end());
  single_slope_.assign(slope_.begin(), slope_.end());
  for (std::int64_t rank = 0; rank < fleet.devices() && tables_.size() > 1; ++rank) {
    table_of_rank_.push_back(table_of_type[fleet.type_of(rank)]);
  }
}

// Not in the header: only this room is compiled so that a product and a sum are rounded one after the other.
double MeasuredJitter::deviation(const Table &table, std::uint32_t uniform) const {
  const std::uint32_t place = uniform * table.cells;
  const std::size_t cell = table.first_cell + (place >> 16);
  return base_[cell] + slope_[cell] * static_cast<double>(place & 0xFFFFU);
}

std::int64_t MeasuredJitter::ticks(const Table &table, std::uint32_t uniform, std::int64_t work,
                                   bool single_precision) const {
  if (!single_precision) {
    return static_cast<std::int64_t>(static_cast<double>(work) * deviation(table, uniform));
  }
  const std::uint32_t place = uniform * table.cells;
  const std::size_t cell = table.first_cell + (place >> 16);
  const float rise = single_slope_[cell] * static_cast<float>(static_cast<std::int32_t>(place & 0xFFFFU));
  return static_cast<std::int32_t>(static_cast<float>(work) * (single_base_[cell] + rise));
}

} // namespace ringscale::simulator
