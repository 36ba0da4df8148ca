// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "machine/machine.hpp"
#include "validation/model_shapes.hpp"
#include "validation/prediction.hpp"
#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// Step times, FLOP/s per device, tokens/s and model FLOPs utilisation of training (training_seconds, utilisation). The
/// three shares of a machine and table are fitted on about one in four of its figures. A figure without a layer count
/// takes the public shape of a model of its size. Fills what it can of `predictions`.
void predict_training(const Table &table, const std::vector<machine::Machine> &machines,
                      const std::vector<ModelShape> &shapes, std::vector<Prediction> &predictions,
                      std::vector<Fit> &fits);

} // namespace ringscale::validation
