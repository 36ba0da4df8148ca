// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "problem/attention_problem.hpp"
#include "problem/token_span.hpp"

namespace ringscale::problem {

enum class Tensor : std::uint64_t { query = 1, key = 2, value = 3, output_gradient = 4 };

/// Largest magnitude of a synthetic element: sqrt(3), so that the uniform distribution has variance 1 and scores have
/// standard deviation 1, as with normally distributed inputs.
double synthetic_max_magnitude();

/// One element of a synthetic tensor, uniform in (-sqrt(3), sqrt(3)); every rank can make any token's data alone.
float synthetic_value(std::uint64_t seed, Tensor tensor, std::int64_t batch, std::int64_t token, std::int64_t head,
                      std::int64_t dim);

/// Fills `destination` with the tokens of `tokens`, [batch, tokens.count(), heads, head_dim] row-major; `heads` is
/// query_heads for the query and the output gradient, kv_heads for key and value. Of a larger problem, the batch
/// entries from `first_batch` and the heads from `first_head` on.
void fill_synthetic(float *destination, std::uint64_t seed, Tensor tensor, const AttentionProblem &problem,
                    const TokenSet &tokens, std::int64_t first_batch = 0, std::int64_t first_head = 0);

} // namespace ringscale::problem
