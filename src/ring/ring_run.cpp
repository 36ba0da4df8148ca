// SPDX-License-Identifier: Apache-2.0
#include "ring/ring_run.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/attention_block.hpp"
#include "kernels/packed_key_value.hpp"
#include "memory/peak_rss.hpp"
#include "problem/words.hpp"
#include "ring/mpi_transport.hpp"
#include "ring/ring_rank.hpp"
#include "ring/sampling.hpp"
#include "ring/verification.hpp"
#include "statistics/summary.hpp"

namespace ringscale::ring {

namespace {

using problem::InvalidInput;

constexpr std::array<std::pair<std::string_view, SoftmaxRule>, 2> softmax_words{
    {{"online", SoftmaxRule::online}, {"per_chunk", SoftmaxRule::per_chunk}}};

void validate_options(const Communicator &communicator, const RingOptions &options) {
  validate(options.problem);
  require_supported(options.problem.attention.dtype);
  if (options.problem.ring_size != communicator.size()) {
    throw InvalidInput("ring_size is " + std::to_string(options.problem.ring_size) + "; the communicator has " +
                       std::to_string(communicator.size()) + " ranks");
  }
  if (options.repetitions < 1 || options.warmup < 0) {
    throw InvalidInput("repetitions must be at least 1 and warmup at least 0");
  }
  if (!(options.deadline_s > 0.0)) {
    throw InvalidInput("deadline is " + std::to_string(options.deadline_s) + " s; it must be greater than 0");
  }
}

/// One whole pass: all steps, then the blocks go home.
void pass(RingRank &rank, bool check_payloads) {
  rank.begin(check_payloads);
  rank.run();
  rank.start_return();
  rank.finish_return();
}

/// Times one repetition and appends the slowest rank's numbers.
void timed_pass(const Communicator &communicator, RingRank &rank, RingRun &run) {
  rank.begin(false);
  communicator.barrier("before a timed repetition");
  const double begin_s = now_s();
  rank.run();
  const double time_s = now_s() - begin_s;
  const std::array<double, 3> mine{time_s, rank.times().compute_s, rank.times().exposed_communication_s};
  const std::vector<double> all = communicator.all_gather(mine);
  std::size_t slowest = 0;
  for (std::size_t place = 3; place < all.size(); place += 3) {
    slowest = all[place] > all[slowest] ? place : slowest;
  }
  run.samples_s.push_back(all[slowest]);
  run.compute_samples_s.push_back(all[slowest + 1]);
  run.exposed_communication_samples_s.push_back(all[slowest + 2]);
  rank.start_return();
  rank.finish_return();
}

void gather_memory(const Communicator &communicator, const RingOptions &options, const memory::Ledger &ledger,
                   RingRun &run) {
  // Byte counts below 2^53 pass through doubles exactly.
  std::array<double, memory::purpose_count> mine{};
  for (std::size_t index = 0; index < mine.size(); ++index) {
    mine[index] = static_cast<double>(ledger.at_high_water().bytes[index]);
  }
  const std::vector<double> all = communicator.all_gather(mine);
  for (std::int64_t rank = 0; rank < communicator.size(); ++rank) {
    memory::MemoryByPurpose held;
    for (std::size_t index = 0; index < mine.size(); ++index) {
      held.bytes[index] = static_cast<std::int64_t>(all[static_cast<std::size_t>(rank) * mine.size() + index]);
    }
    const memory::MemoryByPurpose planned = planned_memory(options, rank);
    if (!(held == planned)) {
      run.reasons.push_back("rank " + std::to_string(rank) + ": the ledger counted " + std::to_string(held.total()) +
                            " bytes, the closed form says " + std::to_string(planned.total()));
    }
    if (held.total() > run.memory.total()) {
      run.memory = held;
      run.memory_closed_form_bytes = planned.total();
    }
  }
  run.memory_peak_bytes = run.memory.total();
  run.peak_rss_bytes = communicator.max(memory::peak_rss_bytes());
}

/// Joins every rank's comparison with the reference; a NaN on any rank stays one.
void gather_check(const Communicator &communicator, const RowCheck &check, RingRun &run) {
  const std::array<double, 2> mine{check.max_error, check.max_lse_error};
  const std::vector<double> all = communicator.all_gather(mine);
  for (std::size_t place = 0; place < all.size(); place += 2) {
    raise_to(run.max_error, all[place]);
    raise_to(run.max_lse_error, all[place + 1]);
  }
  run.wrong_elements = communicator.sum(check.wrong_elements);
  run.checked_rows = communicator.sum(check.checked_rows);
  run.all_rows_checked = communicator.all(check.all_rows);
  run.verified = true;
}

void gather_complaints(const Communicator &communicator, const RingRank &rank, RingRun &run) {
  std::string mine;
  for (const std::string &complaint : rank.complaints()) {
    mine += complaint + '\n';
  }
  for (const std::string &text : communicator.all_gather(mine)) {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = text.find('\n', begin);
      run.reasons.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
}

void judge(const RingOptions &options, bool repetitions_agree, RingRun &run) {
  if (!run.blocks_once) {
    run.reasons.push_back("not every rank met every key/value block exactly once");
  }
  if (!repetitions_agree) {
    run.reasons.push_back("repetitions gave different bits");
  }
  if (run.verified) {
    if (!(run.max_error <= run.error_bound)) {
      run.reasons.push_back("largest output error is over the bound");
    }
    if (!(run.max_lse_error <= run.lse_error_bound)) {
      run.reasons.push_back("largest log-sum-exp error is over the bound");
    }
    if (run.wrong_elements != 0) {
      run.reasons.push_back(std::to_string(run.wrong_elements) + " elements are wrong");
    }
  }
  run.valid = run.reasons.empty();
  if (!options.verify) {
    run.reasons.push_back("not compared with the reference, as asked");
  }
}

} // namespace

std::string_view name(SoftmaxRule rule) { return problem::word_of(softmax_words, rule); }
SoftmaxRule parse_softmax(std::string_view word) { return problem::parse_word("softmax", softmax_words, word); }

void require_supported(problem::DType dtype) {
  if (dtype != problem::DType::float32) {
    throw InvalidInput("dtype is " + std::string(problem::name(dtype)) + "; the ring runs on float32 only");
  }
}

memory::KernelFootprint kernel_footprint(const problem::AttentionProblem &attention, memory::KernelKind kernel) {
  memory::KernelFootprint footprint;
  footprint.key_tile_tokens = kernels::key_tile_tokens;
  if (kernel == memory::KernelKind::streamed) {
    footprint.workspace_bytes =
        kernels::attention_workspace_bytes(attention.head_dim) * kernels::ExecutionSpace().concurrency();
  }
  return footprint;
}

memory::MemoryByPurpose planned_memory(const RingOptions &options, std::int64_t rank) {
  return memory::closed_form(options.problem, rank, kernel_footprint(options.problem.attention, options.kernel),
                             options.kernel);
}

RingRun run_ring(Communicator &communicator, const RingOptions &options) {
  validate_options(communicator, options);
  communicator.set_deadline(options.deadline_s);
  RingRun run;
  run.poll_progress = options.poll_progress;
  run.footprint = kernel_footprint(options.problem.attention, options.kernel);
  run.hops = hop_count(options.problem);
  run.hop_bytes = run.hops > 0 ? memory::block_buffer_bytes(options.problem, run.footprint) : 0;
  run.threads_per_rank = kernels::ExecutionSpace().concurrency();
  run.ranks_per_core = communicator.ranks_per_core();

  memory::Ledger ledger;
  MpiTransport transport(communicator);
  RingRank rank(options, communicator.rank(), transport, ledger);

  // The checked pass comes first and warms up; timed ones look at headers only, and their bits must equal its bits.
  bool once = true;
  if (options.verify) {
    pass(rank, true);
    once = rank.met_every_block_once();
  }
  std::uint64_t expected = options.verify ? rank.output_checksum() : 0;
  bool agree = true;
  for (int repetition = 0; repetition < options.warmup; ++repetition) {
    pass(rank, false);
  }
  for (int repetition = 0; repetition < options.repetitions; ++repetition) {
    timed_pass(communicator, rank, run);
    once = once && rank.met_every_block_once();
    const std::uint64_t bits = rank.output_checksum();
    expected = !options.verify && repetition == 0 ? bits : expected;
    agree = agree && bits == expected;
  }
  run.compute_s = statistics::median(run.compute_samples_s);
  run.exposed_communication_s = statistics::median(run.exposed_communication_samples_s);
  run.blocks_once = communicator.all(once);
  run.output_checksum = communicator.sum(expected);
  const bool all_agree = communicator.all(agree);
  gather_memory(communicator, options, ledger, run);
  gather_complaints(communicator, rank, run);

  const problem::ErrorBound bound = ring_error_bound(options);
  run.error_bound = bound.output;
  run.lse_error_bound = bound.log_sum_exp;
  if (options.verify) {
    gather_check(communicator, check_rows(options, communicator.rank(), rank.output(), rank.log_sum_exp()), run);
  }
  judge(options, all_agree, run);
  return run;
}

} // namespace ringscale::ring
