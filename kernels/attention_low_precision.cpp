// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention_low_precision.hpp"

#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/low_precision_row_blocks.hpp"
#include "kernels/tile/converted_tile.hpp"
#include "kernels/tile/select_tile.hpp"
#if defined(RINGSCALE_HOST_TILES)
#include "kernels/tile/host_bfloat16_tile.hpp"
#endif

namespace ringscale::kernels {

namespace {

template <int HeadDim, class Member> using Float32Tile = typename tile::SelectTile<HeadDim, Member>::Type;

template <int HeadDim, FloatFormat format> struct Converted {
  template <class Member> struct Of { using Type = tile::ConvertedTile<Float32Tile<HeadDim, Member>, format, Member>; };
};

#if defined(RINGSCALE_HOST_BFLOAT16)
template <int HeadDim> struct Native {
  template <class> struct Of { using Type = tile::HostBfloat16Tile<HeadDim>; };
};
#endif

#if defined(RINGSCALE_MATRIX_TILES)
template <int HeadDim, FloatFormat format> struct Matrix {
  template <class Member> struct Of { using Type = tile::TeamMatrixTile<format, Member, HeadDim>; };
};
#endif

template <int HeadDim> void launch(const ExecutionSpace &space, const LowPrecisionBlock &block) {
#if defined(RINGSCALE_MATRIX_TILES)
  if (block.arithmetic != LowPrecisionArithmetic::converted) {
    return block.format == NumberFormat::float16
               ? launch_low_precision_block<Matrix<HeadDim, float16_format>::template Of>(space, block)
               : launch_low_precision_block<Matrix<HeadDim, bfloat16_format>::template Of>(space, block);
  }
#endif
  if (block.format == NumberFormat::float16) {
    return launch_low_precision_block<Converted<HeadDim, float16_format>::template Of>(space, block);
  }
#if defined(RINGSCALE_HOST_BFLOAT16)
  if (block.arithmetic != LowPrecisionArithmetic::converted) {
    return launch_low_precision_block<Native<HeadDim>::template Of>(space, block);
  }
#endif
  launch_low_precision_block<Converted<HeadDim, bfloat16_format>::template Of>(space, block);
}

template <template <class> class TileOf> std::int64_t scratch_bytes(std::int64_t head_dim) {
  using Tile = typename StreamedAttention<TileOf, LowPrecisionRowBlocks>::Tile;
  return static_cast<std::int64_t>(Tile::scratch_bytes(head_dim)) + 64;
}

void require(bool condition, const std::string &message) {
  if (!condition) {
    throw std::invalid_argument("low-precision attention block: " + message);
  }
}

} // namespace

bool has_native_bfloat16() {
#if defined(RINGSCALE_HOST_BFLOAT16) || defined(RINGSCALE_MATRIX_TILES)
  return true;
#else
  return false;
#endif
}

void check_low_precision_block(const LowPrecisionBlock &block) {
  const auto tokens = static_cast<std::int64_t>(block.query.extent(1));
  const auto query_heads = static_cast<std::int64_t>(block.query.extent(2));
  require(block.format == NumberFormat::bfloat16 || block.format == NumberFormat::float16,
          "only bfloat16 and float16 are stored in two bytes");
  require(block.arithmetic != LowPrecisionArithmetic::native ||
              (block.format == NumberFormat::bfloat16 && has_native_bfloat16()),
          "this build has no native arithmetic for the format");
  require(block.query_begin >= 0 && block.query_begin <= block.query_end && block.query_end <= tokens,
          "query rows " + std::to_string(block.query_begin) + " to " + std::to_string(block.query_end) +
              " do not lie in the query's " + std::to_string(tokens) + " tokens");
  require(block.kv_heads > 0 && query_heads % block.kv_heads == 0, "query_heads " + std::to_string(query_heads) +
                                                                       " is no multiple of kv_heads " +
                                                                       std::to_string(block.kv_heads));
  require(block.heads.fits(query_heads), "heads lie outside of the query's");
  require(block.query.extent(3) > 0, "head_dim is 0");
  require(block.key_tokens >= 0 && block.key_tokens <= std::numeric_limits<std::int32_t>::max(),
          "key_tokens " + std::to_string(block.key_tokens) + " is out of range");
  require(block.key_tokens == 0 || block.packed_key_value != nullptr, "packed_key_value is null");
  require(block.admission.query_stride > 0 && block.admission.key_stride > 0, "admission strides must be positive");
  const bool rounded = block.storage_output.data() != nullptr;
  for (int axis = 0; axis < 4; ++axis) {
    require((rounded ? block.storage_output.extent(axis) : block.output.extent(axis)) == block.query.extent(axis),
            "output and query differ in shape");
  }
  for (int axis = 0; axis < 3; ++axis) {
    require(block.log_sum_exp.extent(axis) == block.query.extent(axis),
            "log_sum_exp is not [batch, tokens, query_heads] of the query");
  }
}

void attention_block_low_precision(const ExecutionSpace &space, const LowPrecisionBlock &block) {
  Kokkos::Profiling::ScopedRegion region("ringscale::attention_block_low_precision");
  check_low_precision_block(block);
  switch (block.query.extent(3)) {
  case 64:
    return launch<64>(space, block);
  case 128:
    return launch<128>(space, block);
  default:
    return launch<0>(space, block);
  }
}

std::int64_t attention_low_precision_workspace_bytes(NumberFormat format, std::int64_t head_dim) {
  require(format == NumberFormat::bfloat16 || format == NumberFormat::float16,
          "only bfloat16 and float16 are stored in two bytes");
#if defined(RINGSCALE_MATRIX_TILES)
  return scratch_bytes<Matrix<0, bfloat16_format>::template Of>(head_dim); // both formats have two bytes
#else
#if defined(RINGSCALE_HOST_BFLOAT16)
  if (format == NumberFormat::bfloat16) {
    return scratch_bytes<Native<0>::template Of>(head_dim);
  }
#endif
  return scratch_bytes<Converted<0, bfloat16_format>::template Of>(head_dim); // the same for both formats
#endif
}

KernelWork attention_low_precision_work(const LowPrecisionBlock &block) {
  constexpr double storage_bytes = sizeof(std::uint16_t);
  const auto batch = static_cast<double>(block.query.extent(0));
  const auto heads = static_cast<double>(block.heads.count_of(block.query.extent_int(2)));
  const auto head_dim = static_cast<double>(block.query.extent(3));
  const std::int64_t kv_heads =
      block.heads.groups_met(block.query.extent_int(2), block.query.extent_int(2) / block.kv_heads);
  const double rows = batch * heads * static_cast<double>(block.query_end - block.query_begin);
  const auto pairs =
      static_cast<double>(admitted_pairs(block.admission, block.query_begin, block.query_end, block.key_tokens));
  const double output_bytes = block.storage_output.data() != nullptr ? storage_bytes : sizeof(float);
  const double row_bytes = output_bytes * head_dim + sizeof(float); // an output row and its log-sum-exp
  KernelWork work;
  work.flop = 4.0 * pairs * batch * heads * head_dim;
  work.read_bytes =
      storage_bytes *
      (rows * head_dim + static_cast<double>(packed_low_precision_elements(block.query.extent_int(0), block.key_tokens,
                                                                           kv_heads, block.query.extent_int(3))));
  work.read_bytes += block.merge == Merge::replace ? 0.0 : rows * row_bytes;
  work.written_bytes = rows * row_bytes;
  return work;
}

} // namespace ringscale::kernels
