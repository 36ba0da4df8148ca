// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/block_mask.hpp"
#include "kernels/dilation.hpp"
#include "problem/pattern.hpp"

namespace ringscale::ring {

/// The patterns of the problem in the words of the kernels, which know no problem.
kernels::Dilation kernel_dilation(const problem::DilatedPattern &pattern);

/// Not for adaptive blocks, which have no rule.
kernels::BlockSparsity kernel_sparsity(const problem::BlockSparsePattern &pattern);

} // namespace ringscale::ring
