// SPDX-License-Identifier: Apache-2.0
#include "simulator/recurrence.hpp"

#include "simulator/lanes.hpp"

namespace ringscale::simulator {

namespace {

template <bool with_jitter, bool hops_alike>
void advance(const std::int32_t *current, std::int32_t *next, const StepRow<std::int32_t> &row,
             const std::uint32_t *rank_keys, std::uint32_t group_key, int step_in_group, bool fresh,
             std::uint32_t *bits, std::int64_t begin, std::int64_t end) {
  // Neighbours come from registers: a load that straddles cache lines costs two.
  Lanes before;
  Lanes own;
  Lanes after;
  load(before, current + begin - lane_count);
  load(own, current + begin);
  const std::int32_t hop = hops_alike ? row.hop_in[begin] : 0;
  for (std::int64_t cell = begin; cell < end; cell += lane_count) {
    load(after, current + cell + lane_count);
    Lanes compute_free;
    load(compute_free, row.work + cell);
    if constexpr (with_jitter) {
      UnsignedLanes mixed;
      if (fresh) {
        load(mixed, rank_keys + cell);
        mixed = (mixed ^ group_key) * 0x7FEB352DU;
        mixed = (mixed ^ (mixed >> 15)) * 0x846CA68BU;
        mixed ^= mixed >> 16;
        store(bits + cell, mixed);
      } else {
        load(mixed, bits + cell);
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
    store(next + cell, compute_free);
    before = own;
    own = after;
  }
}

} // namespace

void advance_lanes(const std::int32_t *current, std::int32_t *next, const StepRow<std::int32_t> &row,
                   const std::uint32_t *rank_keys, std::uint32_t group_key, int step_in_group, bool fresh,
                   std::uint32_t *bits, std::int64_t begin, std::int64_t end) {
  const auto call = [&](auto function) {
    function(current, next, row, rank_keys, group_key, step_in_group, fresh, bits, begin, end);
  };
  if (row.amplitude != nullptr) {
    row.hops_alike ? call(advance<true, true>) : call(advance<true, false>);
  } else {
    row.hops_alike ? call(advance<false, true>) : call(advance<false, false>);
  }
}

} // namespace ringscale::simulator
