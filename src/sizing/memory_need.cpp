// SPDX-License-Identifier: Apache-2.0
#include "sizing/memory_need.hpp"

#include <algorithm>

#include "schedule/ring_plan.hpp"
#include "simulator/device_memory.hpp"

namespace ringscale::sizing {

using memory::MemoryByPurpose;
using memory::Purpose;
using schedule::RingProblem;

namespace {

/// Roughly the largest tensor of a device, in floating point, so that nothing overflows: queries, or a block, or all
/// blocks of an all-gather, or scores. Counts of such tensors are below 32.
double rough_bytes(const RingProblem &problem, memory::KernelKind kernel) {
  const problem::AttentionProblem &attention = problem.attention;
  const auto ring_size = static_cast<double>(problem.ring_size);
  const auto tokens = static_cast<double>(attention.tokens);
  const double row_bytes = static_cast<double>(attention.batch) * static_cast<double>(attention.query_heads) *
                           static_cast<double>(attention.head_dim) *
                           static_cast<double>(problem::storage_bytes(attention.dtype));
  const bool whole = problem.placement == schedule::Placement::replicated_queries ||
                     problem.schedule == schedule::Schedule::all_gather;
  const double rows = whole ? tokens : tokens / ring_size;
  double most = rows * row_bytes;
  if (kernel == memory::KernelKind::materialised) {
    most = std::max(most,
                    static_cast<double>(attention.batch) * static_cast<double>(attention.query_heads) *
                        (problem.placement == schedule::Placement::replicated_queries ? tokens : tokens / ring_size) *
                        (tokens / ring_size) * 4.0);
  }
  return most;
}

} // namespace

memory::Purpose MemoryNeed::largest_purpose() const {
  return *std::max_element(memory::all_purposes.begin(), memory::all_purposes.end(),
                           [&](Purpose left, Purpose right) { return by_purpose[left] < by_purpose[right]; });
}

std::optional<MemoryNeed> memory_need(const machine::Machine &machine, const Workload &workload,
                                      const Configuration &configuration, std::int64_t tokens) {
  const memory::KernelFootprint footprint = footprint_of(machine);
  std::optional<MemoryNeed> most;
  for (const schedule::Pass pass : workload.passes) {
    const RingProblem problem = ring_problem(workload, configuration, pass, tokens);
    schedule::validate(problem);
    if (rough_bytes(problem, configuration.kernel) > static_cast<double>(most_device_bytes)) {
      return std::nullopt;
    }
    const std::int64_t rank = memory::rank_with_most_memory(problem);
    MemoryNeed need;
    need.by_purpose = simulator::memory_of(problem, rank, footprint, configuration.kernel,
                                           problem::storage_bytes(problem.attention.dtype));
    need.total_bytes = need.by_purpose.total();
    need.pass = pass;
    if (!most || need.total_bytes > most->total_bytes) {
      most = need;
    }
  }
  return most;
}

bool fits(const machine::Machine &machine, const Workload &workload, const Configuration &configuration,
          std::int64_t tokens, std::int64_t budget) {
  const std::optional<MemoryNeed> need = memory_need(machine, workload, configuration, tokens);
  return need && need->total_bytes <= budget;
}

double least_bytes_between(const machine::Machine &machine, const Workload &workload,
                           const Configuration &configuration, std::int64_t low, std::int64_t high,
                           std::int64_t tokens) {
  const memory::KernelFootprint footprint = footprint_of(machine);
  double most = 0.0;
  for (const schedule::Pass pass : workload.passes) {
    Configuration ring = configuration;
    ring.ring_size = low;
    const RingProblem of_low = ring_problem(workload, ring, pass, tokens);
    ring.ring_size = high;
    const RingProblem of_high = ring_problem(workload, ring, pass, tokens);
    if (rough_bytes(of_high, ring.kernel) > static_cast<double>(most_device_bytes)) {
      return rough_bytes(of_high, ring.kernel);
    }
    const MemoryByPurpose memory =
        memory::closed_form(of_high, memory::rank_with_most_memory(of_high), footprint, ring.kernel);
    const schedule::BufferCounts buffers = schedule::buffer_counts(of_low, 0);
    const auto block = static_cast<double>(memory::block_buffer_bytes(of_high, footprint));
    const auto result =
        schedule::makes_results(of_high) ? static_cast<double>(memory::result_buffer_bytes(of_high)) : 0.0;
    const auto copies = static_cast<double>(memory::copy_buffer_count(of_low));
    const double beside = static_cast<double>(memory.total() - memory[Purpose::communication]);
    const double results = static_cast<double>(buffers.result_buffers) * result;
    const auto blocks = static_cast<double>(buffers.block_buffers) - 1.0 + copies;
    double least = beside + blocks * block + results;
    if (ring.schedule == schedule::Schedule::all_gather) {
      // All blocks are here, however many they are: no fewer bytes than the whole tensor, and a header each.
      RingProblem whole = of_low;
      whole.ring_size = 1;
      whole.schedule = schedule::Schedule::ring;
      const auto tensor = static_cast<double>(memory::block_payload_bytes(whole, 0, {1, 0}));
      const auto headers = static_cast<double>(buffers.block_buffers * memory::block_header_bytes);
      least = std::max(least, beside - block + tensor + headers + results);
    }
    most = std::max(most, least);
  }
  return most;
}

} // namespace ringscale::sizing
