// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "drivers/attention/options.hpp"
#include "drivers/pattern_flags.hpp"

namespace CLI {
class App;
}

namespace ringscale::drivers {

/// The flags of `ringscale attention` as typed.
struct AttentionFlags {
  AttentionOptions options;
  std::int64_t kv_heads = 0;   ///< 0: as many as query heads
  std::int64_t key_tokens = 0; ///< 0: as many as query tokens
  std::string mask = "none";
  std::string dtype = "float32";
  std::string kernel = "streamed";
  std::string pass = "forward";
  PatternFlags pattern;
  int threads = 1;
  bool list = false;
  std::vector<std::string> flags_given; ///< every flag of the command line, to refuse those without effect
};

/// Declares the flags of the verb.
void add_attention_flags(CLI::App &verb, AttentionFlags &flags);

/// The options that the flags mean, still without the shapes of input files; throws problem::InvalidInput.
AttentionOptions resolve(const AttentionFlags &flags, std::uint64_t seed);

} // namespace ringscale::drivers
