// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "memory/closed_form.hpp"
#include "problem/attention_problem.hpp"
#include "problem/pattern.hpp"

namespace ringscale::drivers {

/// forward: output and log-sum-exp; backward: the gradients, from a forward pass done before.
enum class Pass { forward, backward };

/// Tensors of the user, [batch, tokens, heads, head_dim]; empty names mean synthetic data and no output files.
struct TensorFiles {
  std::string query, key, value;
  std::string output;
  std::string output_gradient;        ///< dO of the backward pass
  std::string output_gradient_prefix; ///< dq.npy, dk.npy and dv.npy are written behind it
  std::string boolean_mask;           ///< [query_tokens, key_tokens], not 0 where a pair is admitted

  bool given() const { return !query.empty(); }
};

/// One attention layer on one device.
struct AttentionOptions {
  problem::AttentionProblem problem; ///< its tokens are the query's
  std::int64_t key_tokens = 0;
  std::int64_t query_position_begin = 0; ///< position of the first query; keys begin at 0
  problem::Pattern pattern;
  memory::KernelKind kernel = memory::KernelKind::streamed;
  Pass pass = Pass::forward;
  double dropout_probability = 0.0;
  TensorFiles files;
  std::uint64_t seed = 1;
  bool benchmark = false;
  int repetitions = 10; ///< timed samples of a benchmark

  bool causal() const { return problem.mask == problem::Mask::causal; }
};

std::string_view name(Pass pass);
/// Throws problem::InvalidInput listing the words allowed.
Pass parse_pass(std::string_view word);

/// Throws problem::InvalidInput naming the first flag that is out of range or does not go with the others; the first
/// looks at the shape too, which may be that of files not yet read.
void validate(const AttentionOptions &options);
void validate_combination(const AttentionOptions &options);

} // namespace ringscale::drivers
