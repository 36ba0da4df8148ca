// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/types.hpp"

namespace ringscale::kernels {

/// Float32 multiply-add peak of all threads of `space`, in GFLOP/s: independent chains of fused multiply-adds in
/// registers, repeated in bursts of about a millisecond for `seconds`; the best burst counts, since whatever else
/// runs on the machine can only slow a burst down.
double measure_fma_peak_gflop_per_s(const ExecutionSpace &space, double seconds);

} // namespace ringscale::kernels
