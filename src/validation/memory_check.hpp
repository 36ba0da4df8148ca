// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "machine/machine.hpp"
#include "validation/model_shapes.hpp"
#include "validation/prediction.hpp"
#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// What runs printed as out of memory need, for those whose memory is modelled: state and activations of a training
/// step (Korthikanti et al. 2022) where the row says how both are divided, tensors and buffers of a ring
/// (memory::closed_form) for attention alone; against the memory of the device, as its text or its machine file states
/// it. The others say why they are not checked. Nothing is fitted, and the allocator's losses are not counted.
void check_memory(const Table &table, const std::vector<machine::Machine> &machines,
                  const std::vector<ModelShape> &shapes, std::vector<Prediction> &predictions);

} // namespace ringscale::validation
