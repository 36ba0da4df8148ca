// SPDX-License-Identifier: Apache-2.0
#include "simulator/meeting_work.hpp"

#include <algorithm>
#include <cmath>

namespace ringscale::simulator {

using problem::TokenSet;
using problem::TokenSpan;

namespace {

std::optional<machine::TileTime> backward_tiles(const machine::Machine &machine, const std::string &dtype) {
  if (machine.tiles.backward_samples.empty()) {
    return std::nullopt;
  }
  machine::Machine backward = machine;
  backward.tiles.samples = machine.tiles.backward_samples;
  return machine::TileTime(backward, dtype);
}

double pairs_of_spans(const TokenSpan &queries, const TokenSpan &keys, problem::Mask mask) {
  return mask == problem::Mask::none ? static_cast<double>(queries.count) * static_cast<double>(keys.count)
                                     : static_cast<double>(problem::admitted_pairs(queries, keys, mask));
}

} // namespace

MeetingWork::MeetingWork(const machine::Machine &machine, const schedule::RingProblem &problem,
                         const std::string &dtype, double tile_speedup)
    : attention_(problem.attention), backward_pass_(problem.pass == schedule::Pass::backward), forward_(machine, dtype),
      backward_(backward_tiles(machine, dtype)),
      reuse_(backward_pass_ && backward_ ? machine.tiles.backward_reuse : machine.tiles.reuse), merge_(machine.merge),
      backward_ring_factor_(machine.tiles.backward_ring_factor.value), tile_speedup_(tile_speedup),
      tiles_hold_merges_(machine.merge.fused && !backward_pass_ && !machine.tiles.samples.empty()) {
  const double blocks = problem.ring_size == 1                               ? 1.0
                        : problem.schedule == schedule::Schedule::all_gather ? static_cast<double>(problem.ring_size)
                                                                             : 2.0;
  (problem.moving == schedule::Moving::query ? query_blocks_ : key_blocks_) = blocks;
}

double MeetingWork::tile_s(const machine::TileWork &tile) {
  const machine::TileTime &time = backward_pass_ && backward_ ? *backward_ : forward_;
  if (extrapolation_.empty()) {
    extrapolation_ = time.extrapolation(tile);
  }
  const double ratio = !backward_pass_ ? 1.0 : backward_ ? backward_ring_factor_ : backward_work_ratio;
  return ratio * time(tile) / tile_speedup_;
}

double MeetingWork::measured_merge_s(double rows) const {
  const double elements = rows * static_cast<double>(attention_.batch * attention_.query_heads) *
                          static_cast<double>(attention_.head_dim + 1);
  return merge_.fixed_s.value + merge_.per_element_s.value * elements;
}

/// What a tile that writes its result does not take of what a tile that merges takes.
double MeetingWork::written_saving_s(double rows) const {
  if (!merge_.in_tile_per_element_s) {
    return measured_merge_s(rows);
  }
  return merge_.in_tile_per_element_s->value * rows *
         static_cast<double>(attention_.batch * attention_.query_heads * (attention_.head_dim + 1));
}

/// Bytes that the rank touches in a pass over those of one tile: queries and outputs, keys and values, and backward the
/// gradients of all but the output.
double MeetingWork::data_ratio(const TokenSpan &query, const TokenSpan &key, const TokenSet &queries,
                               const TokenSet &keys) const {
  const double query_tensors = (backward_pass_ ? 3.0 : 2.0) * static_cast<double>(attention_.query_heads);
  const double key_tensors = (backward_pass_ ? 4.0 : 2.0) * static_cast<double>(attention_.kv_heads);
  const double tile = query_tensors * static_cast<double>(query.count) + key_tensors * static_cast<double>(key.count);
  const double rank = query_tensors * query_blocks_ * static_cast<double>(queries.count()) +
                      key_tensors * key_blocks_ * static_cast<double>(keys.count());
  return rank / tile;
}

double MeetingWork::merge_s(double rows) const {
  return merge_.fused || backward_pass_ || !(rows > 0.0) ? 0.0 : measured_merge_s(rows);
}

WorkSeconds MeetingWork::dense(const TokenSet &queries, const TokenSet &keys, bool replaces) {
  WorkSeconds work;
  double rows_merged = 0.0;
  for (int query_span = 0; query_span < queries.span_count(); ++query_span) {
    for (int key_span = 0; key_span < keys.span_count(); ++key_span) {
      const TokenSpan &query = queries.span(query_span);
      const TokenSpan &key = keys.span(key_span);
      const double pairs = pairs_of_spans(query, key, attention_.mask);
      if (!(pairs > 0.0)) {
        continue;
      }
      const double tokens = std::sqrt(static_cast<double>(query.count) * static_cast<double>(key.count));
      const bool whole = pairs >= static_cast<double>(query.count) * static_cast<double>(key.count);
      const double whole_s = tile_s({attention_.batch, attention_.query_heads, attention_.kv_heads, attention_.head_dim,
                                     query.count, key.count, pairs}) *
                             reuse_.factor(tokens, whole ? problem::Mask::none : problem::Mask::causal,
                                           data_ratio(query, key, queries, keys));
      const bool written = replaces && key_span == 0 && tiles_hold_merges_;
      // A merge is a small part of a tile; where the line through the merges says otherwise it is not believed.
      work.tile_s +=
          whole_s - (written ? std::min(written_saving_s(static_cast<double>(query.count)), 0.5 * whole_s) : 0.0);
      // The first block met replaces what was there; every later one is merged.
      rows_merged += replaces && key_span == 0 ? 0.0 : static_cast<double>(query.count);
    }
  }
  work.merge_s = merge_s(rows_merged);
  return work;
}

WorkSeconds MeetingWork::patterned(const TokenSet &queries, const TokenSet &keys, double pairs, bool replaces) {
  WorkSeconds work;
  if (!(pairs > 0.0)) {
    return work;
  }
  const double whole = static_cast<double>(queries.count()) * static_cast<double>(keys.count());
  const double whole_s = tile_s({attention_.batch, attention_.query_heads, attention_.kv_heads, attention_.head_dim,
                                 queries.count(), keys.count(), whole});
  work.tile_s = whole_s * (pairs / (whole * static_cast<double>(attention_.query_heads)));
  work.merge_s = merge_s(replaces ? 0.0 : static_cast<double>(queries.count()));
  return work;
}

} // namespace ringscale::simulator
