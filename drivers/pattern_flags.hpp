// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "problem/pattern.hpp"

namespace CLI {
class App;
class Option;
} // namespace CLI

namespace ringscale::drivers {

/// The flags of an attention pattern as typed: words, and the numbers in `values`.
struct PatternFlags {
  std::string kind = "dense";
  std::string dilation_convention = "split";
  std::string block_sparse = "local_window";
  problem::Pattern values;
  std::vector<std::pair<std::string, const CLI::Option *>> options; ///< by name, to refuse those without effect
};

/// Declares --pattern and the flags of each pattern, shown under `group`; `flags` must live as long as `verb`.
void add_pattern_flags(CLI::App &verb, PatternFlags &flags, const std::string &group);

/// The pattern that the flags mean. Throws problem::InvalidInput for unknown words, and for flags given that do not
/// belong to that pattern: ignoring them would make a figure that is not what the command line says.
problem::Pattern resolve(const PatternFlags &flags);

} // namespace ringscale::drivers
