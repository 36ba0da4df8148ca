// SPDX-License-Identifier: Apache-2.0
#include "simulator/tick_costs.hpp"

#include <algorithm>
#include <cmath>

#include "simulator/device_time.hpp"
#include "simulator/noise.hpp"

namespace ringscale::simulator {

namespace {

std::int64_t rounded(double seconds, const TickScale &scale) { return std::llround(seconds / scale.tick_s); }

} // namespace

TickScale TickScale::of(const RingCosts &costs, const SimulationOptions &options, int bits) {
  double slowest = 1.0;
  for (std::int64_t rank = 0; rank < costs.ring_size() && devices_differ(options); ++rank) {
    slowest = std::max(slowest, device_time_factor(options, rank));
  }
  const double noise = static_cast<double>(largest_noise) / noise_deviation * options.jitter;
  const double work_s = (costs.largest_work_s() * slowest + costs.step_fixed_s()) * (1.0 + noise);
  const double hop_s = costs.largest_hop_s();
  const double exposed_s = costs.exposed_s(costs.largest_work_s() + costs.step_fixed_s(), hop_s);
  const double longest_s = std::max(work_s, hop_s) + exposed_s;
  TickScale scale;
  if (longest_s > 0.0) {
    scale.tick_s = longest_s / std::ldexp(1.0, bits);
    scale.longest_step = (std::int64_t{1} << bits) + 8; // rounding of the parts
  }
  return scale;
}

std::int64_t work_ticks(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale,
                        std::int64_t rank, std::int64_t step) {
  const double factor = device_time_factor(options, rank);
  return rounded(costs.work(rank, step).total() * factor + costs.step_fixed_s(), scale);
}

std::int64_t amplitude_ticks(const SimulationOptions &options, std::int64_t work) {
  return std::llround(static_cast<double>(work) * options.jitter / noise_deviation *
                      static_cast<double>(1 << amplitude_shift));
}

std::int64_t hop_ticks(const RingCosts &costs, const TickScale &scale, std::int64_t rank) {
  return rounded(costs.hop_s(rank), scale);
}

std::int64_t exposed_ticks(const RingCosts &costs, const TickScale &scale, std::int64_t rank, std::int64_t step) {
  return rounded(costs.exposed_s(costs.work(rank, step).total() + costs.step_fixed_s(), costs.hop_s(rank)), scale);
}

std::int64_t jitter_ticks(const SimulationOptions &options, std::int64_t rank, std::int64_t step,
                          std::int64_t amplitude) {
  if (!(options.jitter > 0.0)) {
    return 0;
  }
  const std::uint32_t bits = mix_keys(noise_rank_key(options.seed, rank), noise_group_key(options.seed, step));
  return (amplitude * noise_of(bits, static_cast<int>(step % steps_per_noise_group))) >> amplitude_shift;
}

template <class Tick>
TickCosts<Tick>::TickCosts(const RingCosts &costs, const SimulationOptions &options, const TickScale &scale,
                           std::int64_t margin)
    : costs_(costs), options_(options), scale_(scale), margin_(margin) {
  const std::int64_t ring_size = costs.ring_size();
  const auto length = static_cast<std::size_t>(ring_size + 2 * margin);
  const auto rank_at = [&](std::size_t index) {
    return (static_cast<std::int64_t>(index) - margin + (margin / ring_size + 1) * ring_size) % ring_size;
  };
  if (options.jitter > 0.0) {
    rank_keys_.resize(length);
    for (std::size_t index = 0; index < length; ++index) {
      rank_keys_[index] = noise_rank_key(options.seed, rank_at(index));
    }
  }
  if (!costs.work_is_by_class()) {
    return;
  }
  const StepClasses &classes = costs.classes();
  // A rank's speed is drawn once, not once per class.
  std::vector<double> factor(length, 1.0);
  AlignedVector<Tick> hop(length + 1);
  for (std::size_t index = 0; index < length; ++index) {
    factor[index] = device_time_factor(options, rank_at(index));
    hop[index] = static_cast<Tick>(hop_ticks(costs, scale, rank_at(index)));
  }
  hop[length] = static_cast<Tick>(hop_ticks(costs, scale, rank_at(length)));
  by_relation_.resize(static_cast<std::size_t>(classes.key_relations()));
  for (int relation = 0; relation < classes.key_relations(); ++relation) {
    ClassArrays &arrays = by_relation_[static_cast<std::size_t>(relation)];
    bool occurs = false;
    for (int query_class = 0; query_class < classes.query_classes(); ++query_class) {
      occurs = occurs || classes.example(query_class, relation).rank >= 0;
    }
    if (!occurs) {
      continue;
    }
    arrays.work.resize(length);
    arrays.amplitude.resize(options.jitter > 0.0 ? length : 0);
    arrays.hop_in.resize(length);
    arrays.hop_out.resize(length);
    arrays.hops_alike = true;
    for (std::size_t index = 0; index < length; ++index) {
      const std::int64_t rank = rank_at(index);
      const double work_s = costs.class_work(classes.query_class(rank), relation).total();
      const std::int64_t work = rounded(work_s * factor[index] + costs.step_fixed_s(), scale);
      const std::int64_t exposed = rounded(costs.exposed_s(work_s + costs.step_fixed_s(), costs.hop_s(rank)), scale);
      arrays.work[index] = static_cast<Tick>(work + exposed);
      arrays.hop_in[index] = static_cast<Tick>(hop[index] + exposed);
      arrays.hop_out[index] = static_cast<Tick>(hop[index + 1] + exposed);
      if (options.jitter > 0.0) {
        arrays.amplitude[index] = static_cast<Tick>(amplitude_ticks(options, work));
      }
      arrays.hops_alike =
          arrays.hops_alike && arrays.hop_in[index] == arrays.hop_in[0] && arrays.hop_out[index] == arrays.hop_in[0];
    }
  }
}

template <class Tick>
void TickCosts<Tick>::fill(std::int64_t rank, std::int64_t step, std::size_t index, AlignedVector<Tick> &work,
                           AlignedVector<Tick> &amplitude, AlignedVector<Tick> &hop_in,
                           AlignedVector<Tick> &hop_out) const {
  const std::int64_t ticks = work_ticks(costs_, options_, scale_, rank, step);
  const std::int64_t exposed = exposed_ticks(costs_, scale_, rank, step);
  work[index] = static_cast<Tick>(ticks + exposed);
  amplitude[index] = static_cast<Tick>(amplitude_ticks(options_, ticks));
  hop_in[index] = static_cast<Tick>(hop_ticks(costs_, scale_, rank) + exposed);
  hop_out[index] = static_cast<Tick>(hop_ticks(costs_, scale_, (rank + 1) % costs_.ring_size()) + exposed);
}

template <class Tick>
StepRow<Tick> TickCosts<Tick>::row(std::int64_t step, std::int64_t begin, std::int64_t end,
                                   RowScratch<Tick> &scratch) const {
  const std::int64_t ring_size = costs_.ring_size();
  const auto length = static_cast<std::size_t>(end - begin);
  const bool jitter = options_.jitter > 0.0;
  const auto make_room = [&] {
    for (AlignedVector<Tick> *array : {&scratch.work, &scratch.amplitude, &scratch.hop_in, &scratch.hop_out}) {
      if (array->size() < length) {
        array->resize(length);
      }
    }
  };
  const auto composed = [&] {
    return StepRow<Tick>{scratch.work.data(), jitter ? scratch.amplitude.data() : nullptr, scratch.hop_in.data(),
                         scratch.hop_out.data(), false};
  };
  if (by_relation_.empty()) {
    make_room();
    for (std::size_t index = 0; index < length; ++index) {
      const std::int64_t rank = (begin + static_cast<std::int64_t>(index) + ring_size) % ring_size;
      fill(rank, step, index, scratch.work, scratch.amplitude, scratch.hop_in, scratch.hop_out);
    }
    return composed();
  }
  const StepClasses &classes = costs_.classes();
  const std::int64_t turned = begin < 0 ? ring_size : 0;
  int relation = classes.key_relation(0, step);
  if (!classes.uniform()) {
    classes.runs(step, begin + turned, end + turned, scratch.runs);
    relation = scratch.runs.size() == 1 ? scratch.runs[0].key_relation : -1;
  }
  const auto at = [&](const AlignedVector<Tick> &array, std::int64_t position) {
    return array.empty() ? nullptr : array.data() + position - turned + margin_;
  };
  if (relation >= 0) {
    const ClassArrays &arrays = by_relation_[static_cast<std::size_t>(relation)];
    const std::int64_t first = begin + turned;
    return {at(arrays.work, first), at(arrays.amplitude, first), at(arrays.hop_in, first), at(arrays.hop_out, first),
            arrays.hops_alike};
  }
  make_room();
  for (const ClassRun &run : scratch.runs) {
    const ClassArrays &arrays = by_relation_[static_cast<std::size_t>(run.key_relation)];
    const auto offset = run.rank_begin - turned - begin;
    const auto count = run.rank_end - run.rank_begin;
    std::copy_n(at(arrays.work, run.rank_begin), count, scratch.work.begin() + offset);
    std::copy_n(at(arrays.hop_in, run.rank_begin), count, scratch.hop_in.begin() + offset);
    std::copy_n(at(arrays.hop_out, run.rank_begin), count, scratch.hop_out.begin() + offset);
    if (jitter) {
      std::copy_n(at(arrays.amplitude, run.rank_begin), count, scratch.amplitude.begin() + offset);
    }
  }
  return composed();
}

template class TickCosts<std::int32_t>;
template class TickCosts<std::int64_t>;

} // namespace ringscale::simulator
