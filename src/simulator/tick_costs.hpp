// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "simulator/aligned_vector.hpp"
#include "simulator/ring_costs.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// Costs as whole ticks. Times are integers, so sums and maxima are exact and do not depend on order, threads, vector
/// width or compiler; a tick is the longest step / 2^bits.
struct TickScale {
  double tick_s = 1.0;
  std::int64_t longest_step = 0; ///< in ticks, jitter and speed included: the most any time grows in one step

  static TickScale of(const RingCosts &costs, const SimulationOptions &options, int bits);
};

/// Jitter in ticks is (amplitude x noise) >> amplitude_shift.
inline constexpr int amplitude_shift = 11;

/// Costs of one step for a run of ranks; element i belongs to rank begin + i.
template <class Tick> struct StepRow {
  const Tick *work = nullptr;      ///< work at the rank's speed + fixed + exposed
  const Tick *amplitude = nullptr; ///< of the work's jitter; nullptr without jitter
  const Tick *hop_in = nullptr;    ///< hop into the rank + exposed
  const Tick *hop_out = nullptr;   ///< hop to the next rank + exposed
  bool hops_alike = false;         ///< all hop_in and hop_out equal hop_in[0]
};

/// Arrays for one row where the step has several classes of work.
template <class Tick> struct RowScratch {
  AlignedVector<Tick> work, amplitude, hop_in, hop_out;
  std::vector<ClassRun> runs;
};

template <class Tick> class TickCosts {
public:
  /// Arrays reach `margin` ranks before rank 0 and behind the last one (the ring goes on there).
  TickCosts(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale, std::int64_t margin);

  /// Row of ranks [begin, end), -margin <= begin, end <= ring_size + margin, for a step that ends in a hop.
  StepRow<Tick> row(std::int64_t step, std::int64_t begin, std::int64_t end, RowScratch<Tick> &scratch) const;

  /// Keys of noise.hpp from rank `begin` on.
  const std::uint32_t *rank_keys(std::int64_t begin) const { return rank_keys_.data() + begin + margin_; }

private:
  struct ClassArrays {
    AlignedVector<Tick> work, amplitude, hop_in, hop_out;
    bool hops_alike = false;
  };
  void fill(std::int64_t rank, std::int64_t step, std::size_t index, AlignedVector<Tick> &work,
            AlignedVector<Tick> &amplitude, AlignedVector<Tick> &hop_in, AlignedVector<Tick> &hop_out) const;

  const RingCosts &costs_;
  SimulationOptions options_;
  TickScale scale_;
  std::int64_t margin_ = 0;
  std::vector<ClassArrays> by_relation_; ///< empty when work is no function of the class
  AlignedVector<std::uint32_t> rank_keys_;
};

/// The scalar costs all arrays are made of. work_ticks holds speed and fixed term, not the exposed part.
std::int64_t work_ticks(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale,
                        std::int64_t rank, std::int64_t step);
std::int64_t amplitude_ticks(const SimulationOptions &options, std::int64_t work);
std::int64_t hop_ticks(const RingCosts &costs, const TickScale &scale, std::int64_t rank);
/// Not hidden part of a step: of the nominal work and the hop into the rank.
std::int64_t exposed_ticks(const RingCosts &costs, const TickScale &scale, std::int64_t rank, std::int64_t step);
/// Jitter of (rank, step) for work of that amplitude.
std::int64_t jitter_ticks(const SimulationOptions &options, std::int64_t rank, std::int64_t step,
                          std::int64_t amplitude);

extern template class TickCosts<std::int32_t>;
extern template class TickCosts<std::int64_t>;

} // namespace ringscale::simulator
