// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "machine/machine.hpp"
#include "validation/model_shapes.hpp"
#include "validation/prediction.hpp"
#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// Longest contexts that fit a device's memory, for tables that give systems and model sizes. Memory left beside the
/// training state (16 bytes a parameter in single precision, divided among the devices) is divided by what a token
/// takes: hidden x layers for attention that keeps no scores, heads x tokens for attention that keeps them. The bytes
/// of a token depend on the batch, which such tables do not give: they come from the first figure of each system
/// without scores (fitted), and the further kinds of attention from their first figure, in each system where they keep
/// scores. Lengths are powers of two where all published ones are.
void predict_contexts(const Table &table, const std::vector<machine::Machine> &machines,
                      const std::vector<ModelShape> &shapes, std::vector<Prediction> &predictions,
                      std::vector<Fit> &fits);

} // namespace ringscale::validation
