// SPDX-License-Identifier: Apache-2.0
#include "ring/verified_run.hpp"

#include <array>
#include <utility>

#include "problem/synthetic.hpp"
#include "ring/sampling.hpp"
#include "ring/verification.hpp"

namespace ringscale::ring {

using problem::AttentionProblem;
using problem::TokenSet;

namespace {

template <class Tensor> std::vector<float> on_host(const Tensor &tensor) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), tensor);
  return {host.data(), host.data() + host.size()};
}

void to_kernels(const std::vector<float> &from, float *to) {
  Kokkos::deep_copy(Kokkos::View<float *, kernels::MemorySpace, kernels::Unmanaged>(to, from.size()),
                    Kokkos::View<const float *, Kokkos::HostSpace, kernels::Unmanaged>(from.data(), from.size()));
}

/// Tokens that the rank owns before heads are exchanged.
TokenSet own_tokens(const RingOptions &own, const schedule::GridShare &share, bool of_query) {
  const schedule::Share &rows = of_query ? share.own_queries : share.own_keys;
  const TokenSet whole = of_query ? queries_of(own.problem, share.place.ring) : keys_of(own.problem, share.place.ring);
  return problem::rows_of(whole, rows.begin, rows.count);
}

void gather_checks(const Communicator &communicator, std::int64_t checked_rows, bool all_rows,
                   std::int64_t wrong_elements, RingRun &run) {
  run.all_rows_checked = communicator.all(all_rows) && (!run.verified || run.all_rows_checked);
  run.wrong_elements += communicator.sum(wrong_elements);
  run.checked_rows += communicator.sum(checked_rows);
  run.verified = true;
}

/// The joint rows of the rank's model share, as the ring computed them: every rank puts in what it has, and all of the
/// layer's are added up.
JointRows gathered_rows(const Communicator &communicator, const RingOptions &options, const GridRank &rank,
                        const ForwardHalf &forward) {
  const AttentionProblem &whole = options.problem.attention;
  const schedule::GridShare &share = rank.share();
  const AttentionProblem &part = share.ring.attention;
  const TokenSet queries = queries_of(share.ring, share.place.ring);
  const std::int64_t numbers = whole.batch * whole.tokens * whole.query_heads;
  std::vector<float> lse(static_cast<std::size_t>(numbers), 0.0F);
  std::vector<float> dots(lse.size(), 0.0F);
  std::vector<float> gradient(forward.output.size());
  const RingOptions ring = ring_share(options, share);
  problem::fill_synthetic(gradient.data(), ring.seed, problem::Tensor::output_gradient, part, queries,
                          ring.origin.batch, ring.origin.query_head);
  const bool contributes =
      options.problem.placement != schedule::Placement::replicated_queries || share.place.ring == 0;
  std::size_t place = 0;
  for (std::int64_t batch = 0; contributes && batch < part.batch; ++batch) {
    for (std::int64_t row = 0; row < queries.count(); ++row) {
      for (std::int64_t head = 0; head < part.query_heads; ++head, ++place) {
        const auto at = static_cast<std::size_t>(((share.batch.begin + batch) * whole.tokens + queries.position(row)) *
                                                     whole.query_heads +
                                                 share.query_heads.begin + head);
        lse[at] = forward.log_sum_exp[place];
        double sum = 0.0;
        for (std::size_t dim = 0; dim < static_cast<std::size_t>(part.head_dim); ++dim) {
          const std::size_t element = place * static_cast<std::size_t>(part.head_dim) + dim;
          sum += static_cast<double>(forward.output[element]) * static_cast<double>(gradient[element]);
        }
        dots[at] = static_cast<float>(sum);
      }
    }
  }
  communicator.start_sum(lse).wait();
  communicator.start_sum(dots).wait();
  JointRows rows;
  for (std::int64_t batch = 0; batch < share.batch.count; ++batch) {
    for (std::int64_t token = 0; token < whole.tokens; ++token) {
      const auto begin = static_cast<std::size_t>(
          ((share.batch.begin + batch) * whole.tokens + token) * whole.query_heads + share.model_query_heads.begin);
      for (std::size_t head = 0; head < static_cast<std::size_t>(share.model_query_heads.count); ++head) {
        rows.log_sum_exp.push_back(static_cast<double>(lse[begin + head]));
        rows.output_dot.push_back(static_cast<double>(dots[begin + head]));
      }
    }
  }
  return rows;
}

} // namespace

