// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "validation/prediction.hpp"
#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// Times, rates and FLOP/s of attention layers by the simulator (attention_seconds). Figures of one machine in one
/// table share their constants. Tile rates come from figures of one device in the same or the nearest row (fitted);
/// what else the machine file does not say is fitted on about one in eight of the other figures, spread evenly. Fills
/// what it can of `predictions`, which are those of the table's cells that nothing else covers.
void predict_attention(const Table &table, const std::vector<machine::Machine> &machines,
                       std::vector<Prediction> &predictions, std::vector<Fit> &fits);

/// "T4[2].iter_per_s": the name of a cell in documents.
std::string cell_name(const Table &table, std::size_t row, std::size_t column);

} // namespace ringscale::validation
