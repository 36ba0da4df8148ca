// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "machine/machine.hpp"
#include "validation/attention_cell.hpp"
#include "validation/training_step.hpp"

namespace ringscale::validation {

/// What a row was understood to say, in one line, so that a misreading of a unit or a setting can be seen beside the
/// error that it makes.
std::string reading_of(const AttentionCell &cell, const machine::Machine &machine);
std::string reading_of(const TrainingStep &step, const machine::Machine &machine);

/// Why a published speed cannot be right for what was understood: `flop_per_s` of one device is beyond the peak for
/// elements of this size. Empty where it is not.
std::string doubt_of(double flop_per_s, const machine::Machine &machine, double element_bytes);

} // namespace ringscale::validation
