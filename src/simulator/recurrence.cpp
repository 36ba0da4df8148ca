// SPDX-License-Identifier: Apache-2.0
#include "simulator/recurrence.hpp"

#include "simulator/lanes.hpp"

namespace ringscale::simulator {

namespace {

/// Everything one row's loop reads and writes; no two of the arrays overlap.
struct Row {
  std::int32_t *__restrict times;
  const std::int32_t *__restrict work;
  const std::int32_t *__restrict amplitude;
  const std::int32_t *__restrict hop_in;
  const std::int32_t *__restrict hop_out;
  const std::uint32_t *__restrict rank_keys;
  std::uint32_t *__restrict bits;
  std::uint32_t group_key;
  std::int64_t begin;
  std::int64_t end;
};

enum class Noise { none, fresh, kept };

template <Noise noise_kind, bool hops_alike, int step_in_group> void advance(const Row row) {
  // Neighbours come from registers: a load that straddles cache lines costs two, and the row can be updated in place.
  Lanes before;
  Lanes own;
  Lanes after;
  load(before, row.times + row.begin - lane_count);
  load(own, row.times + row.begin);
  const std::int32_t hop = hops_alike ? row.hop_in[row.begin] : 0;
  for (std::int64_t cell = row.begin; cell < row.end; cell += lane_count) {
    load(after, row.times + cell + lane_count);
    Lanes compute_free;
    load(compute_free, row.work + cell);
    if constexpr (noise_kind != Noise::none) {
      UnsignedLanes mixed;
      if constexpr (noise_kind == Noise::fresh) {
        load(mixed, row.rank_keys + cell);
        mixed = (mixed ^ row.group_key) * 0x7FEB352DU;
        mixed = (mixed ^ (mixed >> 15)) * 0x846CA68BU;
        mixed ^= mixed >> 16;
        store(row.bits + cell, mixed);
      } else {
        load(mixed, row.bits + cell);
      }
      Lanes noise;
      Lanes amplitude;
      noise_lanes(noise, mixed, step_in_group);
      load(amplitude, row.amplitude + cell);
      compute_free += (amplitude * noise) >> amplitude_shift;
    }
    compute_free += own;
    Lanes left;
    Lanes right;
    from_left(left, before, own);
    from_right(right, own, after);
    if constexpr (hops_alike) {
      raise_to(left, right);
      raise_to(left, own);
      left += hop;
      raise_to(compute_free, left);
    } else {
      Lanes cost;
      raise_to(left, own);
      load(cost, row.hop_in + cell);
      left += cost;
      raise_to(right, own);
      load(cost, row.hop_out + cell);
      right += cost;
      raise_to(compute_free, left);
      raise_to(compute_free, right);
    }
    store(row.times + cell, compute_free);
    before = own;
    own = after;
  }
}

template <bool hops_alike> void advance_noisy(const Row &row, int step_in_group, bool fresh) {
  switch (step_in_group) {
  case 0:
    return fresh ? advance<Noise::fresh, hops_alike, 0>(row) : advance<Noise::kept, hops_alike, 0>(row);
  case 1:
    return advance<Noise::kept, hops_alike, 1>(row);
  case 2:
    return advance<Noise::kept, hops_alike, 2>(row);
  default:
    return advance<Noise::kept, hops_alike, 3>(row);
  }
}

} // namespace

void advance_lanes(std::int32_t *times, const StepRow<std::int32_t> &row, const std::uint32_t *rank_keys,
                   std::uint32_t group_key, int step_in_group, bool fresh, std::uint32_t *bits, std::int64_t begin,
                   std::int64_t end) {
  const Row arrays{times, row.work, row.amplitude, row.hop_in, row.hop_out, rank_keys, bits, group_key, begin, end};
  if (row.amplitude == nullptr) {
    row.hops_alike ? advance<Noise::none, true, 0>(arrays) : advance<Noise::none, false, 0>(arrays);
  } else {
    row.hops_alike ? advance_noisy<true>(arrays, step_in_group, fresh)
                   : advance_noisy<false>(arrays, step_in_group, fresh);
  }
}

} // namespace ringscale::simulator
