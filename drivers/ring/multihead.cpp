// SPDX-License-Identifier: Apache-2.0
#include "drivers/ring/multihead.hpp"

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "drivers/session.hpp"
#include "statistics/summary.hpp"

namespace ringscale::drivers {

namespace {

void say_samples(Session &session, const char *what, const std::vector<double> &samples) {
  const statistics::Interval spread = statistics::median_interval(samples);
  std::array<char, 160> line{};
  std::snprintf(line.data(), line.size(), "%-24s %12.6f  [%.6f, %.6f] (%.1f %%)", what, statistics::median(samples),
                spread.low, spread.high, 100.0 * spread.confidence);
  session.say(line.data());
}

} // namespace

void say_multihead_plan(Session &session, const ring::MultiheadOptions &options) {
  const ring::MultiheadShape shape = ring::multihead_shape(options);
  session.say("  around it a multihead layer: embed_dim " + std::to_string(shape.embed_dim) + ", projections of " +
              std::to_string(shape.projected_columns()) + " and " + std::to_string(shape.embed_dim) +
              " columns, forward and backward, gradients in buckets of " + std::to_string(options.bucket_bytes) +
              " bytes, compression " + std::string(ring::name(options.compression.kind)) +
              "; the memory above is that of the ring's forward pass alone");
}

void say_multihead_run(Session &session, const ring::MultiheadOptions &options, const ring::MultiheadRun &run) {
  session.say("                               time_s  interval_s (confidence)");
  say_samples(session, "forward", run.forward_samples_s);
  say_samples(session, "backward", run.reduction.backward_s);
  say_samples(session, "reduction", run.reduction.reduction_s);
  say_samples(session, "backward with reduction", run.reduction.both_s);
  std::array<char, 160> line{};
  std::snprintf(line.data(), line.size(), "%lld bytes reduced in %lld buckets, %.1f %% of the shorter of both hidden",
                static_cast<long long>(run.reduction.sent_bytes), static_cast<long long>(run.bucket_count),
                100.0 * run.reduction.hidden_fraction);
  session.say(line.data());
  for (const ring::TensorCheck &check : run.checks) {
    std::snprintf(line.data(), line.size(), "largest error of %-17s %.3g (bound %.3g)", check.tensor.c_str(),
                  check.max_error, check.bound);
    session.say(line.data());
  }
  if (run.verified) {
    session.say(std::to_string(run.checked_rows) + " output rows checked in double precision (a seeded sample), all " +
                std::to_string(options.ring.problem.attention.batch * options.ring.problem.attention.tokens) +
                " against the layer over the whole sequence");
  }
  if (run.ranks_per_core > 1) {
    session.say(std::to_string(run.ranks_per_core) +
                " ranks share a core: times are not those of ranks with their own");
  }
  for (const std::string &reason : run.reasons) {
    session.say((run.valid ? "note: " : "invalid: ") + reason);
  }
}

void add_multihead_configuration(report::Json &configuration, const ring::MultiheadOptions &options) {
  configuration["layer"] = "multihead";
  configuration["embed_dim"] = ring::multihead_shape(options).embed_dim;
  configuration["gradient_bucket_bytes"] = options.bucket_bytes;
  configuration["gradient_compression"] = ring::name(options.compression.kind);
  configuration["projection_limit_elements"] = options.limits.projection_elements;
}

} // namespace ringscale::drivers
