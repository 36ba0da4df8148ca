// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/types.hpp"
#include "kernels/work.hpp"

namespace ringscale::kernels {

/// sum[i] += addend[i] for i < count: joins the gradients that two ranks computed. Asynchronous on `space`.
void accumulate(const ExecutionSpace &space, const float *addend, std::int64_t count, float *sum);

/// One FLOP an element; reads both, writes one.
KernelWork accumulate_work(std::int64_t count);

} // namespace ringscale::kernels
