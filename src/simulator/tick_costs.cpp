// SPDX-License-Identifier: Apache-2.0
#include "simulator/tick_costs.hpp"

#include <algorithm>
#include <cmath>

#include "problem/invalid_input.hpp"
#include "problem/readable_number.hpp"
#include "simulator/device_time.hpp"
#include "simulator/noise.hpp"

namespace ringscale::simulator {

namespace {

std::int64_t rounded(double seconds, const TickScale &scale) { return std::llround(seconds / scale.tick_s); }

} // namespace

void set_jitter_exponent(TickScale &scale, double largest_work_ticks, double jitter) {
  constexpr double coarsest = 32.0;
  const double amplitude = largest_work_ticks * jitter / noise_deviation;
  const auto allowed = static_cast<double>(largest_byte_amplitude);
  if (!(amplitude > 0.0)) {
    return;
  }
  if (amplitude < coarsest || (scale.byte_amplitudes && amplitude > allowed)) {
    scale.jitter_exponent = static_cast<int>(std::ceil(std::log2(amplitude / allowed)));
  }
}

void require_countable_steps(double longest_s, std::int64_t steps) {
  constexpr double shortest_s = 1e-280;
  constexpr double longest_run_s = 1e300;
  if (longest_s == 0.0 || (longest_s >= shortest_s && longest_s * static_cast<double>(steps) <= longest_run_s)) {
    return;
  }
  throw problem::InvalidInput("a step would take " + problem::readable(longest_s) +
                              " s, beyond what can be counted; look at the rates, bandwidths and times of the machine "
                              "file");
}

TickScale TickScale::of(const RingCosts &costs, const SimulationOptions &options, int bits) {
  double slowest = 1.0;
  for (std::int64_t rank = 0; rank < costs.ring_size() && devices_differ(options); ++rank) {
    slowest = std::max(slowest, device_time_factor(options, rank));
  }
  const double noise = options.measured_jitter ? std::max(0.0, costs.measured_jitter().largest())
                                               : static_cast<double>(largest_noise) / noise_deviation * options.jitter;
  const double steady_s = costs.largest_work_s() * slowest + costs.largest_step_fixed_s();
  const double longest_s = std::max(steady_s * (1.0 + noise), costs.largest_hop_s()) + costs.largest_exposed_s();
  require_countable_steps(longest_s, costs.steps());
  TickScale scale;
  if (longest_s > 0.0) {
    scale.tick_s = longest_s / std::ldexp(1.0, bits);
    scale.longest_step = (std::int64_t{1} << bits) + 8; // rounding of the parts
    scale.byte_amplitudes = bits <= most_lane_bits;
    set_jitter_exponent(scale, steady_s / scale.tick_s, options.jitter);
  }
  return scale;
}

std::int64_t work_ticks(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale,
                        std::int64_t rank, std::int64_t step) {
  const double factor = device_time_factor(options, rank);
  return rounded(costs.work(rank, step).total() * factor + costs.step_fixed_s(rank), scale);
}

std::int64_t jitter_amplitude(const SimulationOptions &options, const TickScale &scale, std::int64_t work) {
  const double deviation = static_cast<double>(work) * options.jitter / noise_deviation;
  return std::llround(std::ldexp(deviation, -scale.jitter_exponent));
}

std::int64_t jitter_centre(const TickScale &scale, std::int64_t amplitude) {
  return shifted(-noise_mean * amplitude, scale.jitter_exponent);
}

std::int64_t hop_ticks(const RingCosts &costs, const TickScale &scale, std::int64_t rank) {
  return rounded(costs.hop_s(rank), scale);
}

std::int64_t exposed_ticks(const RingCosts &costs, const TickScale &scale, std::int64_t rank, std::int64_t step) {
  const double work_s = costs.work(rank, step).total() + costs.step_fixed_s(rank);
  return rounded(costs.exposed_s(rank, work_s, costs.hop_s(rank)), scale);
}

std::int64_t jitter_ticks(const SimulationOptions &options, const TickScale &scale, std::int64_t rank,
                          std::int64_t step, std::int64_t work) {
  if (!(options.jitter > 0.0)) {
    return 0;
  }
  const std::int64_t amplitude = jitter_amplitude(options, scale, work);
  const std::uint32_t bits = mix_keys(noise_rank_key(options.seed, rank), noise_group_key(options.seed, step));
  const std::int64_t noise = noise_of(bits, static_cast<int>(step % steps_per_noise_group));
  return jitter_centre(scale, amplitude) + shifted(amplitude * noise, scale.jitter_exponent);
}

std::int64_t jitter_ticks(const MeasuredJitter &measured, const SimulationOptions &options, const TickScale &scale,
                          std::int64_t rank, std::int64_t step, std::int64_t work) {
  return measured.present()
             ? measured.ticks(measured.table(rank), measured.uniform(rank, step), work, scale.byte_amplitudes)
             : jitter_ticks(options, scale, rank, step, work);
}

StepTicks step_ticks(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale,
                     std::int64_t rank, double work_s, double factor) {
  StepTicks ticks;
  const double fixed_s = costs.step_fixed_s(rank);
  ticks.work = rounded(work_s * factor + fixed_s, scale);
  ticks.exposed = rounded(costs.exposed_s(rank, work_s + fixed_s, costs.hop_s(rank)), scale);
  ticks.hop_in = hop_ticks(costs, scale, rank);
  if (options.measured_jitter) {
    ticks.amplitude = ticks.work;
  } else if (options.jitter > 0.0) {
    ticks.amplitude = jitter_amplitude(options, scale, ticks.work);
    ticks.work += jitter_centre(scale, ticks.amplitude);
  }
  return ticks;
}

void TickCosts::Arrays::resize(std::int64_t ranks) {
  for (std::vector<std::int64_t> *array : {&work, &amplitude, &hop_in, &hop_out}) {
    array->resize(static_cast<std::size_t>(ranks));
  }
}

TickCosts::TickCosts(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale)
    : costs_(costs), options_(options), scale_(scale) {
  const std::int64_t ring_size = costs.ring_size();
  for (std::int64_t rank = 0; rank <= ring_size; ++rank) {
    hop_in_.push_back(hop_ticks(costs, scale, rank % ring_size));
  }
  for (std::int64_t rank = 0; rank < ring_size && has_jitter(options); ++rank) {
    rank_keys_.push_back(noise_rank_key(options.seed, rank));
  }
  composed_.resize(ring_size);
  if (!costs.work_is_by_class()) {
    return;
  }
  const StepClasses &classes = costs.classes();
  by_relation_.resize(static_cast<std::size_t>(classes.key_relations()));
  for (std::int64_t rank = 0; rank < ring_size; ++rank) {
    // A rank's speed is drawn once, not once per class.
    const double factor = device_time_factor(options, rank);
    for (int relation = 0; relation < classes.key_relations(); ++relation) {
      if (classes.occurs(relation)) {
        Arrays &arrays = by_relation_[static_cast<std::size_t>(relation)];
        if (rank == 0) {
          arrays.resize(ring_size);
        }
        const double work_s = costs.class_work(costs.type_of(rank), classes.query_class(rank), relation).total();
        fill(rank, step_ticks(costs, options, scale, rank, work_s, factor), arrays);
      }
    }
  }
}

void TickCosts::fill(std::int64_t rank, const StepTicks &ticks, Arrays &arrays) const {
  const auto place = static_cast<std::size_t>(rank);
  arrays.work[place] = ticks.work + ticks.exposed;
  arrays.amplitude[place] = ticks.amplitude;
  arrays.hop_in[place] = hop_in_[place] + ticks.exposed;
  arrays.hop_out[place] = hop_in_[place + 1] + ticks.exposed;
}

StepRow TickCosts::row_of(const Arrays &arrays) const {
  return {arrays.work.data(),     has_jitter(options_) ? arrays.amplitude.data() : nullptr,
          arrays.hop_in.data(),   arrays.hop_out.data(),
          scale_.jitter_exponent, options_.measured_jitter ? &costs_.measured_jitter() : nullptr,
          scale_.byte_amplitudes};
}

StepRow TickCosts::row(std::int64_t step) {
  const std::int64_t ring_size = costs_.ring_size();
  if (by_relation_.empty()) {
    for (std::int64_t rank = 0; rank < ring_size; ++rank) {
      const double factor = device_time_factor(options_, rank);
      fill(rank, step_ticks(costs_, options_, scale_, rank, costs_.work(rank, step).total(), factor), composed_);
    }
    return row_of(composed_);
  }
  const StepClasses &classes = costs_.classes();
  if (classes.uniform()) {
    return row_of(by_relation_[static_cast<std::size_t>(classes.key_relation(0, step))]);
  }
  classes.runs(step, 0, ring_size, runs_);
  for (const ClassRun &run : runs_) {
    const Arrays &arrays = by_relation_[static_cast<std::size_t>(run.key_relation)];
    if (runs_.size() == 1) {
      return row_of(arrays);
    }
    const auto copy = [&](const std::vector<std::int64_t> &from, std::vector<std::int64_t> &to) {
      std::copy(from.begin() + run.rank_begin, from.begin() + run.rank_end, to.begin() + run.rank_begin);
    };
    copy(arrays.work, composed_.work);
    copy(arrays.amplitude, composed_.amplitude);
    copy(arrays.hop_in, composed_.hop_in);
    copy(arrays.hop_out, composed_.hop_out);
  }
  return row_of(composed_);
}

} // namespace ringscale::simulator
