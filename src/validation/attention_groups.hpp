// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "validation/attention_cell.hpp"
#include "validation/prediction.hpp"
#include "validation/work_limits.hpp"

namespace ringscale::validation {

/// A figure and the machine it was published for.
struct PlacedCell {
  AttentionCell cell;
  const machine::Machine *machine = nullptr;
  bool shared_bus = false; ///< devices of a node meet at one PCIe root: an all-to-all divides it
};

/// Figures that share their constants: those of one implementation, on one machine, or on all machines of a table that
/// has a yardstick for each (the rate of tiles is then known and the rest belongs to the implementation).
struct AttentionGroup {
  std::size_t variants = 1; ///< implementations that share the constants, for want of figures of each
  std::string label;        ///< for people: machine and variant
  std::vector<PlacedCell> yardsticks;
  std::vector<PlacedCell> cells;
};

struct AttentionGroups {
  std::vector<AttentionGroup> groups;
  std::vector<PlacedCell> yardsticks; ///< all of the table, each once
};

/// Collects the figures of a table that are about attention. Variants (words of a column that say neither pass nor
/// kind) are groups of their own when each of them has 40 figures. What cannot be simulated is left out and says why; a
/// head count that the table lacks is completed: the whole number that makes the yardsticks as fast as the published
/// shares of their machines, in the geometric mean, or 32.
AttentionGroups collect_attention(const Table &table, const std::vector<machine::Machine> &machines,
                                  std::vector<Prediction> &predictions, std::vector<Fit> &fits, RingWork &work);

/// Seconds of the published figure, and what its column would show for a time.
double seconds_of(const AttentionCell &cell);
double shown(const AttentionCell &cell, double seconds);

/// "T4[2].iter_per_s": the name of a cell in documents.
std::string cell_name(const Table &table, std::size_t row, std::size_t column);

} // namespace ringscale::validation
