// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "validation/prediction.hpp"
#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// Whether a column is about communication alone, by its name: comm, communication, hop, transfer.
bool is_communication(const std::vector<std::string> &words);

/// Parts of attention on a ring, from the machine file alone (nothing fitted): seconds of a hop, or of the N - 1 hops
/// of a pass where the name does not say hop; and bytes of the device with the most (memory::closed_form), with scores
/// where name or labels say vanilla, standard or materialised.
void predict_run_parts(const Table &table, const std::vector<machine::Machine> &machines,
                       std::vector<Prediction> &predictions);

} // namespace ringscale::validation
