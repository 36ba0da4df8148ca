// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/types.hpp"

namespace ringscale::kernels {

/// Joins two normalised partials of the same queries over disjoint keys:
/// output = (e^lse output + e^other_lse other_output) / (e^lse + e^other_lse), lse = log(e^lse + e^other_lse).
/// A partial with log-sum-exp -infinity admitted no key and changes nothing. Asynchronous on `space`; throws
/// std::invalid_argument on shapes that differ.
void merge_partials(const ExecutionSpace &space, Tensor4 output, Tensor3 log_sum_exp, ConstTensor4 other_output,
                    ConstTensor3 other_log_sum_exp);

} // namespace ringscale::kernels
