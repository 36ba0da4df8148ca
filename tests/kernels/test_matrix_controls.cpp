// SPDX-License-Identifier: Apache-2.0
// The tile of tensor cores with products broken on purpose and with wrong masks, scales and formats.
#include <gtest/gtest.h>

#include <cmath>

#include "matrix_tile_case.hpp"

namespace ringscale::kernels::test {
namespace {

/// Whether the result of a product, sound or broken, passes the comparison.
template <class Product> bool valid_with(const AttentionCase &shape, NumberFormat format) {
  const LowPrecisionCase data(shape, format);
  const Partial partial = data.rounded.poisoned_partial();
  run_matrix<0, Product>(data.block(partial));
  return data.compare_with_rounded(partial, true).valid();
}

struct TransposedBlock {
  template <FloatFormat format, class Member>
  KOKKOS_FUNCTION static void compute(const Member &member, BlockProduct product) {
    std::uint16_t turned[tile::matrix_elements];
    const std::uint16_t *second = product.second;
    const std::int64_t steps = product.steps;
    product.second = turned;
    product.steps = 1;
    for (std::int64_t step = 0; step < steps; ++step) {
      for (std::int64_t element = 0; element < tile::matrix_elements; ++element) {
        turned[element] =
            second[step * product.second_step + element % matrix_edge * matrix_edge + element / matrix_edge];
      }
      MatrixProduct::compute<format>(member, product);
      product.first += matrix_edge;
      product.fresh = false;
    }
  }
};

struct LostStep {
  template <FloatFormat format, class Member>
  KOKKOS_FUNCTION static void compute(const Member &member, BlockProduct product) {
    product.steps -= product.steps > 1 ? 1 : 0;
    MatrixProduct::compute<format>(member, product);
  }
};

struct StaleSums {
  template <FloatFormat format, class Member>
  KOKKOS_FUNCTION static void compute(const Member &member, BlockProduct product) {
    product.fresh = false;
    MatrixProduct::compute<format>(member, product);
  }
};

TEST(MatrixTileControl, BrokenProductsAreRefused) {
  AttentionCase shape;
  shape.query_tokens = 40;
  shape.key_tokens = 200;
  for (const NumberFormat format : formats) {
    EXPECT_TRUE(valid_with<MatrixProduct>(shape, format));
    EXPECT_FALSE(valid_with<TransposedBlock>(shape, format));
    EXPECT_FALSE(valid_with<LostStep>(shape, format));
    EXPECT_FALSE(valid_with<StaleSums>(shape, format));
  }
}

TEST(MatrixTileControl, AWrongMaskScaleOrFormatIsRefused) {
  AttentionCase shape;
  shape.query_tokens = 40;
  shape.key_tokens = 40;
  shape.admission.causal = true;
  for (const NumberFormat format : formats) {
    const LowPrecisionCase data(shape, format);
    const auto valid_after = [&](const auto &damage) {
      const Partial partial = data.rounded.poisoned_partial();
      LowPrecisionBlock block = data.block(partial);
      damage(block);
      run_matrix(block);
      return data.compare_with_rounded(partial, true).valid();
    };
    EXPECT_TRUE(valid_after([](LowPrecisionBlock &) {}));
    EXPECT_FALSE(valid_after([](LowPrecisionBlock &block) { block.admission.query_origin += 1; }));
    EXPECT_FALSE(valid_after([](LowPrecisionBlock &block) { block.admission.causal = false; }));
    EXPECT_FALSE(valid_after([](LowPrecisionBlock &block) { block.key_tokens -= 1; }));
    EXPECT_FALSE(valid_after([](LowPrecisionBlock &block) { block.scale *= 1.05F; }));
    EXPECT_FALSE(valid_after([&](LowPrecisionBlock &block) {
      block.format = format == NumberFormat::bfloat16 ? NumberFormat::float16 : NumberFormat::bfloat16;
    }));
  }
}

TEST(MatrixTileControl, NotANumberInAQueryStaysInItsRow) {
  AttentionCase shape;
  shape.query_tokens = 70;
  shape.key_tokens = 300;
  for (const NumberFormat format : formats) {
    const LowPrecisionCase data(shape, format);
    const Partial clean = data.rounded.poisoned_partial();
    run_matrix(data.block(clean));
    const auto query = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, data.query);
    query(0, 33, 0, 17) = 0x7FFF; // a NaN of both formats
    Kokkos::deep_copy(data.query, query);
    const Partial partial = data.rounded.poisoned_partial();
    run_matrix(data.block(partial));
    EXPECT_TRUE(std::isnan(data.compare_with_rounded(partial, true).max_error));
    const auto expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, clean.output);
    const auto output = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, partial.output);
    for (int row = 0; row < 70; ++row) {
      EXPECT_EQ(std::isnan(output(0, row, 0, 5)), row == 33) << row;
      EXPECT_TRUE(row == 33 || output(0, row, 0, 5) == expected(0, row, 0, 5)) << row;
    }
  }
}

} // namespace
} // namespace ringscale::kernels::test
