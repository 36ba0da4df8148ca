// SPDX-License-Identifier: Apache-2.0
#include "simulator/breakdown.hpp"

#include <algorithm>
#include <cmath>

#include "simulator/device_time.hpp"

namespace ringscale::simulator {

Breakdown breakdown_of(const RingCosts &costs, const SimulationOptions &options, std::int64_t rank, double time_s,
                       const TickScale &scale) {
  const double factor = device_time_factor(options, rank);
  const std::int64_t hop =
      std::max(hop_ticks(costs, scale, rank), hop_ticks(costs, scale, (rank + 1) % costs.ring_size()));
  double work_ticks_sum = 0.0;
  double work_ticks_beside_hops = 0.0;
  double exposed_ticks_sum = 0.0;
  double fixed_terms = 0.0;
  Breakdown result;
  const auto add_step = [&](std::int64_t step, double times) {
    const WorkSeconds nominal = costs.work(rank, step);
    const std::int64_t steady = work_ticks(costs, options, scale, rank, step);
    const std::int64_t work = steady + jitter_ticks(costs.measured_jitter(), options, scale, rank, step, steady);
    work_ticks_sum += times * static_cast<double>(work);
    const double stretch = jitter_stretch(work, steady);
    fixed_terms += times * stretch;
    result.merge_s += times * nominal.merge_s * factor * stretch;
    if (step + 1 < costs.steps()) {
      const std::int64_t exposed = exposed_ticks(costs, scale, rank, step);
      exposed_ticks_sum += times * static_cast<double>(exposed + std::max<std::int64_t>(0, hop - work));
      work_ticks_beside_hops += times * static_cast<double>(work);
    }
  };
  const std::int64_t steps = costs.steps();
  const bool alike = !has_jitter(options) && costs.work_is_by_class() && costs.classes().key_relations() == 3 &&
                     (costs.classes().uniform() || rank == 0);
  if (alike && steps > 3) {
    // Rank 0 meets blocks from after itself in every step but the first.
    add_step(0, 1.0);
    add_step(1, static_cast<double>(steps - 2));
    add_step(steps - 1, 1.0);
  } else {
    for (std::int64_t step = 0; step < steps; ++step) {
      add_step(step, 1.0);
    }
  }
  result.rank = rank;
  result.total_s = time_s;
  result.step_work_s =
      scale.tick_s * (steps > 1 ? work_ticks_beside_hops / static_cast<double>(steps - 1) : work_ticks_sum);
  result.step_messages_s = steps > 1 ? static_cast<double>(hop) * scale.tick_s : 0.0;
  result.fixed_s = costs.step_fixed_s(rank) * fixed_terms;
  result.compute_s = work_ticks_sum * scale.tick_s - result.merge_s - result.fixed_s;
  result.exposed_communication_s = exposed_ticks_sum * scale.tick_s;
  result.waiting_s = time_s - (result.compute_s + result.merge_s + result.fixed_s) - result.exposed_communication_s;
  if (std::abs(result.waiting_s) < 1e-12 * time_s) {
    result.waiting_s = 0.0; // rounding of the sum above
  }
  return result;
}

namespace {

/// Work that is no function of the class: what all ranks do, step by step.
double total_by_step_s(const RingCosts &costs) {
  if (!costs.classes().work_depends_on_owner()) {
    double sum = 0.0; // few ranks share cores
    for (std::int64_t rank = 0; rank < costs.ring_size(); ++rank) {
      for (std::int64_t step = 0; step < costs.steps(); ++step) {
        sum += costs.work(rank, step).total();
      }
    }
    return sum;
  }
  // All ranks of a type do the same in the end.
  double sum = 0.0;
  for (std::size_t type = 0; type < costs.types(); ++type) {
    double of_rank = 0.0;
    for (std::int64_t step = 0; step < costs.steps(); ++step) {
      of_rank += costs.work(costs.first_rank(type), step).total();
    }
    sum += of_rank * static_cast<double>(costs.first_rank(type + 1) - costs.first_rank(type));
  }
  return sum;
}

/// Classes of one type of devices.
double total_of_type_s(const RingCosts &costs, std::size_t type) {
  const StepClasses &classes = costs.classes();
  const auto class_work = [&](int query_class, int relation) {
    return costs.class_work(type, query_class, relation).total();
  };
  if (classes.query_classes() == 1 && classes.key_relations() == 3 && (costs.types() == 1 || classes.uniform())) {
    const double diagonal = class_work(0, static_cast<int>(Relation::diagonal));
    const auto ranks = static_cast<double>(costs.first_rank(type + 1) - costs.first_rank(type));
    const auto steps = static_cast<double>(costs.steps());
    // Each pair of different ranks meets twice, once from before and once from after.
    const double before = class_work(0, static_cast<int>(Relation::before));
    const double after = classes.uniform() ? before : class_work(0, static_cast<int>(Relation::after));
    return ranks * diagonal + ranks * (steps - 1.0) / 2.0 * (before + after);
  }
  double sum = 0.0;
  std::vector<ClassRun> runs;
  for (std::int64_t step = 0; step < costs.steps(); ++step) {
    classes.runs(step, costs.first_rank(type), costs.first_rank(type + 1), runs);
    for (const ClassRun &run : runs) {
      for (int query_class = 0; query_class < classes.query_classes(); ++query_class) {
        sum += static_cast<double>(classes.count_ranks(query_class, run.rank_begin, run.rank_end)) *
               class_work(query_class, run.key_relation);
      }
    }
  }
  return sum;
}

} // namespace

double total_work_s(const RingCosts &costs) {
  if (!costs.work_is_by_class()) {
    return total_by_step_s(costs);
  }
  double sum = 0.0;
  for (std::size_t type = 0; type < costs.types(); ++type) {
    sum += total_of_type_s(costs, type);
  }
  return sum;
}

} // namespace ringscale::simulator
