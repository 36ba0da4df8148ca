// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "simulator/lanes.hpp"
#include "simulator/measured_jitter.hpp"

namespace ringscale::simulator {

/// How jitter enters a step's work: (amplitude x noise) times 2^exponent, by tables, or not at all.
struct LaneNoise {
  bool present = false;
  const MeasuredJitter *measured = nullptr; ///< tables
  int left_shift = 0;                       ///< one of the two is 0
  int right_shift = 0;
};

/// Sixteen runs of consecutive ranks side by side: element [cell][lane] belongs to the lane's first rank + cell, so a
/// rank's neighbours are in the vectors before and after its own and never in another lane. Costs are ticks less the
/// pace (see StripCosts). Pointers are to cell 0; cells from -lane_step_padding on exist.
struct LaneRow {
  Lanes *times = nullptr;
  const Lanes *work = nullptr;
  const Lanes *hop = nullptr;               ///< into the cell's rank; nullptr when all are 0, exposed then too
  const Lanes *exposed = nullptr;           ///< of the cell's rank; nullptr when all are 0
  const UnsignedLanes *amplitude = nullptr; ///< in each of four bytes; the work's bits as a float where jitter is drawn
  const UnsignedLanes *rank_keys = nullptr;
  const MeasuredJitter::Table *table = nullptr; ///< of all ranks, at most most_cells_in_registers; else by rank:
  const UnsignedLanes *table_cells = nullptr;
  const UnsignedLanes *table_first_cell = nullptr;
  std::int64_t common_exposed = 0; ///< of all ranks in every step; left to the caller
};

inline constexpr std::int64_t lane_step_padding = 4;

/// The recurrence of recurrence.hpp for one step in place; reads cells [first, last), leaves [first + 1, last - 1).
/// `keys` are those of the step's group.
void advance_one_step(const LaneRow &row, const LaneNoise &noise, const GroupKeys &keys, int step_in_group,
                      std::int64_t first, std::int64_t last);

/// The same for the four steps of a noise group in one pass: step s runs s cells behind step s - 1, in registers.
/// Reads cells [first, last), an even number of them, and leaves [first + 4, last - 4).
void advance_four_steps(const LaneRow &row, const LaneNoise &noise, const GroupKeys &keys, std::int64_t first,
                        std::int64_t last);

} // namespace ringscale::simulator
