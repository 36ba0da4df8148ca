// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

namespace ringscale::validation {

/// What one file of published tables may hold. The largest published tables have some hundred cells; a file at every
/// limit takes some ten seconds.
inline constexpr std::size_t most_columns = 500;                ///< of a table
inline constexpr std::size_t most_cells = 10000;                ///< rows x columns of all tables of a file
inline constexpr std::size_t most_cells_times_formulas = 50000; ///< of all tables of a file

/// Counts what a file asks for, table by table.
class WorkLimits {
public:
  /// Throws problem::InvalidInput with one line that names `where` and the limit that a table of this size passes.
  void add(const std::string &where, std::size_t rows, std::size_t columns, std::size_t formulas);

private:
  std::size_t cells_ = 0;
  std::size_t cells_times_formulas_ = 0;
};

/// Steps of rings (ranks x steps, as the engine computes them) that all figures of the files may take, fits included.
/// What comes after is listed as not predicted.
inline constexpr double most_ring_steps = 1e9;

/// What is left of most_ring_steps.
class RingWork {
public:
  /// Takes this many steps; false, and nothing is taken, where fewer are left.
  bool take(double steps);
  /// Why a figure is not predicted when they are used up.
  static std::string reason();

private:
  double left_ = most_ring_steps;
};

/// Figures that constants of one group are fitted on at most: each is simulated some hundred times.
inline constexpr std::size_t most_calibration_figures = 64;

} // namespace ringscale::validation
