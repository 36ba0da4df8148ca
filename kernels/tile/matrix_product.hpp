// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstdint>
#include <type_traits>

#include "kernels/rounding.hpp"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>
#endif

namespace ringscale::kernels::tile {

/// Rows and columns of the blocks that tensor cores multiply, and what a step sums over.
inline constexpr std::int64_t matrix_edge = 16;
inline constexpr std::int64_t matrix_elements = matrix_edge * matrix_edge;

/// sums += first x second, for one 16 x 16 block of sums: over `steps` blocks of 16 columns of `first` and the blocks
/// of `second` that belong to them. Pointers are aligned to 32 bytes; `first_stride` is a multiple of 16.
struct BlockProduct {
  const std::uint16_t *first = nullptr; ///< row-major, element (row, k) at row * first_stride + k
  std::int64_t first_stride = 0;
  const std::uint16_t *second = nullptr; ///< a block at every second_step; element (k, column) at column * 16 + k
  std::int64_t second_step = 0;
  std::int64_t steps = 0;
  float *sums = nullptr; ///< row-major
  std::int64_t sums_stride = 0;
  bool fresh = false; ///< sums start at 0 instead of what they hold
};

/// Computes a BlockProduct with float32 sums. All lanes of one thread (on CUDA a warp) call it together: tensor cores
/// of CUDA devices from compute capability 8.0 on, else plain loops of one lane.
struct MatrixProduct {
  template <FloatFormat format, class Member>
  KOKKOS_FUNCTION static void compute(const Member &member, const BlockProduct &product) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    namespace wmma = nvcuda::wmma;
    using Element = std::conditional_t<format.exponent_bits == 8, __nv_bfloat16, __half>;
    constexpr int edge = static_cast<int>(matrix_edge);
    wmma::fragment<wmma::matrix_a, edge, edge, edge, Element, wmma::row_major> first;
    wmma::fragment<wmma::matrix_b, edge, edge, edge, Element, wmma::col_major> second;
    wmma::fragment<wmma::accumulator, edge, edge, edge, float> sums;
    const auto sums_stride = static_cast<unsigned>(product.sums_stride);
    if (product.fresh) {
      wmma::fill_fragment(sums, 0.0F);
    } else {
      wmma::load_matrix_sync(sums, product.sums, sums_stride, wmma::mem_row_major);
    }
    for (std::int64_t step = 0; step < product.steps; ++step) {
      wmma::load_matrix_sync(first, reinterpret_cast<const Element *>(product.first + step * matrix_edge),
                             static_cast<unsigned>(product.first_stride));
      wmma::load_matrix_sync(second, reinterpret_cast<const Element *>(product.second + step * product.second_step),
                             static_cast<unsigned>(matrix_edge));
      wmma::mma_sync(sums, first, second, sums);
    }
    wmma::store_matrix_sync(product.sums, sums, sums_stride, wmma::mem_row_major);
    (void)member;
#else
    Kokkos::single(Kokkos::PerThread(member), [&]() {
      float sums[matrix_edge][matrix_edge];
      float factors[matrix_edge][matrix_edge];
      for (std::int64_t element = 0; element < matrix_elements; ++element) {
        const std::int64_t row = element / matrix_edge;
        const std::int64_t column = element % matrix_edge;
        sums[row][column] = product.fresh ? 0.0F : product.sums[row * product.sums_stride + column];
      }
      for (std::int64_t step = 0; step < product.steps; ++step) {
        const std::uint16_t *second = product.second + step * product.second_step;
        for (std::int64_t element = 0; element < matrix_elements; ++element) {
          factors[element % matrix_edge][element / matrix_edge] = decode<format>(second[element]);
        }
        for (std::int64_t row = 0; row < matrix_edge; ++row) {
          const std::uint16_t *first = product.first + row * product.first_stride + step * matrix_edge;
          for (std::int64_t index = 0; index < matrix_edge; ++index) {
            const float factor = decode<format>(first[index]);
            for (std::int64_t column = 0; column < matrix_edge; ++column) {
              sums[row][column] += factor * factors[index][column];
            }
          }
        }
      }
      for (std::int64_t element = 0; element < matrix_elements; ++element) {
        const std::int64_t row = element / matrix_edge;
        product.sums[row * product.sums_stride + element % matrix_edge] = sums[row][element % matrix_edge];
      }
    });
#endif
  }
};

} // namespace ringscale::kernels::tile
