// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "machine/machine.hpp"
#include "validation/prediction.hpp"
#include "validation/published_tables.hpp"
#include "validation/work_limits.hpp"

namespace ringscale::validation {

/// Times, rates and FLOP/s of attention layers by the simulator (attention_seconds). Tile rates come from figures of
/// one device in the same or the nearest row (fitted); what else the machine file does not say is fitted on about one
/// in eight of the other figures of a group (collect_attention), chosen to differ. Fills what it can of `predictions`,
/// which are those of the table's cells that nothing else covers.
void predict_attention(const Table &table, const std::vector<machine::Machine> &machines,
                       std::vector<Prediction> &predictions, std::vector<Fit> &fits, RingWork &work);

} // namespace ringscale::validation
