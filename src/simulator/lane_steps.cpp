// SPDX-License-Identifier: Apache-2.0
#include "simulator/lane_steps.hpp"

#include "simulator/lane_draws.hpp"

namespace ringscale::simulator {

namespace {

/// table: one for all ranks, in registers; tables: each rank's in memory.
enum class Jitter { none, direct, shifted, table, tables };

constexpr bool is_drawn(Jitter jitter) { return jitter == Jitter::table || jitter == Jitter::tables; }
constexpr bool is_noise(Jitter jitter) { return jitter == Jitter::direct || jitter == Jitter::shifted; }

/// Work of `cell` with its jitter; `bits` are the cell's mixed keys.
template <Jitter jitter>
RINGSCALE_LANES_INLINE void find_work(Lanes &work, const LaneRow &row, const LaneNoise &noise, std::int64_t cell,
                                      const UnsignedLanes &bits, std::uint32_t flip) {
  work = row.work[cell];
  if constexpr (jitter == Jitter::direct) {
    add_noise(work, row.amplitude[cell], bits, flip);
  } else if constexpr (jitter == Jitter::shifted) {
    Lanes sum = {};
    add_noise(sum, row.amplitude[cell], bits, flip);
    work += (sum << noise.left_shift) >> noise.right_shift;
  }
}

/// Places of `cell` in its table for the two steps of a pair.
template <Jitter jitter>
RINGSCALE_LANES_INLINE void draw_places(TablePlaces &places, const LaneRow &row, const TableLanes &table,
                                        std::int64_t cell, std::uint32_t pair_key) {
  UnsignedLanes bits;
  mix_lanes(bits, row.rank_keys[cell], pair_key);
  if constexpr (jitter == Jitter::table) {
    find_places(places, bits, table.cells);
  } else {
    find_places(places, bits, row.table_cells[cell]);
  }
}

/// Work of `cell` with its jitter where that is drawn; `half`: which of the two steps.
template <Jitter jitter>
RINGSCALE_LANES_INLINE void find_drawn_work(Lanes &work, const LaneRow &row, const LaneNoise &noise,
                                            const TableLanes &table, std::int64_t cell, const TablePlaces &places,
                                            int half) {
  FloatLanes base;
  FloatLanes slope;
  UnsignedLanes place;
  if constexpr (jitter == Jitter::table) {
    const UnsignedLanes at = half == 0 ? places.cell : places.cell >> 16;
    look_up(base, table.base, at);
    look_up(slope, table.slope, at);
  } else {
    UnsignedLanes at;
    take_half(at, places.cell, half);
    at += row.table_first_cell[cell];
    gather(base, noise.measured->base().data(), at);
    gather(slope, noise.measured->slope().data(), at);
  }
  take_half(place, places.place, half);
  work = row.work[cell];
  add_drawn(work, reinterpret_cast<const FloatLanes &>(row.amplitude[cell]), base, slope, place);
}

template <Jitter jitter>
void one_step(const LaneRow row, const LaneNoise noise, const GroupKeys keys, int step_in_group, std::int64_t first,
              std::int64_t last) {
  const std::uint32_t flip = noise_flips[step_in_group];
  TableLanes table;
  if constexpr (jitter == Jitter::table) {
    load_table(table, *noise.measured, *row.table);
  }
  Lanes own = row.times[first + 1];
  Lanes from_before = row.times[first]; // the block from the rank before is there
  raise_to(from_before, own);
  from_before += row.hop == nullptr ? Lanes{} : row.hop[first + 1];
  for (std::int64_t cell = first + 1; cell < last - 1; ++cell) {
    Lanes next;
    if constexpr (is_drawn(jitter)) {
      TablePlaces places;
      draw_places<jitter>(places, row, table, cell, step_in_group < steps_per_noise_pair ? keys.first : keys.second);
      find_drawn_work<jitter>(next, row, noise, table, cell, places, step_in_group % 2);
    } else {
      UnsignedLanes bits = {};
      if constexpr (jitter != Jitter::none) {
        mix_lanes(bits, row.rank_keys[cell], keys.first);
      }
      find_work<jitter>(next, row, noise, cell, bits, flip);
    }
    next += own;
    const Lanes after = row.times[cell + 1];
    Lanes to_after = own;
    raise_to(to_after, after);
    to_after += row.hop == nullptr ? Lanes{} : row.hop[cell + 1];
    raise_to(next, from_before);
    raise_to(next, to_after);
    next += row.exposed == nullptr ? Lanes{} : row.exposed[cell];
    row.times[cell] = next;
    own = after;
    from_before = to_after;
  }
}

/// What step s of the four knows when it takes the pair of cells (c, c + 1) from step s - 1.
struct Level {
  Lanes before; ///< time of cell c - 1
  Lanes joined; ///< hops alike: latest of cells c - 2 and c - 1; else when the hop into cell c - 1 ends
};

enum class Hops { alike, differ, differ_and_show };

template <Jitter jitter, Hops hops>
void four_steps(const LaneRow row, const LaneNoise noise, const GroupKeys keys, std::int64_t first, std::int64_t last) {
  Level levels[4];
  for (Level &level : levels) {
    level.before = level.joined = row.times[first];
  }
  UnsignedLanes bits[5] = {};    // of cells c - 4 .. c
  TablePlaces places[2][3] = {}; // of steps 0 and 1 in cells c - 2 .. c, of steps 2 and 3 in cells c - 4 .. c - 2
  TableLanes table;
  if constexpr (jitter == Jitter::table) {
    load_table(table, *noise.measured, *row.table);
  }
  for (std::int64_t c = first; c < last; c += 2) {
    if constexpr (is_noise(jitter)) {
      bits[0] = bits[2];
      bits[1] = bits[3];
      bits[2] = bits[4];
      mix_lanes(bits[3], row.rank_keys[c - 1], keys.first);
      mix_lanes(bits[4], row.rank_keys[c], keys.first);
    }
    if constexpr (is_drawn(jitter)) {
      places[0][0] = places[0][2];
      draw_places<jitter>(places[0][1], row, table, c - 1, keys.first);
      draw_places<jitter>(places[0][2], row, table, c, keys.first);
      places[1][0] = places[1][2];
      draw_places<jitter>(places[1][1], row, table, c - 3, keys.second);
      draw_places<jitter>(places[1][2], row, table, c - 2, keys.second);
    }
    Lanes left = row.times[c];
    Lanes right = row.times[c + 1];
#pragma GCC unroll 4
    for (int step = 0; step < 4; ++step) {
      // Takes cells (c - step, c - step + 1), gives the pair one cell before it.
      const std::int64_t cell = c - step;
      Level &level = levels[step];
      Lanes next_left;
      Lanes next_right;
      if constexpr (is_drawn(jitter)) {
        const int half = step % 2;
        const TablePlaces *const drawn = places[step / 2];
        find_drawn_work<jitter>(next_left, row, noise, table, cell - 1, drawn[1 - half], half);
        find_drawn_work<jitter>(next_right, row, noise, table, cell, drawn[2 - half], half);
      } else {
        find_work<jitter>(next_left, row, noise, cell - 1, bits[3 - step], noise_flips[step]);
        find_work<jitter>(next_right, row, noise, cell, bits[4 - step], noise_flips[step]);
      }
      next_left += level.before;
      next_right += left;
      Lanes pair = left;
      raise_to(pair, right);
      if constexpr (hops == Hops::alike) {
        raise_to(next_left, level.joined);
        raise_to(next_left, left);
        raise_to(next_right, level.before);
        raise_to(next_right, pair);
      } else {
        Lanes middle = level.before;
        raise_to(middle, left);
        middle += row.hop[cell];
        pair += row.hop[cell + 1];
        raise_to(next_left, level.joined);
        raise_to(next_left, middle);
        raise_to(next_right, middle);
        raise_to(next_right, pair);
        if constexpr (hops == Hops::differ_and_show) {
          next_left += row.exposed[cell - 1];
          next_right += row.exposed[cell];
        }
      }
      level.before = right;
      level.joined = pair;
      left = next_left;
      right = next_right;
    }
    row.times[c - 4] = left;
    row.times[c - 3] = right;
  }
}

template <Jitter jitter>
void advance_with(const LaneRow &row, const LaneNoise &noise, const GroupKeys &keys, std::int64_t first,
                  std::int64_t last) {
  if (row.hop == nullptr) {
    four_steps<jitter, Hops::alike>(row, noise, keys, first, last);
  } else if (row.exposed == nullptr) {
    four_steps<jitter, Hops::differ>(row, noise, keys, first, last);
  } else {
    four_steps<jitter, Hops::differ_and_show>(row, noise, keys, first, last);
  }
}

} // namespace

void advance_one_step(const LaneRow &row, const LaneNoise &noise, const GroupKeys &keys, int step_in_group,
                      std::int64_t first, std::int64_t last) {
  if (noise.measured != nullptr) {
    const auto step = row.table != nullptr ? one_step<Jitter::table> : one_step<Jitter::tables>;
    step(row, noise, keys, step_in_group, first, last);
  } else if (!noise.present) {
    one_step<Jitter::none>(row, noise, keys, step_in_group, first, last);
  } else {
    one_step<Jitter::shifted>(row, noise, keys, step_in_group, first, last);
  }
}

void advance_four_steps(const LaneRow &row, const LaneNoise &noise, const GroupKeys &keys, std::int64_t first,
                        std::int64_t last) {
  const bool direct = noise.left_shift == 0 && noise.right_shift == 0;
  if (noise.measured != nullptr) {
    const auto steps = row.table != nullptr ? advance_with<Jitter::table> : advance_with<Jitter::tables>;
    steps(row, noise, keys, first, last);
  } else if (!noise.present) {
    advance_with<Jitter::none>(row, noise, keys, first, last);
  } else if (direct) {
    advance_with<Jitter::direct>(row, noise, keys, first, last);
  } else {
    advance_with<Jitter::shifted>(row, noise, keys, first, last);
  }
}

} // namespace ringscale::simulator
