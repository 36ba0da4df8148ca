// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "machine/machine.hpp"
#include "machine/tile_reuse.hpp"
#include "machine/tile_time.hpp"
#include "schedule/ring_schedule.hpp"

namespace ringscale::simulator {

/// Seconds of one step's work of a rank, before its speed and jitter.
struct WorkSeconds {
  double tile_s = 0.0;
  double merge_s = 0.0; ///< 0 for the first block and for blocks without admitted pairs, and when fused
  double total() const { return tile_s + merge_s; }
};

/// Backward work over forward work where no backward tiles were measured: five matrix products for two.
inline constexpr double backward_work_ratio = 2.5;

/// What one rank takes to compute with one block on a machine: queries of one rank and keys of another.
class MeetingWork {
public:
  /// Throws InvalidInput when the machine cannot answer for `dtype` ("": its first). Tiles take their time divided by
  /// `tile_speedup`; merges stay.
  MeetingWork(const machine::Machine &machine, const schedule::RingProblem &problem, const std::string &dtype,
              double tile_speedup = 1.0);

  /// Dense: every pair of spans is a tile, whole or under the mask. `replaces`: the result is written and not joined to
  /// one that is there; calibrated tiles of a kernel that merges by itself hold a merge, which is then taken off.
  /// Backward: tiles of the machine's backward table, or backward_work_ratio times forward; its kernel adds up by
  /// itself, so nothing is merged.
  WorkSeconds dense(const problem::TokenSet &queries, const problem::TokenSet &keys, bool replaces);

  /// `pairs` of all query heads, repeats counted (schedule::pairs_of_meeting), at the time per pair of the whole tile.
  WorkSeconds patterned(const problem::TokenSet &queries, const problem::TokenSet &keys, double pairs, bool replaces);

  const machine::TileTime &forward_tile() const { return forward_; }
  /// Whether backward times are forward times multiplied.
  bool backward_is_scaled() const { return !backward_; }
  /// What lies outside the calibrated range; empty when nothing asked so far does.
  const std::string &extrapolation() const { return extrapolation_; }

private:
  double tile_s(const machine::TileWork &tile);
  double merge_s(double rows) const;
  double measured_merge_s(double rows) const;
  double written_saving_s(double rows) const;
  double data_ratio(const problem::TokenSpan &query, const problem::TokenSpan &key, const problem::TokenSet &queries,
                    const problem::TokenSet &keys) const;

  problem::AttentionProblem attention_;
  bool backward_pass_ = false;
  machine::TileTime forward_;
  std::optional<machine::TileTime> backward_;
  machine::TileReuse reuse_;
  double query_blocks_ = 1.0; ///< blocks of queries that a rank touches in a pass: its own, and those that arrive
  double key_blocks_ = 1.0;
  machine::MergeCost merge_;
  double backward_ring_factor_ = 1.0;
  double tile_speedup_ = 1.0;
  bool tiles_hold_merges_ = false;
  std::string extrapolation_;
};

} // namespace ringscale::simulator
