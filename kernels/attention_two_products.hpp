// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/types.hpp"
#include "kernels/work.hpp"

namespace ringscale::kernels {

/// Shapes of one call: query [batch, query_tokens, query_heads, head_dim], key and value [batch, key_tokens, kv_heads,
/// head_dim]; head h reads key/value head h / (query_heads / kv_heads).
struct TwoProducts {
  ConstTensor4 query;
  ConstTensor4 key;
  ConstTensor4 value;
  float scale = 1.0F;
  Tensor4 output; ///< as query
};

/// Floats of workspace that attention_two_products needs: the scores of one head and a factor for each of its rows.
std::int64_t two_products_workspace_elements(const TwoProducts &attention);

/// The peer of the streamed kernel on hosts: head by head the scores by one call of a tuned CBLAS, a softmax over them
/// in vector registers (the same exponential as ours; the division is left to the output), the output by a second call.
/// No mask. Runs on the calling thread. Throws std::invalid_argument on shapes that do not fit each other, and
/// std::logic_error where tensors lie in a device's memory.
void attention_two_products(const TwoProducts &attention, float *workspace);

/// 4 FLOPs per pair, head and dimension as for every attention; the scores are written twice and read three times.
KernelWork attention_two_products_work(const TwoProducts &attention);

} // namespace ringscale::kernels
