// SPDX-License-Identifier: Apache-2.0
#include "drivers/ring/multihead_flags.hpp"

#include <CLI/CLI.hpp>

#include "drivers/flag_checks.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::drivers {

using problem::InvalidInput;

void add_multihead_flags(CLI::App &verb, MultiheadFlags &flags) {
  const std::string group = "Multihead layer";
  verb.add_option("--layer", flags.layer,
                  "attention, or multihead: norms and projections around it, forward and backward, its weights' "
                  "gradients reduced over the ranks")
      ->capture_default_str()
      ->group(group);
  verb.add_option("--embed-dim", flags.embed_dim, "Elements of a token; query heads x head_dim when not given")
      ->check(at_least_one)
      ->group(group);
  verb.add_option("--gradient-bucket", flags.gradient_bucket,
                  "Most bytes of gradients that travel together, such as 4MiB (default 25MB)")
      ->group(group);
  verb.add_option("--gradient-compression", flags.gradient_compression, "none, float16, int8 or top_k")
      ->capture_default_str()
      ->group(group);
  add_limit_flags(verb, flags.limits, {LimitFlag::projection});
}

void resolve(const MultiheadFlags &flags) {
  if (flags.chosen()) {
    return;
  }
  if (flags.layer != "attention") {
    throw InvalidInput("layer '" + flags.layer + "' is unknown; it must be attention or multihead");
  }
  const auto require_unset = [](bool set, const char *flag) {
    if (set) {
      throw InvalidInput(std::string(flag) + " has no effect on --layer attention; leave it out, or use --layer "
                                             "multihead");
    }
  };
  require_unset(flags.embed_dim != 0, "--embed-dim");
  require_unset(!flags.gradient_bucket.empty(), "--gradient-bucket");
  require_unset(flags.gradient_compression != MultiheadFlags().gradient_compression, "--gradient-compression");
  require_unset(flags.limits.projection_elements != LimitFlags().projection_elements, "--projection-limit");
}

ring::MultiheadOptions multihead_options(const MultiheadFlags &flags, const ring::RingOptions &ring,
                                         const memory::Limits &ring_limits) {
  if (ring.problem.pass != schedule::Pass::forward) {
    throw InvalidInput("--layer multihead runs both passes; leave --pass out");
  }
  if (ring_limits.memory_bytes != 0) {
    throw InvalidInput("--memory-limit does not go with --layer multihead, whose projections no closed form counts");
  }
  ring::MultiheadOptions options;
  options.ring = ring;
  options.embed_dim = flags.embed_dim;
  options.compression.kind = ring::parse_compression(flags.gradient_compression);
  options.limits = ring_limits;
  options.limits.projection_elements = limits_of(flags.limits).projection_elements;
  if (!flags.gradient_bucket.empty()) {
    options.bucket_bytes = memory::parse_bytes("--gradient-bucket", flags.gradient_bucket);
  }
  ring::validate(options);
  return options;
}

} // namespace ringscale::drivers
