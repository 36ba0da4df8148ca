// SPDX-License-Identifier: Apache-2.0
#include "ring/ring_run.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>

#include "memory/grid_memory.hpp"
#include "memory/peak_rss.hpp"
#include "problem/invalid_input.hpp"
#include "ring/grid_rank.hpp"
#include "ring/make_transport.hpp"
#include "ring/sampling.hpp"
#include "ring/staged_transport.hpp"
#include "ring/verified_run.hpp"
#include "statistics/summary.hpp"

namespace ringscale::ring {

namespace {

/// Groups of one rank's grid and the transports over them. A plain ring is the communicator itself.
class GridMessages {
public:
  GridMessages(const Communicator &communicator, const RingOptions &options, memory::Ledger &ledger) {
    const schedule::ProcessGrid grid = process_grid(options);
    if (grid.ring_only()) {
      add(communicator, options, ledger);
      return;
    }
    const Communicator cartesian = communicator.cartesian(sizes(grid));
    groups_.push_back(cartesian.sub_grid(std::array{false, false, true, false}));
    groups_.push_back(cartesian.sub_grid(std::array{false, false, false, true}));
    for (Communicator &group : groups_) {
      group.set_deadline(options.deadline_s);
    }
    for (const Communicator &group : groups_) {
      add(group, options, ledger);
    }
  }

  Transport &ring() { return at(0); }
  /// Of a plain ring, one that is never used.
  Transport &sequence() { return at(direct_.size() - 1); }

private:
  void add(const Communicator &group, const RingOptions &options, memory::Ledger &ledger) {
    direct_.push_back(make_transport(options.exchange, group));
    if (options.stage_on_host) {
      staged_.push_back(std::make_unique<StagedTransport>(*direct_.back(), group.rank(), ledger));
    }
  }
  Transport &at(std::size_t level) { return staged_.empty() ? *direct_[level] : *staged_[level]; }

  static std::array<int, 4> sizes(const schedule::ProcessGrid &grid) {
    return {static_cast<int>(grid.data), static_cast<int>(grid.model), static_cast<int>(grid.ring),
            static_cast<int>(grid.sequence)};
  }

