// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "machine/machine.hpp"

namespace ringscale::machine {

/// The work of one kernel call: queries x keys of which `pairs` are admitted (all of them, or a part under a mask).
struct TileWork {
  std::int64_t batch = 1;
  std::int64_t query_heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t head_dim = 64;
  std::int64_t query_tokens = 0;
  std::int64_t key_tokens = 0;
  double pairs = 0.0;
};

/// Time of a tile on a machine. Calibrated: log time interpolated bilinearly in log query and log key tokens: exact at
/// the table's points, growing with either length, time per pair constant beyond the longest. Partly admitted tiles
/// take their share of the pairs times the penalty measured on diagonal tiles. Published: the roofline.
class TileTime {
public:
  /// `dtype` picks the roofline's arithmetic ("": the first); throws InvalidInput when the machine has none such.
  TileTime(const Machine &machine, const std::string &dtype);

  /// Seconds; 0 for no pairs.
  double operator()(const TileWork &work) const;

  /// Empty, or why the answer lies outside what was calibrated ("query_tokens 262144 beyond 4096, ...").
  std::string extrapolation(const TileWork &work) const;

  std::int64_t element_bytes() const { return arithmetic_.element_bytes; }
  const std::string &dtype() const { return arithmetic_.dtype; }

private:
  struct Grid {
    std::vector<double> log_query;
    std::vector<double> log_key;
    std::vector<double> log_time;     ///< [query, key]
    std::vector<double> log_diagonal; ///< log tokens of the diagonal samples
    std::vector<double> log_penalty;  ///< log (time / share of the full tile's time)

    double full(double query_tokens, double key_tokens) const;
    double penalty(double tokens) const;
  };

  static Grid make_grid(const std::vector<const TileSample *> &samples);
  double calibrated(const TileWork &work) const;
  double roofline(const TileWork &work) const;
  double grid_time(const Grid &grid, const TileWork &work) const;

  std::map<std::int64_t, Grid> grids_; ///< by head_dim
  double calibrated_heads_ = 0.0;
  Roofline roofline_;
  Arithmetic arithmetic_;
};

/// Raises times to the running maximum along queries and keys, so that more work never takes less time.
void make_monotone(TileTable &table);

} // namespace ringscale::machine
