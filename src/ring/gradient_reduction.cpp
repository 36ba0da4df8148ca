// SPDX-License-Identifier: Apache-2.0
#include "ring/gradient_reduction.hpp"

#include <algorithm>
#include <exception>
#include <string>

#include "problem/invalid_input.hpp"
#include "ring/sampling.hpp"
#include "statistics/summary.hpp"

namespace ringscale::ring {

namespace {

double hidden_fraction(const GradientReduction &measured) {
  const double backward_s = statistics::median(measured.backward_s);
  const double reduction_s = statistics::median(measured.reduction_s);
  const double shorter_s = std::min(backward_s, reduction_s);
  const double saved_s = backward_s + reduction_s - statistics::median(measured.both_s);
  return shorter_s > 0.0 ? std::clamp(saved_s / shorter_s, 0.0, 1.0) : 0.0;
}

/// The pass, with its own failures told to the other ranks. Those of the buckets are known to all already.
void run(GradientBuckets &buckets, const BackwardPass &backward, const std::function<void(std::int64_t)> &ready) {
  std::string reason;
  bool known = false;
  try {
    backward([&](std::int64_t index) {
      known = true;
      ready(index);
      known = false;
    });
    return;
  } catch (const std::exception &failure) {
    if (known) {
      throw;
    }
    reason = failure.what();
  }
  buckets.abandon(reason);
}

} // namespace

GradientReduction reduce_gradients_while(const Communicator &communicator, GradientBuckets &buckets,
                                         const BackwardPass &backward, const Repetitions &repetitions) {
  if (repetitions.samples < 1 || repetitions.warmup < 0) {
    throw problem::InvalidInput("a measurement takes " + std::to_string(repetitions.samples) + " samples after " +
                                std::to_string(repetitions.warmup) + " warm-ups; it needs one sample or more");
  }
  GradientReduction measured;
  measured.sent_bytes = buckets.sent_bytes();
  const auto sample_into = [&](std::vector<double> &samples, bool keep, const std::function<void()> &work) {
    const double slowest_s = sample_collective(communicator, {0, 1}, work).front();
    if (keep) {
      samples.push_back(slowest_s);
    }
  };
  std::vector<std::int64_t> order;
  for (int turn = -repetitions.warmup; turn < repetitions.samples; ++turn) {
    const bool keep = turn >= 0;
    order.clear();
    std::string failure;
    sample_into(measured.backward_s, keep, [&] {
      try {
        backward([&](std::int64_t index) { order.push_back(index); });
      } catch (const std::exception &thrown) {
        failure = thrown.what();
      }
    });
    // The gradients of the pass are still in their tensors: the sums that this leaves are computed anew below.
    sample_into(measured.reduction_s, keep, [&] {
      if (!failure.empty()) {
        buckets.abandon(failure); // behind the barrier that all ranks pass before a sample
      }
      for (const std::int64_t index : order) {
        buckets.ready(index);
      }
      buckets.finish();
    });
    sample_into(measured.both_s, keep, [&] {
      run(buckets, backward, [&](std::int64_t index) { buckets.ready(index); });
      buckets.finish();
    });
  }
  measured.hidden_fraction = hidden_fraction(measured);
  return measured;
}

} // namespace ringscale::ring
