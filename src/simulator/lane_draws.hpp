// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "simulator/lanes.hpp"
#include "simulator/measured_jitter.hpp"

namespace ringscale::simulator {

/// Tables of up to so many cells are looked up in registers.
inline constexpr std::uint32_t most_cells_in_registers = 32;

/// Where sixteen ranks' uniform numbers lie in their tables, of two steps: the earlier one's in the lower halves.
struct TablePlaces {
  UnsignedLanes cell;  ///< from the table's first one
  UnsignedLanes place; ///< in the cell, of 2^16
};

/// MeasuredJitter's products of two 16-bit halves by the number of cells (at most 2^16 - 1).
RINGSCALE_LANES_INLINE void find_places(TablePlaces &places, const UnsignedLanes &bits, const UnsignedLanes &cells) {
#if defined(__AVX512BW__)
  const auto both_halves = reinterpret_cast<__m512i>(cells | (cells << 16));
  places.cell = reinterpret_cast<UnsignedLanes>(_mm512_mulhi_epu16(reinterpret_cast<__m512i>(bits), both_halves));
  places.place = reinterpret_cast<UnsignedLanes>(_mm512_mullo_epi16(reinterpret_cast<__m512i>(bits), both_halves));
#else
  const UnsignedLanes lower = (bits & 0xFFFFU) * cells;
  const UnsignedLanes upper = (bits >> 16) * cells;
  places.cell = (lower >> 16) | (upper & 0xFFFF0000U);
  places.place = (lower & 0xFFFFU) | (upper << 16);
#endif
}

/// The table of all ranks in a row, ready for lookups.
struct TableLanes {
  UnsignedLanes cells = {};
  FloatLanes base[2] = {};
  FloatLanes slope[2] = {};
};

RINGSCALE_LANES_INLINE void load_table(TableLanes &lanes, const MeasuredJitter &measured,
                                       const MeasuredJitter::Table &table) {
  lanes.cells = UnsignedLanes{} + table.cells;
  for (std::uint32_t cell = 0; cell < table.cells; ++cell) {
    lanes.base[cell / lane_count][cell % lane_count] = measured.base()[table.first_cell + cell];
    lanes.slope[cell / lane_count][cell % lane_count] = measured.slope()[table.first_cell + cell];
  }
}

/// Values of a table of 32 at `cells`, of which five bits count.
RINGSCALE_LANES_INLINE void look_up(FloatLanes &values, const FloatLanes (&table)[2], const UnsignedLanes &cells) {
#if defined(__AVX512F__)
  values = reinterpret_cast<FloatLanes>(_mm512_permutex2var_ps(
      reinterpret_cast<__m512>(table[0]), reinterpret_cast<__m512i>(cells), reinterpret_cast<__m512>(table[1])));
#else
  for (int lane = 0; lane < lane_count; ++lane) {
    const std::uint32_t cell = cells[lane] % most_cells_in_registers;
    values[lane] = table[cell / lane_count][cell % lane_count];
  }
#endif
}

/// Values of `table` in memory.
RINGSCALE_LANES_INLINE void gather(FloatLanes &values, const float *table, const UnsignedLanes &cells) {
#if defined(__AVX512F__)
  // Masked, all lanes: GCC warns of the undefined register in the intrinsic without a mask.
  values = reinterpret_cast<FloatLanes>(
      _mm512_mask_i32gather_ps(_mm512_setzero_ps(), 0xFFFF, reinterpret_cast<__m512i>(cells), table, sizeof(float)));
#else
  for (int lane = 0; lane < lane_count; ++lane) {
    values[lane] = table[cells[lane]];
  }
#endif
}

/// Places of one of the two steps.
RINGSCALE_LANES_INLINE void take_half(UnsignedLanes &values, const UnsignedLanes &both, int half) {
  values = half == 0 ? both & 0xFFFFU : both >> 16;
}

/// sum + MeasuredJitter::ticks in single precision: work x (base + slope x place), cut off towards 0.
RINGSCALE_LANES_INLINE void add_drawn(Lanes &sum, const FloatLanes &work, const FloatLanes &base,
                                      const FloatLanes &slope, const UnsignedLanes &place) {
  const FloatLanes rise = slope * __builtin_convertvector(reinterpret_cast<const Lanes &>(place), FloatLanes);
  sum += __builtin_convertvector(work * (base + rise), Lanes);
}

} // namespace ringscale::simulator
