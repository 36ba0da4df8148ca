// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "machine/machine.hpp"
#include "validation/prediction.hpp"
#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// Formulas that the tables print as their figures: the reference formula that has the row's label in its name, both
/// with every variable 1. It stands for the column of totals.
void predict_printed_formulas(const Table &table, std::vector<Prediction> &predictions);

/// Figures that need no machine but what the row says, where the table has no formula of its own: the shortest block
/// whose hop hides, tokens = element_bytes F / (2 B) (Liu et al. 2023, section 3), six such blocks for the sequence;
/// FLOPs of a context over those of reference_context_tokens, (6 h + s) / (6 h + s0); efficiency of a contiguous causal
/// ring.
void predict_closed_forms(const Table &table, const std::vector<machine::Machine> &machines,
                          std::vector<Prediction> &predictions);

} // namespace ringscale::validation
