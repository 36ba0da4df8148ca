// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "simulator/noise.hpp"
#include "simulator/ring_costs.hpp"
#include "simulator/simulation.hpp"

namespace ringscale::simulator {

/// Costs as whole ticks. Times are integers, so sums and maxima are exact and do not depend on order, threads, vector
/// width or compiler; a tick is the longest step / 2^bits.
struct TickScale {
  double tick_s = 1.0;
  std::int64_t longest_step = 0; ///< in ticks, jitter and speed included: the most any time grows in one step
  /// Jitter in ticks is amplitude x noise x 2^jitter_exponent.
  int jitter_exponent = 0;
  /// Amplitudes are at most largest_byte_amplitude: so in scales of at most most_lane_bits, where sixteen products of
  /// amplitude and noise are one instruction. Measured jitter is then multiplied in single precision.
  bool byte_amplitudes = false;

  static TickScale of(const RingCosts &costs, const SimulationOptions &options, int bits);
};

/// Throws InvalidInput unless steps of at most `longest_s`, `steps` of them, have a tick and a finite sum.
void require_countable_steps(double longest_s, std::int64_t steps);

inline constexpr int most_lane_bits = 22;
inline constexpr std::int64_t largest_byte_amplitude = 255;

/// A value times 2^exponent, rounded down.
inline std::int64_t shifted(std::int64_t value, int exponent) {
  return exponent >= 0 ? value << exponent : value >> -exponent;
}

/// What one rank does in one step, in ticks; a rank's jitter is shifted(amplitude x noise, jitter_exponent).
struct StepTicks {
  std::int64_t work = 0;      ///< at the rank's speed, with the fixed term and less the mean of the jitter
  std::int64_t amplitude = 0; ///< of the work's jitter; all the work where jitter is as measured
  std::int64_t exposed = 0;   ///< what does not hide behind the longer of work and hop into the rank
  std::int64_t hop_in = 0;    ///< into the rank
};

/// Costs of one step for all ranks in the order of ranks.
struct StepRow {
  const std::int64_t *work = nullptr;      ///< with exposed
  const std::int64_t *amplitude = nullptr; ///< nullptr without jitter
  const std::int64_t *hop_in = nullptr;    ///< with exposed
  const std::int64_t *hop_out = nullptr;   ///< hop to the next rank + exposed
  int jitter_exponent = 0;
  const MeasuredJitter *measured = nullptr; ///< where jitter is drawn from tables
  bool single_precision = false;            ///< of what is drawn
};

/// Rows of costs, made once per class of work where work is a function of the class.
class TickCosts {
public:
  TickCosts(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale);

  /// Row for a step that ends in a hop; valid until the next call.
  StepRow row(std::int64_t step);

  /// Keys of noise.hpp from rank 0 on, and of that step's group or pair.
  const std::uint32_t *rank_keys() const { return rank_keys_.data(); }
  std::uint32_t step_key(std::int64_t step) const {
    return options_.measured_jitter ? noise_pair_key(options_.seed, step) : noise_group_key(options_.seed, step);
  }

private:
  struct Arrays {
    std::vector<std::int64_t> work, amplitude, hop_in, hop_out;
    void resize(std::int64_t ranks);
  };
  void fill(std::int64_t rank, const StepTicks &ticks, Arrays &arrays) const;
  StepRow row_of(const Arrays &arrays) const;

  const RingCosts &costs_;
  SimulationOptions options_;
  TickScale scale_;
  std::vector<std::int64_t> hop_in_; ///< without exposed; one more than ranks
  std::vector<Arrays> by_relation_;  ///< empty when work is no function of the class
  Arrays composed_;                  ///< of a step with several classes of work
  std::vector<ClassRun> runs_;
  std::vector<std::uint32_t> rank_keys_;
};

/// The scalar costs all arrays are made of. work_ticks holds speed and fixed term, not the exposed part.
std::int64_t work_ticks(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale,
                        std::int64_t rank, std::int64_t step);
/// Amplitude of the jitter of that work: its standard deviation over that of the noise.
std::int64_t jitter_amplitude(const SimulationOptions &options, const TickScale &scale, std::int64_t work);
/// Takes the place of the noise's mean, which is not 0.
std::int64_t jitter_centre(const TickScale &scale, std::int64_t amplitude);
std::int64_t hop_ticks(const RingCosts &costs, const TickScale &scale, std::int64_t rank);
/// Not hidden part of a step: of the nominal work and the hop into the rank.
std::int64_t exposed_ticks(const RingCosts &costs, const TickScale &scale, std::int64_t rank, std::int64_t step);
/// What jitter makes of each part of a step's work: its ticks with jitter over those without. A step's jitter is of its
/// whole work, and all parts share it alike; exactly 1 where there is none.
inline double jitter_stretch(std::int64_t with_jitter, std::int64_t without) {
  return with_jitter == without ? 1.0 : static_cast<double>(with_jitter) / static_cast<double>(without);
}

/// Jitter of (rank, step) for that work, drawn from near a normal distribution, centre included.
std::int64_t jitter_ticks(const SimulationOptions &options, const TickScale &scale, std::int64_t rank,
                          std::int64_t step, std::int64_t work);
/// Whichever jitter the options ask for; `measured` is that of the costs.
std::int64_t jitter_ticks(const MeasuredJitter &measured, const SimulationOptions &options, const TickScale &scale,
                          std::int64_t rank, std::int64_t step, std::int64_t work);
inline bool has_jitter(const SimulationOptions &options) { return options.measured_jitter || options.jitter > 0.0; }
/// All costs of a rank with that nominal work in seconds; `factor` is its time factor.
StepTicks step_ticks(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale,
                     std::int64_t rank, double work_s, double factor);

/// Sets jitter_exponent for work of up to that many ticks: 0 where that gives the largest amplitude 32 or more (steps
/// of 1.6 % of the jitter at most) and no more than allowed.
void set_jitter_exponent(TickScale &scale, double largest_work_ticks, double jitter);

} // namespace ringscale::simulator