void ForwardHalf::copy_to(float *output_rows, float *log_sum_exps) const {
  to_kernels(output, output_rows);
  to_kernels(log_sum_exp, log_sum_exps);
}

ForwardHalf run_forward_half(const Communicator &communicator, const RingOptions &options, Transport &ring,
                             Transport &sequence, RingRun &run) {
  RingOptions forward = options;
  forward.problem.pass = schedule::Pass::forward;
  forward.fault = {}; // faults strike the pass that is asked for
  memory::Ledger ledger;
  GridRank rank(forward, communicator.rank(), ring, sequence, ledger);
  rank.begin(options.verify);
  rank.run();
  for (const std::string &complaint : rank.ring().complaints()) {
    run.reasons.push_back("forward pass: " + complaint);
  }
  verify_forward(communicator, forward, rank, run);
  return {on_host(rank.ring().output()), on_host(rank.ring().log_sum_exp())};
}

void verify_forward(const Communicator &communicator, const RingOptions &options, const GridRank &rank, RingRun &run) {
  const schedule::GridShare &share = rank.share();
  const RingOptions ring = ring_share(options, share);
  const problem::ErrorBound bound = ring_error_bound(ring);
  run.error_bound = bound.output;
  run.lse_error_bound = bound.log_sum_exp;
  const problem::ErrorBound stored_bound = stored_error_bound(ring);
  run.stored_error_bound = stored_bound.output;
  run.stored_lse_error_bound = stored_bound.log_sum_exp;
  if (!options.verify) {
    return;
  }
  RowCheck check = check_rows(ring, communicator.rank(), queries_of(ring.problem, share.place.ring),
                              rank.ring().output(), rank.ring().log_sum_exp());
  if (process_grid(options).sequence > 1) {
    // What came back from the exchange, too.
    const RingOptions own = own_share(options, share);
    const RowCheck exchanged =
        check_rows(own, communicator.rank(), own_tokens(own, share, true), rank.own_output(), {});
    raise_to(check.max_error, exchanged.max_error);
    raise_to(check.max_stored_error, exchanged.max_stored_error);
    check.wrong_elements += exchanged.wrong_elements;
    check.checked_rows += exchanged.checked_rows;
    check.all_rows = check.all_rows && exchanged.all_rows;
  }
  const std::array<double, 4> mine{check.max_error, check.max_lse_error, check.max_stored_error,
                                   check.max_stored_lse_error};
  const std::vector<double> all = communicator.all_gather(mine);
  for (std::size_t place = 0; place < all.size(); place += mine.size()) {
    raise_to(run.max_error, all[place]);
    raise_to(run.max_lse_error, all[place + 1]);
    raise_to(run.max_stored_error, all[place + 2]);
    raise_to(run.max_stored_lse_error, all[place + 3]);
  }
  gather_checks(communicator, check.checked_rows, check.all_rows, check.wrong_elements, run);
}

void verify_gradients(const Communicator &communicator, const RingOptions &options, const GridRank &rank,
                      const ForwardHalf &forward, RingRun &run) {
  run.has_gradients = true;
  if (!options.verify) {
    return;
  }
  const RingOptions own = own_share(options, rank.share());
  const LayerReference reference(own, true);
  const JointRows rows = communicator.all(computes_joint_rows(own))
                             ? reference.joint_rows()
                             : gathered_rows(communicator, options, rank, forward);
  const GradientCheck check = check_gradients(
      own, communicator.rank(), own_tokens(own, rank.share(), true), own_tokens(own, rank.share(), false), reference,
      rows, rank.own_query_gradient(), rank.own_key_gradient(), rank.own_value_gradient());
  const std::array<double, 6> mine{check.max_error.query, check.max_error.key, check.max_error.value,
                                   check.bound.query,     check.bound.key,     check.bound.value};
  const std::vector<double> all = communicator.all_gather(mine);
  for (std::size_t place = 0; place < all.size(); place += mine.size()) {
    raise_to(run.max_gradient_error.query, all[place]);
    raise_to(run.max_gradient_error.key, all[place + 1]);
    raise_to(run.max_gradient_error.value, all[place + 2]);
    raise_to(run.gradient_error_bound.query, all[place + 3]);
    raise_to(run.gradient_error_bound.key, all[place + 4]);
    raise_to(run.gradient_error_bound.value, all[place + 5]);
  }
  gather_checks(communicator, check.checked_rows, check.all_rows, check.wrong_elements, run);
}

} // namespace ringscale::ring
