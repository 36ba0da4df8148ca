// SPDX-License-Identifier: Apache-2.0
#include "simulator/device_memory.hpp"

#include "schedule/ring_plan.hpp"
#include "simulator/stored_problem.hpp"

namespace ringscale::simulator {

memory::MemoryByPurpose memory_of(const schedule::RingProblem &problem, std::int64_t rank,
                                  const memory::KernelFootprint &footprint, memory::KernelKind kernel,
                                  std::int64_t element_bytes) {
  using memory::Purpose;
  const schedule::RingProblem stored = stored_in(problem, element_bytes);
  const schedule::RingProblem single = stored_in(problem, sizeof(float));
  memory::MemoryByPurpose memory = memory::closed_form(stored, rank, footprint, kernel);
  if (problem.pass == schedule::Pass::backward || problem.moving == schedule::Moving::query) {
    const memory::MemoryByPurpose wide = memory::closed_form(single, rank, footprint, kernel);
    const std::int64_t buffers = schedule::buffer_counts(problem, rank).result_buffers;
    memory[Purpose::communication] +=
        buffers * (memory::result_buffer_bytes(single) - memory::result_buffer_bytes(stored));
    memory[Purpose::gradient] = wide[Purpose::gradient];
    memory[Purpose::workspace] = wide[Purpose::workspace];
    if (problem.pass == schedule::Pass::forward) {
      memory[Purpose::output] = wide[Purpose::output]; // the result at home
    }
  }
  return memory;
}

} // namespace ringscale::simulator
