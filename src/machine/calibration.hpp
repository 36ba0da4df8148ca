// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "statistics/summary.hpp"

namespace ringscale::machine {

/// One merge of two partials: elements = batch x queries x heads x (head_dim + 1).
struct MergeSample {
  double elements = 0.0;
  std::vector<double> samples_s;
};

/// Everything `calibrate` measures before it runs rings, as raw samples.
struct RawCalibration {
  std::string name;
  std::string description;
  std::string where; ///< host and processor, for the sources
  double memory_bytes = 0.0;
  double peak_flop_per_s = 0.0;
  TileTable tiles; ///< of both passes; time_s is filled in by assemble
  bool merge_is_fused = true;
  std::vector<MergeSample> merges_in_tiles; ///< what merging adds to a fused tile: pairs of samples subtracted
  std::vector<MergeSample> merges;
  std::vector<MessageSample> messages;  ///< time_s is filled in by assemble
  bool messages_leave_the_node = false; ///< as MPI sees nodes: the ranks that exchange them share no memory
  std::vector<double> step_fixed_s;
  std::vector<double> hidden_fractions; ///< with progress polled
  std::vector<double> repeated_tile_s;  ///< many equal tiles, for the jitter
  std::vector<double> neighbour_tile_s; ///< that tile while all cores compute it; empty with one core
  std::int64_t cores = 1;
  std::vector<std::int64_t> shared_ranks; ///< numbers of ranks above the cores at which rings are run, rising
  KernelFootprint footprint;
  statistics::Typical typical = statistics::Typical::median; ///< of the samples of tiles, merges, messages and steps
};

/// A machine from raw samples: typical times of tiles made monotone, least squares of relative residuals for merge and
/// link, median step and overlap, spread of the repeated tile. Terms that only whole rings show start at their measured
/// or neutral values. Throws InvalidInput when a series is missing or has values that are not positive.
Machine assemble(const RawCalibration &raw);

/// Latency and bandwidth from shifts of 2 (or more) ranks; sharing from shifts of two ring sizes when both are there.
/// Where a line of least relative residuals misses the longest message by more than a quarter (a capped link lets
/// bursts through), the line through the shortest and the longest one. Sets `max_relative_residual` to the line's
/// worst.
Link fit_link(const std::vector<MessageSample> &messages, const std::string &source, double &max_relative_residual);

} // namespace ringscale::machine
