// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/layer.hpp"

#include <algorithm>

#include "problem/invalid_input.hpp"

namespace ringscale::drivers {

kernels::Dropout layer_dropout(const AttentionOptions &options) {
  return {static_cast<float>(options.dropout_probability), options.seed};
}

kernels::AttentionBlock dense_block(const AttentionOptions &options, const AttentionTensors &tensors) {
  kernels::AttentionBlock block;
  block.query = tensors.query;
  block.key_tokens = options.key_tokens;
  block.kv_heads = options.problem.kv_heads;
  block.query_end = options.problem.tokens;
  block.admission.causal = options.causal();
  block.admission.query_origin = options.query_position_begin;
  block.scale = static_cast<float>(problem::softmax_scale(options.problem.head_dim));
  block.dropout = layer_dropout(options);
  block.output = tensors.output;
  block.log_sum_exp = tensors.log_sum_exp;
  return block;
}

kernels::BackwardBlock backward_block(const AttentionOptions &options, const AttentionTensors &tensors) {
  const kernels::AttentionBlock dense = dense_block(options, tensors);
  kernels::BackwardBlock block;
  block.query = tensors.query;
  block.key = tensors.key;
  block.value = tensors.value;
  block.output_gradient = tensors.output_gradient;
  block.log_sum_exp = tensors.log_sum_exp;
  block.admission = dense.admission;
  block.scale = dense.scale;
  block.dropout = dense.dropout;
  block.query_gradient = tensors.query_gradient;
  block.key_gradient = tensors.key_gradient;
  block.value_gradient = tensors.value_gradient;
  return block;
}

kernels::KernelWork together(const kernels::KernelWork &first, const kernels::KernelWork &second) {
  return {first.flop + second.flop, first.read_bytes + second.read_bytes, first.written_bytes + second.written_bytes};
}

kernels::KernelWork packing_work(const AttentionOptions &options) {
  const problem::AttentionProblem &problem = options.problem;
  return kernels::pack_key_value_work(problem.batch, options.key_tokens, problem.kv_heads, problem.head_dim);
}

double dense_pairs(const AttentionOptions &options) {
  kernels::Admission admission;
  admission.causal = options.causal();
  admission.query_origin = options.query_position_begin;
  return static_cast<double>(kernels::admitted_pairs(admission, 0, options.problem.tokens, options.key_tokens)) *
         static_cast<double>(options.problem.query_heads);
}

problem::GradientBound dense_gradient_bound(const AttentionOptions &options, std::int64_t accumulations,
                                            const problem::GradientMagnitude &magnitude,
                                            const problem::GivenError &given) {
  const std::int64_t row_terms = options.problem.tokens * (options.problem.query_heads / options.problem.kv_heads);
  return problem::gradient_error_bound(problem::DType::float32, options.key_tokens, row_terms, options.problem.head_dim,
                                       accumulations, magnitude, given);
}

void fill_dense_multiplicities(const kernels::Admission &admission, std::int64_t query, std::int64_t key_tokens,
                               std::uint8_t *of_keys) {
  const std::int64_t admitted = admission.admitted_keys(query, key_tokens);
  std::fill(of_keys, of_keys + admitted, std::uint8_t{1});
  std::fill(of_keys + admitted, of_keys + key_tokens, std::uint8_t{0});
}

std::unique_ptr<AttentionLayer> make_layer(const AttentionOptions &options, const AttentionTensors &tensors) {
  if (options.pattern.kind == problem::PatternKind::dilated) {
    return make_dilated_layer(options, tensors);
  }
  if (options.pattern.kind == problem::PatternKind::block_sparse) {
    return make_block_sparse_layer(options, tensors);
  }
  if (options.kernel == memory::KernelKind::materialised) {
    return make_materialised_layer(options, tensors);
  }
  if (problem::storage_bytes(options.problem.dtype) == 2) {
    return make_low_precision_layer(options, tensors);
  }
  return make_dense_layer(options, tensors);
}

} // namespace ringscale::drivers
