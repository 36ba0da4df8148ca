// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "machine/machine.hpp"
#include "validation/prediction.hpp"
#include "validation/published_tables.hpp"
#include "validation/work_limits.hpp"

namespace ringscale::validation {

/// Ratios about attention that no formula of the table gives, from the machine file and the starting values of
/// attention_model alone (nothing fitted): the speed-up of one kind of ring over another where name or meaning of the
/// column name both, in this order ("striped over ring"); and efficiency in percent, the time of one device divided by
/// devices x time; and utilisation, FLOPs over devices x peak x time.
void predict_attention_ratios(const Table &table, const std::vector<machine::Machine> &machines,
                              std::vector<Prediction> &predictions, RingWork &work);

} // namespace ringscale::validation
