// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "claims/check.hpp"

namespace ringscale::claims {

/// Two series joined figure by figure, or the reason why they cannot be.
struct PairedFigures {
  std::vector<std::pair<Figure, Figure>> pairs;
  std::string missing;
  std::vector<std::string> invalid_rows;
};

/// Joins two quantities: figures whose rows agree in every field of `pair_by` belong together (the median figure
/// stands for several of `right`); without fields, a single figure on one side meets every figure of the other.
PairedFigures pair_figures(const Quantity &left, const Quantity &right, const std::vector<std::string> &pair_by,
                           const Context &context);

/// "ring_size=4 tokens=4096", the values of the fields in a row.
std::string fields_text(const report::Json &row, const std::vector<std::string> &fields);

/// Those of `fields` in which the rows differ: what tells them apart in a message.
std::vector<std::string> differing_fields(const std::vector<const report::Json *> &rows,
                                          const std::vector<std::string> &fields);

/// Whether two rows agree in every field, both having it.
bool same_fields(const report::Json &left, const report::Json &right, const std::vector<std::string> &fields);

/// Adds the evidence of a figure unless it is there already or none (a plain number of the check).
void add_evidence(std::vector<Evidence> &evidence, const Evidence &added);

} // namespace ringscale::claims
