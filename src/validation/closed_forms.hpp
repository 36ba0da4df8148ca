// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "validation/prediction.hpp"
#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// The value of a formula that a table prints, with the variables of one large layer: b = 1, s = 65536, n = 32, h =
/// 4096, c = 4096, d = 128 and 1 for all others. Formulas are compared by it.
double value_of_printed_formula(const std::string &text);

/// Formulas that tables print as their figures, in the column of totals: the reference formula that has the row's label
/// in its name, or the largest of the row's other formulas, since the parts of a layer need not be stored at once.
void predict_printed_formulas(const Table &table, std::vector<Prediction> &predictions);

/// Figures that need no machine but what the row says, where the table has no formula of its own: the shortest block
/// whose hop hides, tokens = element_bytes F / (2 B) (Liu et al. 2023, section 3), six such blocks for the sequence;
/// FLOPs of a context over those of reference_context_tokens, (6 h + s) / (6 h + s0).
void predict_closed_forms(const Table &table, const std::vector<machine::Machine> &machines,
                          std::vector<Prediction> &predictions);

} // namespace ringscale::validation
