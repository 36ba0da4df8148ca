// SPDX-License-Identifier: Apache-2.0
#include "problem/synthetic.hpp"

#include <cstddef>
#include <numbers>

#include "problem/counter_random.hpp"

namespace ringscale::problem {

double synthetic_max_magnitude() { return std::numbers::sqrt3; }

namespace {

float element(std::uint64_t seed, Tensor tensor, std::uint64_t row, std::int64_t dim) {
  const double uniform =
      random_uniform(seed, (row << 2) | static_cast<std::uint64_t>(tensor), static_cast<std::uint64_t>(dim));
  return static_cast<float>((2.0 * uniform - 1.0) * std::numbers::sqrt3);
}

std::uint64_t row_of(std::int64_t batch, std::int64_t token, std::int64_t head) {
  return mix64(static_cast<std::uint64_t>(token) + (static_cast<std::uint64_t>(head) << 50)) +
         static_cast<std::uint64_t>(batch);
}

} // namespace

float synthetic_value(std::uint64_t seed, Tensor tensor, std::int64_t batch, std::int64_t token, std::int64_t head,
                      std::int64_t dim) {
  return element(seed, tensor, row_of(batch, token, head), dim);
}

void fill_synthetic(float *destination, std::uint64_t seed, Tensor tensor, const AttentionProblem &problem,
                    const TokenSet &tokens, std::int64_t first_batch, std::int64_t first_head) {
  const std::int64_t heads =
      tensor == Tensor::query || tensor == Tensor::output_gradient ? problem.query_heads : problem.kv_heads;
  std::size_t next = 0;
  for (std::int64_t batch = 0; batch < problem.batch; ++batch) {
    for (std::int64_t index = 0; index < tokens.count(); ++index) {
      const std::int64_t token = tokens.position(index);
      for (std::int64_t head = 0; head < heads; ++head) {
        const std::uint64_t row = row_of(first_batch + batch, token, first_head + head);
        for (std::int64_t dim = 0; dim < problem.head_dim; ++dim) {
          destination[next++] = element(seed, tensor, row, dim);
        }
      }
    }
  }
}

} // namespace ringscale::problem
