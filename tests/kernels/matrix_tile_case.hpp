// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/low_precision_row_blocks.hpp"
#include "kernels/tile/team_matrix_tile.hpp"
#include "low_precision_case.hpp"

namespace ringscale::kernels::test {

using tile::BlockProduct;
using tile::matrix_edge;
using tile::MatrixProduct;
using tile::ScratchChoice;

template <FloatFormat format, int HeadDim, class Product, ScratchChoice choice> struct MatrixTiles {
  template <class Member> struct Of { using Type = tile::TeamMatrixTile<format, Member, HeadDim, choice, Product>; };
};

template <int HeadDim = 0, class Product = MatrixProduct, ScratchChoice choice = ScratchChoice::fitting>
void launch_matrix(const ExecutionSpace &space, LowPrecisionBlock block) {
  if (block.format == NumberFormat::bfloat16) {
    launch_low_precision_block<MatrixTiles<bfloat16_format, HeadDim, Product, choice>::template Of>(space, block);
  } else {
    launch_low_precision_block<MatrixTiles<float16_format, HeadDim, Product, choice>::template Of>(space, block);
  }
  space.fence();
}

template <int HeadDim = 0, class Product = MatrixProduct, ScratchChoice choice = ScratchChoice::fitting>
void run_matrix(const LowPrecisionBlock &block) {
  launch_matrix<HeadDim, Product, choice>(ExecutionSpace(), block);
}

inline constexpr NumberFormat formats[] = {NumberFormat::bfloat16, NumberFormat::float16};

} // namespace ringscale::kernels::test
