// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "drivers/limit_flags.hpp"
#include "ring/multihead_run.hpp"

namespace CLI {
class App;
}

namespace ringscale::drivers {

/// The flags of `ringscale ring` that make a multihead layer around the ring, as typed.
struct MultiheadFlags {
  std::string layer = "attention"; ///< or multihead
  std::int64_t embed_dim = 0;      ///< 0: query_heads x head_dim
  std::string gradient_bucket;
  std::string gradient_compression = "none";
  LimitFlags limits;

  bool chosen() const { return layer == "multihead"; }
};

/// Declares the flags; `flags` must live as long as `verb`.
void add_multihead_flags(CLI::App &verb, MultiheadFlags &flags);

/// Refuses an unknown layer, and with --layer attention every flag that would have no effect. Throws InvalidInput.
void resolve(const MultiheadFlags &flags);

/// The layer around the resolved ring of `ring`. `ring_limits` are the limits of the other flags. Throws InvalidInput
/// for what does not go together, and for projections over their limit.
ring::MultiheadOptions multihead_options(const MultiheadFlags &flags, const ring::RingOptions &ring,
                                         const memory::Limits &ring_limits);

} // namespace ringscale::drivers
