// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "machine/machine.hpp"
#include "schedule/ring_schedule.hpp"
#include "validation/attention_cell.hpp"

namespace ringscale::validation {

/// What a machine file does not say about an implementation of ring attention. Bytes are counted for each element of an
/// output block (batch x tokens x heads x (head_dim + 1)) and moved at the machine's memory bandwidth.
struct AttentionConstants {
  double flop_per_s = 0.0;      ///< of a forward tile on one device, under the mask of the figure
  double unmasked_gain = 1.0;   ///< rate of a tile without mask over one on the diagonal; 1 without a mask
  double backward_ratio = 2.5;  ///< time of the backward tile over the forward one
  double merge_bytes = 12.0;    ///< to join two partial outputs
  double gradient_bytes = 12.0; ///< to add a step's gradients of the queries
  double half_rate_tokens =
      0.0;                      ///< one device: tokens at which a tile reaches half its rate, twice as many when masked
  double iteration_s = 0.0;     ///< once a call
  double link_gain = 1.0;       ///< bandwidth reached over that of the machine file
  double all_to_all_gain = 1.0; ///< the same for an all-to-all, over link_gain
  double all_to_all_sharing = 0.0; ///< 1: the devices of an all-to-all divide one link, 0: each has its own
  double hidden_fraction = 1.0;    ///< of a hop that runs behind compute
};

/// Where fits begin, and what is used where nothing can be fitted; docs/published-tables.md says from where each comes.
/// The rate of tiles is left open.
inline constexpr double starting_share = 0.75; ///< of the peak that products of a tile reach
AttentionConstants starting_constants();

/// Rate of a forward tile from a share of the peak, its exponentials not hidden behind its products:
/// 1 / (1 / (peak share) + 1 / (4 head_dim exponentials_per_s)). FLOP/s.
double tile_rate(const machine::Machine &machine, double share, std::int64_t head_dim, std::int64_t element_bytes);

/// The problem of one ring of a cell: its heads divided by the all-to-all, its placement and schedule by kind.
schedule::RingProblem ring_problem(const AttentionCell &cell);

/// (rank, step) pairs that a figure may cost; rings of equal devices that fold into one period cost few of any size.
inline constexpr double most_simulated_steps = 1e8;

/// (rank, step) pairs that the figure takes, those of an engine that interprets plans counted as the time they take; 1
/// for rings that fold and for one device. Throws as attention_seconds does.
double attention_steps(const AttentionCell &cell, const machine::Machine &machine);

/// Seconds of the passes of a cell: an all-to-all before and after, and between them the simulated ring
/// (simulator::simulate) on the machine with these constants. One device: FLOPs over rate.
/// Throws problem::InvalidInput for a ring that costs more than most_simulated_steps.
double attention_seconds(const AttentionCell &cell, const machine::Machine &machine,
                         const AttentionConstants &constants);

} // namespace ringscale::validation
