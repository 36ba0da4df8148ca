// SPDX-License-Identifier: Apache-2.0
#include "ring/recovered_run.hpp"

#include <algorithm>

#include "memory/grid_memory.hpp"
#include "problem/invalid_input.hpp"
#include "ring/grid_rank.hpp"
#include "ring/sampling.hpp"
#include "ring/verification.hpp"
#include "statistics/summary.hpp"

namespace ringscale::ring {

namespace {

/// Options with the configuration that recovery decided on, without the pieces.
RingOptions configured(const RingOptions &options, const memory::MemoryConfiguration &configuration) {
  RingOptions result = options;
  result.kernel = configuration.stores_scores ? memory::KernelKind::materialised : memory::KernelKind::streamed;
  if (configuration.storage != options.problem.attention.dtype) {
    result.problem.attention.dtype = configuration.storage;
    result.kernel = memory::KernelKind::streamed; // the one kernel that reads bfloat16
  }
  return result;
}

/// Piece `index` of `pieces` of the batch.
RingOptions batch_piece(const RingOptions &options, std::int64_t pieces, std::int64_t index) {
  const schedule::Share share = schedule::equal_share(options.problem.attention.batch, pieces, index);
  RingOptions piece = options;
  piece.problem.attention.batch = share.count;
  piece.origin.batch += share.begin;
  return piece;
}

void add_samples(std::vector<double> &sum, const std::vector<double> &more) {
  sum.resize(std::max(sum.size(), more.size()), 0.0);
  for (std::size_t index = 0; index < more.size(); ++index) {
    sum[index] += more[index];
  }
}

/// Joins a further piece of the batch into `run`.
void join_piece(RingRun &run, const RingRun &piece) {
  add_samples(run.samples_s, piece.samples_s);
  add_samples(run.compute_samples_s, piece.compute_samples_s);
  add_samples(run.exposed_communication_samples_s, piece.exposed_communication_samples_s);
  add_samples(run.merge_samples_s, piece.merge_samples_s);
  add_samples(run.exchange_samples_s, piece.exchange_samples_s);
  add_samples(run.messages_only_samples_s, piece.messages_only_samples_s);
  run.compute_s = statistics::median(run.compute_samples_s);
  run.exposed_communication_s = statistics::median(run.exposed_communication_samples_s);
  run.verified = run.verified && piece.verified;
  run.all_rows_checked = run.all_rows_checked && piece.all_rows_checked;
  run.checked_rows += piece.checked_rows;
  raise_to(run.max_error, piece.max_error);
  raise_to(run.max_lse_error, piece.max_lse_error);
  raise_to(run.max_stored_error, piece.max_stored_error);
  raise_to(run.max_stored_lse_error, piece.max_stored_lse_error);
  raise_to(run.max_gradient_error.query, piece.max_gradient_error.query);
  raise_to(run.max_gradient_error.key, piece.max_gradient_error.key);
  raise_to(run.max_gradient_error.value, piece.max_gradient_error.value);
  raise_to(run.gradient_error_bound.query, piece.gradient_error_bound.query);
  raise_to(run.gradient_error_bound.key, piece.gradient_error_bound.key);
  raise_to(run.gradient_error_bound.value, piece.gradient_error_bound.value);
  run.wrong_elements += piece.wrong_elements;
  run.blocks_once = run.blocks_once && piece.blocks_once;
  run.output_checksum += piece.output_checksum;
  if (piece.memory_peak_bytes > run.memory_peak_bytes) {
    run.memory = piece.memory;
    run.memory_peak_bytes = piece.memory_peak_bytes;
    run.memory_closed_form_bytes = piece.memory_closed_form_bytes;
  }
  run.peak_rss_bytes = std::max(run.peak_rss_bytes, piece.peak_rss_bytes);
  run.index_list_bytes = std::max(run.index_list_bytes, piece.index_list_bytes);
  run.hops += piece.hops;
  run.result_hops += piece.result_hops;
  run.all_hops += piece.all_hops;
  run.exchanged_bytes += piece.exchanged_bytes;
  run.valid = run.valid && piece.valid;
  run.reasons.insert(run.reasons.end(), piece.reasons.begin(), piece.reasons.end());
}

} // namespace

std::int64_t largest_message(const RingOptions &options) {
  const schedule::RingProblem first = share_of(process_grid(options), options.problem, 0).ring;
  if (first.ring_size == 1 || first.schedule == schedule::Schedule::local_only) {
    return 0;
  }
  const std::int64_t block = memory::block_buffer_bytes(first, kernel_footprint(options));
  const std::int64_t result = has_results(first) ? memory::result_buffer_bytes(first) : 0;
  return std::max(result, options.collective ? block * first.ring_size : block);
}

std::int64_t largest_planned_memory(const RingOptions &options) {
  const schedule::ProcessGrid grid = process_grid(options);
  const memory::KernelFootprint footprint = kernel_footprint(options);
  std::int64_t most = 0;
  for (std::int64_t rank = 0; rank < grid.size(); ++rank) {
    most = std::max(most, memory::grid_memory(grid, options.problem, rank, footprint, options.kernel).total());
  }
  return most;
}

void require_may_lower_precision(const RingOptions &options) {
  RingOptions streamed = options;
  streamed.kernel = memory::KernelKind::streamed; // recomputing scores comes first in the chain
  if (const std::string obstacle = bfloat16_obstacle(streamed); !obstacle.empty()) {
    throw problem::InvalidInput("the precision cannot be lowered: " + obstacle);
  }
}

RecoveredOptions recover_memory(const RingOptions &options, const memory::Limits &limits, bool may_lower_precision) {
  if (may_lower_precision) {
    require_may_lower_precision(options);
  }
  memory::RecoveryNeed need;
  // Every rank of the data level keeps an entry of its own.
  need.batch = options.problem.attention.batch / process_grid(options).data;
  need.may_lower_precision = may_lower_precision;
  need.storage_error_cost = [&options](problem::DType storage) {
    RingOptions stored = ring_share(options, share_of(process_grid(options), options.problem, 0));
    const double before = ring_error_bound(stored).output;
    stored.problem.attention.dtype = storage;
    return ring_error_bound(stored).output - before;
  };
  need.need_bytes = [&options](const memory::MemoryConfiguration &configuration) {
    return largest_planned_memory(batch_piece(configured(options, configuration), configuration.batch_pieces, 0));
  };
  memory::MemoryConfiguration start;
  start.stores_scores = options.kernel == memory::KernelKind::materialised;
  start.storage = options.problem.attention.dtype;
  RecoveredOptions recovered;
  recovered.plan = memory::plan_recovery(need, limits, start);
  recovered.options = configured(options, recovered.plan.configuration);
  return recovered;
}

RecoveredRun run_recovered(Communicator &communicator, const RingOptions &asked, const RecoveredOptions &recovered,
                           const memory::Limits &limits) {
  memory::Ledger pool_ledger;
  if (limits.memory_bytes > 0) {
    pool_ledger.set_budget(limits.memory_bytes);
  }
  // Only buffers of the very size: what is lent is then what is planned.
  memory::PoolLimits pool_limits;
  pool_limits.most_oversize = 1;
  memory::BufferPool pool(pool_ledger, memory::kokkos_source<kernels::MemorySpace>(), pool_limits);
  RingOptions options = recovered.options;
  options.origin = asked.origin;
  options.pool = &pool;
  RecoveredRun result;
  result.plan = recovered.plan;
  const std::int64_t pieces = recovered.plan.configuration.batch_pieces;
  for (std::int64_t index = 0; index < pieces; ++index) {
    const RingRun run = run_ring(communicator, batch_piece(options, pieces, index));
    if (index == 0) {
      result.run = run;
    } else {
      join_piece(result.run, run);
    }
  }
  result.pool = pool.counters();
  return result;
}

} // namespace ringscale::ring
