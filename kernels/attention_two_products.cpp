// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention_two_products.hpp"

#include <stdexcept>
#include <string>

#include "kernels/blas.hpp"
#include "kernels/tile/row_state.hpp"
#include "kernels/tile/select_tile.hpp"

namespace ringscale::kernels {

namespace {

void require(bool condition, const char *message) {
  if (!condition) {
    throw std::invalid_argument(std::string("attention by two products: ") + message);
  }
}

void check(const TwoProducts &attention) {
  for (int axis = 0; axis < 4; ++axis) {
    require(attention.key.extent(axis) == attention.value.extent(axis), "key and value differ in shape");
    require(attention.output.extent(axis) == attention.query.extent(axis), "output and query differ in shape");
  }
  require(attention.key.extent(0) == attention.query.extent(0), "key and query differ in batch");
  require(attention.key.extent(3) == attention.query.extent(3), "key and query differ in head_dim");
  require(attention.key.extent(1) > 0 && attention.key.extent(3) > 0, "there is no key, or head_dim is 0");
  require(attention.key.extent(2) > 0 && attention.query.extent(2) % attention.key.extent(2) == 0,
          "query_heads is no multiple of kv_heads");
}

#if defined(RINGSCALE_HOST_TILES)

using tile::lanes;
using tile::Vector;

/// Replaces a row of scores in units of log 2 by 2^(score - largest); returns 1 / sum.
float exponentials(float *scores, std::int64_t count) {
  // Four chains, since a maximum and a sum of one wait for each other.
  constexpr int chains = 4;
  constexpr std::int64_t step = chains * lanes;
  Vector largest[chains];
  Vector sum[chains];
  for (int chain = 0; chain < chains; ++chain) {
    largest[chain] = tile::broadcast(scores[0]);
    sum[chain] = Vector{};
  }
  const std::int64_t whole = count / step * step;
  for (std::int64_t key = 0; key < whole; key += step) {
#pragma GCC unroll 4
    for (int chain = 0; chain < chains; ++chain) {
      largest[chain] = tile::maximum(largest[chain], tile::load(scores + key + chain * lanes));
    }
  }
  for (std::int64_t key = whole; key < count; key += lanes) {
    const Vector part = tile::load_part(scores + key, count - key);
    largest[0] = tile::maximum(largest[0], tile::keep_first(part, count - key, scores[0]));
  }
  const float reference = tile::horizontal_maximum(
      tile::maximum(tile::maximum(largest[0], largest[1]), tile::maximum(largest[2], largest[3])));
  const Vector references = tile::broadcast(reference);
  for (std::int64_t key = 0; key < whole; key += step) {
#pragma GCC unroll 4
    for (int chain = 0; chain < chains; ++chain) {
      float *place = scores + key + chain * lanes;
      const Vector weight = tile::exp2(tile::load(place) - references);
      sum[chain] += weight;
      tile::store(place, weight);
    }
  }
  for (std::int64_t key = whole; key < count; key += lanes) {
    const Vector weight = tile::exp2(tile::load_part(scores + key, count - key) - references);
    sum[0] += tile::keep_first(weight, count - key, 0.0F);
    tile::store_part(scores + key, weight, count - key);
  }
  return 1.0F / tile::horizontal_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

void compute_head(const TwoProducts &attention, std::int64_t batch, std::int64_t head, float *scores, float *factors) {
  const std::int64_t rows = attention.query.extent_int(1);
  const std::int64_t keys = attention.key.extent_int(1);
  const std::int64_t head_dim = attention.query.extent_int(3);
  const std::int64_t query_stride = attention.query.extent_int(2) * head_dim;
  const std::int64_t key_stride = attention.key.extent_int(2) * head_dim;
  const std::int64_t kv_head = head / (attention.query.extent_int(2) / attention.key.extent_int(2));
  // log2(e) goes into the scale, so that the exponential is the power of two that it is made of.
  blas_multiply(rows, keys, head_dim, attention.scale * tile::log2_e,
                {&attention.query(batch, 0, head, 0), query_stride, false},
                {&attention.key(batch, 0, kv_head, 0), key_stride, true}, 0.0F, {scores, keys});
  for (std::int64_t row = 0; row < rows; ++row) {
    factors[row] = exponentials(scores + row * keys, keys);
  }
  blas_multiply(rows, head_dim, keys, 1.0F, {scores, keys, false},
                {&attention.value(batch, 0, kv_head, 0), key_stride, false}, 0.0F,
                {&attention.output(batch, 0, head, 0), query_stride});
  for (std::int64_t row = 0; row < rows; ++row) {
    float *output = &attention.output(batch, row, head, 0);
    const Vector factor = tile::broadcast(factors[row]);
    for (std::int64_t dim = 0; dim < head_dim; dim += lanes) {
      tile::store_part(output + dim, tile::load_part(output + dim, head_dim - dim) * factor, head_dim - dim);
    }
  }
}

#endif

} // namespace

std::int64_t two_products_workspace_elements(const TwoProducts &attention) {
  return static_cast<std::int64_t>(attention.query.extent(1) * (attention.key.extent(1) + 1));
}

void attention_two_products(const TwoProducts &attention, float *workspace) {
  check(attention);
#if defined(RINGSCALE_HOST_TILES)
  require(workspace != nullptr || attention.query.extent(1) == 0, "workspace is null");
  float *factors = workspace + attention.query.extent(1) * attention.key.extent(1);
  for (int batch = 0; batch < attention.query.extent_int(0); ++batch) {
    for (int head = 0; head < attention.query.extent_int(2); ++head) {
      compute_head(attention, batch, head, workspace, factors);
    }
  }
#else
  static_cast<void>(workspace);
  throw std::logic_error("attention by two products: CBLAS computes in host memory, not in a device's");
#endif
}

KernelWork attention_two_products_work(const TwoProducts &attention) {
  constexpr double float_bytes = sizeof(float);
  const auto scores = static_cast<double>(attention.query.extent(0) * attention.query.extent(2) *
                                          attention.query.extent(1) * attention.key.extent(1));
  KernelWork work;
  work.flop = 4.0 * scores * static_cast<double>(attention.query.extent(3));
  work.read_bytes =
      float_bytes * (static_cast<double>(attention.query.size() + 2 * attention.key.size()) + 3.0 * scores);
  work.written_bytes = float_bytes * (static_cast<double>(attention.output.size()) + 2.0 * scores);
  return work;
}

} // namespace ringscale::kernels