  std::vector<Communicator> groups_;
  std::vector<std::unique_ptr<Transport>> direct_;
  std::vector<std::unique_ptr<StagedTransport>> staged_;
};

/// Appends the numbers of the rank whose repetition took longest.
void add_slowest(const Communicator &communicator, double time_s, double exchange_s, const RankTimes &times,
                 RingRun &run) {
  const std::array<double, 5> mine{time_s, times.compute_s, times.exposed_communication_s, times.merge_s, exchange_s};
  const std::vector<double> all = communicator.all_gather(mine);
  std::size_t slowest = 0;
  for (std::size_t place = mine.size(); place < all.size(); place += mine.size()) {
    slowest = all[place] > all[slowest] ? place : slowest;
  }
  run.samples_s.push_back(all[slowest]);
  run.compute_samples_s.push_back(all[slowest + 1]);
  run.exposed_communication_samples_s.push_back(all[slowest + 2]);
  run.merge_samples_s.push_back(all[slowest + 3]);
  run.exchange_samples_s.push_back(all[slowest + 4]);
}

void timed_pass(const Communicator &communicator, GridRank &rank, RingRun &run) {
  rank.begin(false);
  communicator.barrier("before a timed repetition");
  const double time_s = time_once([&] { rank.run(); });
  add_slowest(communicator, time_s, rank.exchange_s(), rank.ring().times(), run);
}

void time_messages(const Communicator &communicator, GridRank &rank, int repetitions, RingRun &run) {
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    rank.begin(false);
    communicator.barrier("before messages without computing");
    run.messages_only_samples_s.push_back(communicator.max(rank.run_messages_only()));
  }
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
    const memory::MemoryByPurpose planned =
        memory::grid_memory(process_grid(options), options.problem, rank, run.footprint, options.kernel);
    // Staging buffers are dealt as messages need them; no closed form knows their number.
    if (!(held == planned) && !options.stage_on_host) {
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

void count_messages(const Communicator &communicator, const RingOptions &options, const GridRank &rank, RingRun &run) {
  const schedule::RingProblem &share = rank.share().ring;
  const schedule::RingPlan &plan = rank.ring().plan();
  run.hops = communicator.max(plan.block_messages());
  run.all_hops = communicator.sum(plan.block_messages());
  run.result_hops = communicator.max(plan.result_messages());
  // The largest share of the grid is the first rank's.
  const schedule::RingProblem first = share_of(process_grid(options), options.problem, 0).ring;
  run.hop_bytes = hop_count(share) > 0 ? memory::block_buffer_bytes(first, run.footprint) : 0;
  run.result_hop_bytes = run.result_hops > 0 ? memory::result_buffer_bytes(first) : 0;
  run.index_list_bytes = communicator.max(rank.ring().index_list_bytes());
}

double hidden_fraction(const RingRun &run) {
  const double alone_s = run.messages_only_samples_s.empty() ? 0.0 : statistics::median(run.messages_only_samples_s);
  return alone_s > 0.0 && run.hops > 0 ? 1.0 - run.exposed_communication_s / alone_s
                                       : std::numeric_limits<double>::quiet_NaN();
}

/// All repetitions of one pass, the first one checked; true when all gave the same bits.
bool repeat(const Communicator &communicator, const RingOptions &options, GridRank &rank, RingRun &run) {
  // The checked pass comes first and warms up; timed ones look at headers only, and their bits must equal its bits.
  bool once = true;
  bool agree = true;
  bool first = true;
  std::uint64_t expected = 0;
  std::int64_t exchanged_bytes = 0;
  const auto finish_pass = [&] {
    once = once && rank.ring().met_every_block_once();
    const std::uint64_t bits = rank.ring().result_checksum();
    expected = first ? bits : expected;
    agree = agree && bits == expected;
    first = false;
  };
  for (int repetition = options.verify ? -1 : 0; repetition < options.warmup; ++repetition) {
    rank.begin(repetition < 0);
    rank.run();
    finish_pass();
  }
  time_messages(communicator, rank, options.messages_only ? options.repetitions : 0, run);
  for (int repetition = 0; repetition < options.repetitions; ++repetition) {
    const std::int64_t before = rank.exchanged_bytes();
    timed_pass(communicator, rank, run);
    exchanged_bytes = rank.exchanged_bytes() - before;
    finish_pass();
  }
  if (options.recorder != nullptr) {
    // After the timed repetitions and none of them, so that no sample holds what recording takes.
    MeasuredTimeline trace = trace_repetition(communicator, options, rank);
    finish_pass();
    if (communicator.rank() == 0) {
      run.trace = std::move(trace);
    }
  }
  run.compute_s = statistics::median(run.compute_samples_s);
  run.exposed_communication_s = statistics::median(run.exposed_communication_samples_s);
  run.blocks_once = communicator.all(once);
  run.output_checksum = communicator.sum(expected);
  run.exchanged_bytes = communicator.max(exchanged_bytes);
  return communicator.all(agree);
}

/// The one repetition of a checkpointed run, checked where the options say so.
void repeat_with_checkpoints(const Communicator &communicator, const RingOptions &options, GridRank &rank,
                             RingRun &run) {
  const CheckpointedPass pass = run_with_checkpoints(communicator, options, *options.checkpoint, rank);
  run.checkpoint = pass.report;
  add_slowest(communicator, pass.time_s, pass.exchange_s, rank.ring().times(), run);
  run.compute_s = run.compute_samples_s.front();
  run.exposed_communication_s = run.exposed_communication_samples_s.front();
  run.blocks_once = communicator.all(rank.ring().met_every_block_once());
  run.output_checksum = communicator.sum(rank.ring().result_checksum());
  run.exchanged_bytes = communicator.max(pass.exchanged_bytes);
}

void judge(const RingOptions &options, bool repetitions_agree, RingRun &run) {
  const auto over = [&](double error, double bound, const char *what) {
    if (!(error <= bound)) {
      run.reasons.push_back("largest " + std::string(what) + " error is over the bound");
    }
  };
  if (!run.blocks_once) {
    run.reasons.push_back("not every rank met every key/value block exactly once");
  }
  if (!repetitions_agree) {
    run.reasons.push_back("repetitions gave different bits");
  }
  if (run.verified) {
    over(run.max_error, run.error_bound, "output");
    over(run.max_lse_error, run.lse_error_bound, "log-sum-exp");
    if (options.problem.attention.dtype != problem::DType::float32) {
      over(run.max_stored_error, run.stored_error_bound, "output (of the inputs as stored)");
      over(run.max_stored_lse_error, run.stored_lse_error_bound, "log-sum-exp (of the inputs as stored)");
    }
    if (run.has_gradients) {
      over(run.max_gradient_error.query, run.gradient_error_bound.query, "query gradient");
      over(run.max_gradient_error.key, run.gradient_error_bound.key, "key gradient");
      over(run.max_gradient_error.value, run.gradient_error_bound.value, "value gradient");
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

memory::KernelFootprint kernel_footprint(const RingOptions &options) {
  return MeetingKernels::footprint(ring_share(options, share_of(process_grid(options), options.problem, 0)));
}

memory::MemoryByPurpose planned_memory(const RingOptions &options, std::int64_t rank) {
  return memory::grid_memory(process_grid(options), options.problem, rank, kernel_footprint(options), options.kernel);
}

RingRun run_ring(Communicator &communicator, const RingOptions &options) {
  validate(options);
  const schedule::ProcessGrid grid = process_grid(options);
  if (grid.size() != communicator.size()) {
    throw problem::InvalidInput("the process grid has " + std::to_string(grid.size()) + " ranks (ring_size " +
                                std::to_string(grid.ring) + "); the communicator has " +
                                std::to_string(communicator.size()) + " ranks");
  }
  communicator.set_deadline(options.deadline_s);
  RingRun run;
  run.poll_progress = options.poll_progress;
  run.footprint = kernel_footprint(options);
  run.threads_per_rank = kernels::ExecutionSpace().concurrency();
  run.ranks_per_core = communicator.ranks_per_core();

  const bool backward = options.problem.pass == schedule::Pass::backward;
  memory::Ledger ledger;
  GridMessages messages(communicator, options, ledger);
  ForwardHalf forward;
  if (backward) {
    forward = run_forward_half(communicator, options, messages.ring(), messages.sequence(), run);
  }
  GridRank rank(options, communicator.rank(), messages.ring(), messages.sequence(), ledger,
                [&forward](float *output, float *log_sum_exp) { forward.copy_to(output, log_sum_exp); });
  bool agree = true;
  if (options.checkpoint != nullptr && options.recorder != nullptr) {
    throw problem::InvalidInput("a checkpointed run has one repetition and none to trace; leave one of the two out");
  }
  if (options.checkpoint != nullptr) {
    repeat_with_checkpoints(communicator, options, rank, run);
  } else {
    if (options.recorder != nullptr) {
      require_trace_room(communicator, options, rank); // before any work
    }
    agree = repeat(communicator, options, rank, run);
  }
  count_messages(communicator, options, rank, run);
  run.hidden_fraction = hidden_fraction(run);
  gather_memory(communicator, options, ledger, run);
  gather_complaints(communicator, rank.ring(), run);
  run.transport = messages.ring().counters();
  if (run.checkpoint && run.checkpoint->stopped_after_step) {
    run.reasons.push_back("stopped after step " + std::to_string(*run.checkpoint->stopped_after_step) + ", as asked");
    return run;
  }
  if (backward) {
    verify_gradients(communicator, options, rank, forward, run);
  } else {
    verify_forward(communicator, options, rank, run);
  }
  judge(options, agree, run);
  return run;
}

} // namespace ringscale::ring
