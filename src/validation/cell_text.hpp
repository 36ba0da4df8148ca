// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "validation/unit.hpp"

namespace ringscale::validation {

/// What a text says that stands where a column of numbers has a figure.
struct CellText {
  enum class Kind {
    number, ///< "1,234", "~35", "49.1*", "54 %", "2.1x", "3.2 s" in a column of ms, "210K" of tokens/s, "35 ± 0.4"
    out_of_memory, ///< "OOM"
    bound,         ///< "> 3 h": a figure that was not reached or not waited for
    absent         ///< "-", "n/a", "failed"
  };
  Kind kind = Kind::absent;
  double value = 0.0; ///< of a number, in the column's unit
};

/// Nothing for any other text: that is a mistake in the file.
std::optional<CellText> read_cell_text(std::string_view text, const Unit &unit);

} // namespace ringscale::validation
