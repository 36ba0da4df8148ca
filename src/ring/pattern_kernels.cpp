// SPDX-License-Identifier: Apache-2.0
#include "ring/pattern_kernels.hpp"

namespace ringscale::ring {

kernels::Dilation kernel_dilation(const problem::DilatedPattern &pattern) {
  kernels::Dilation dilation;
  dilation.segment_lengths = pattern.segment_lengths;
  dilation.dilation_rates = pattern.dilation_rates;
  switch (pattern.convention) {
  case problem::DilationConvention::split:
    dilation.convention = kernels::DilationConvention::split;
    break;
  case problem::DilationConvention::longnet:
    dilation.convention = kernels::DilationConvention::longnet;
    break;
  case problem::DilationConvention::longnet_blocked:
    dilation.convention = kernels::DilationConvention::longnet_blocked;
    break;
  }
  return dilation;
}

kernels::BlockSparsity kernel_sparsity(const problem::BlockSparsePattern &pattern) {
  kernels::BlockSparsity sparsity;
  sparsity.window_tokens = pattern.window_tokens;
  sparsity.stride_blocks = pattern.stride_blocks;
  switch (pattern.kind) {
  case problem::BlockSparseKind::dilated:
    sparsity.kind = kernels::BlockKind::dilated;
    break;
  case problem::BlockSparseKind::hierarchical:
    sparsity.kind = kernels::BlockKind::hierarchical;
    break;
  case problem::BlockSparseKind::local_window:
  case problem::BlockSparseKind::adaptive:
    break;
  }
  return sparsity;
}

} // namespace ringscale::ring
