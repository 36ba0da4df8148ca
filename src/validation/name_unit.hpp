// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "validation/unit.hpp"

namespace ringscale::validation {

/// A name such as min_block_ktokens taken apart: its words without those that only say a unit or mark a formula, and
/// the scale that these gave (1e3). Names without a unit word have scale 0.
struct NameParts {
  std::vector<std::string> stem;
  double scale = 0.0;
  std::string dimension;
};
NameParts parse_name(std::string_view name);

/// The whole unit that a column's name says, for a column without one: "Time (ms)", "tokens/s/GPU", "tok_s",
/// "ms_per_token". Nothing when it says none; dimension unknown_unit where it says one that is not known
/// ("images_per_s"), which must not be taken for a part of it.
std::optional<Unit> unit_of_name(std::string_view name);

} // namespace ringscale::validation
