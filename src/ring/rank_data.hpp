// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/types.hpp"
#include "problem/synthetic.hpp"
#include "ring/ring_options.hpp"

namespace ringscale::ring {

/// Fills `destination`, [batch, tokens.count(), heads, head_dim] in the kernels' memory, with synthetic data; through
/// a host copy where the host cannot write there. `attention` has the batch entries and heads from `origin` on.
void fill_tensor(float *destination, std::uint64_t seed, problem::Tensor tensor,
                 const problem::AttentionProblem &attention, const problem::TokenSet &tokens,
                 const TensorOrigin &origin = {});

} // namespace ringscale::ring
