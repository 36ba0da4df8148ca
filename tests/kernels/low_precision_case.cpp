// SPDX-License-Identifier: Apache-2.0
#include "low_precision_case.hpp"

#include "kernels/low_precision_row_blocks.hpp"
#include "kernels/tile/converted_tile.hpp"
#include "kernels/tile/team_tile.hpp"

namespace ringscale::kernels::test {

namespace {

template <FloatFormat format> struct TeamTiles {
  template <class Member> struct Of { using Type = tile::ConvertedTile<tile::TeamTile<Member>, format, Member>; };
};

template <FloatFormat format> void launch_team(const ExecutionSpace &space, LowPrecisionBlock block) {
  launch_low_precision_block<TeamTiles<format>::template Of>(space, block);
}

template <LowPrecisionArithmetic arithmetic> void launch_public(const ExecutionSpace &space, LowPrecisionBlock block) {
  block.arithmetic = arithmetic;
  attention_block_low_precision(space, block);
}

} // namespace

problem::DType dtype_of(NumberFormat format) {
  return format == NumberFormat::bfloat16 ? problem::DType::bfloat16 : problem::DType::float16;
}

void LowPrecisionKernel::run(const LowPrecisionBlock &block) const { launch_on(ExecutionSpace(), *this, block); }

void launch_on(const ExecutionSpace &space, const LowPrecisionKernel &kernel, const LowPrecisionBlock &block) {
  kernel.launch(space, block);
  space.fence();
}

std::vector<LowPrecisionKernel> low_precision_kernels() {
  using enum LowPrecisionArithmetic;
  std::vector<LowPrecisionKernel> kernels{
      {"bfloat16 converted", NumberFormat::bfloat16, false, launch_public<converted>},
      {"bfloat16 team", NumberFormat::bfloat16, false, launch_team<bfloat16_format>},
      {"float16 converted", NumberFormat::float16, false, launch_public<automatic>},
      {"float16 team", NumberFormat::float16, false, launch_team<float16_format>}};
  if (has_native_bfloat16()) {
    kernels.push_back({"bfloat16 native", NumberFormat::bfloat16, true, launch_public<native>});
  }
  return kernels;
}

LowPrecisionCase::LowPrecisionCase(const AttentionCase &shape, NumberFormat number_format)
    : format(number_format), original(shape), rounded(shape),
      query("query patterns", shape.batch, shape.query_tokens, shape.query_heads, shape.head_dim),
      key("key patterns", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim),
      value("value patterns", shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim),
      packed_("packed", packed_low_precision_elements(shape.batch, shape.key_tokens, shape.kv_heads, shape.head_dim)) {
  const ExecutionSpace space;
  const auto store = [&](const Owned4 &from, const Patterns4 &to, const Owned4 &back) {
    const auto count = static_cast<std::int64_t>(from.size());
    pack_elements(space, from.data(), count, format, to.data());
    unpack_elements(space, to.data(), count, format, back.data());
  };
  store(original.query, query, rounded.query);
  store(original.key, key, rounded.key);
  store(original.value, value, rounded.value);
  rounded.compute_reference();
  pack_key_value(space, ConstStorageTensor4(key), ConstStorageTensor4(value), 0, shape.key_tokens, packed_.data());
  space.fence();
}

LowPrecisionBlock LowPrecisionCase::block(const Partial &partial) const {
  const AttentionBlock full = rounded.block(partial);
  LowPrecisionBlock block;
  block.format = format;
  block.query = query;
  block.packed_key_value = packed_.data();
  block.key_tokens = full.key_tokens;
  block.kv_heads = full.kv_heads;
  block.query_end = full.query_end;
  block.admission = full.admission;
  block.scale = full.scale;
  block.output = full.output;
  block.log_sum_exp = full.log_sum_exp;
  return block;
}

LowPrecisionBlock LowPrecisionCase::span_block(const Partial &partial, std::int64_t key_begin, std::int64_t key_count,
                                               Patterns1 &packed) const {
  const AttentionCase &shape = rounded.shape;
  packed = Patterns1("span", packed_low_precision_elements(shape.batch, key_count, shape.kv_heads, shape.head_dim));
  const ExecutionSpace space;
  pack_key_value(space, ConstStorageTensor4(key), ConstStorageTensor4(value), key_begin, key_count, packed.data());
  space.fence();
  LowPrecisionBlock span = block(partial);
  span.packed_key_value = packed.data();
  span.key_tokens = key_count;
  span.admission.key_origin += key_begin * span.admission.key_stride;
  return span;
}

problem::DataMagnitude LowPrecisionCase::magnitude() const {
  problem::DataMagnitude magnitude = problem::synthetic_magnitude(original.shape.head_dim);
  magnitude.max_query_norm *= original.shape.query_factor;
  return magnitude;
}

Comparison LowPrecisionCase::compare_with_rounded(const Partial &partial, bool rounds_weights,
                                                  std::int64_t merges) const {
  Comparison comparison = rounded.compare(partial, merges);
  problem::DataMagnitude rounded_magnitude = magnitude();
  const double growth = 1.0 + problem::unit_roundoff(dtype_of(format)); // rounding may lengthen what it rounds
  rounded_magnitude.max_query_norm *= growth;
  rounded_magnitude.max_key_norm *= growth;
  rounded_magnitude.max_value *= growth;
  problem::Roundings roundings;
  roundings.weights = rounds_weights ? dtype_of(format) : problem::DType::float32;
  comparison.bound = problem::attention_error_bound(roundings, rounded.shape.key_tokens, rounded.shape.head_dim, merges,
                                                    rounded_magnitude);
  return comparison;
}

Comparison LowPrecisionCase::compare_with_original(const Partial &partial) const {
  Comparison comparison = original.compare(partial);
  comparison.bound = problem::attention_error_bound(dtype_of(format), original.shape.key_tokens,
                                                    original.shape.head_dim, 1, magnitude());
  return comparison;
}

} // namespace ringscale::kernels::test
