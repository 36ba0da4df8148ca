// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>

#include "problem/invalid_input.hpp"

namespace ringscale::memory {

/// Product of factors >= 0; throws InvalidInput when it leaves 63 bits, so that no byte count ever wraps.
inline std::int64_t checked_product(std::initializer_list<std::int64_t> factors) {
  std::int64_t product = 1;
  for (const std::int64_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product)) {
      throw problem::InvalidInput("a buffer would need more than 2^63 bytes; use fewer tokens, a larger ring_size or "
                                  "the streamed kernel");
    }
  }
  return product;
}

} // namespace ringscale::memory
