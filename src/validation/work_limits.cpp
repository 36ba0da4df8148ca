// SPDX-License-Identifier: Apache-2.0
#include "validation/work_limits.hpp"

#include "problem/invalid_input.hpp"

namespace ringscale::validation {

using problem::InvalidInput;

void WorkLimits::add(const std::string &where, std::size_t rows, std::size_t columns, std::size_t formulas) {
  if (columns > most_columns) {
    throw InvalidInput(where + " has " + std::to_string(columns) + " columns; a table may have " +
                       std::to_string(most_columns));
  }
  if (rows > most_cells || (cells_ += rows * columns) > most_cells) {
    throw InvalidInput(where + " with " + std::to_string(rows) + " rows of " + std::to_string(columns) +
                       " brings the file beyond " + std::to_string(most_cells) +
                       " cells; divide it into several files");
  }
  if (formulas > most_cells_times_formulas ||
      (cells_times_formulas_ += rows * columns * formulas) > most_cells_times_formulas) {
    throw InvalidInput(where + " with " + std::to_string(formulas) + " formulas for " + std::to_string(rows * columns) +
                       " cells brings the file beyond " + std::to_string(most_cells_times_formulas) +
                       " cells x formulas; divide it into several files");
  }
}

bool RingWork::take(double steps) {
  if (!(steps <= left_)) {
    return false;
  }
  left_ -= steps;
  return true;
}

std::string RingWork::reason() {
  return "the rings of all figures and fits take more than 1e9 (rank, step) pairs; give fewer tables at a time";
}

} // namespace ringscale::validation
