// SPDX-License-Identifier: Apache-2.0
#include "ring/gathered_part.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "problem/invalid_input.hpp"

namespace ringscale::ring {

void require_gatherable(std::span<const GatheredPart> parts, int ranks) {
  if (std::cmp_not_equal(parts.size(), ranks)) {
    throw problem::InvalidInput("an all-gather over " + std::to_string(ranks) + " ranks was given " +
                                std::to_string(parts.size()) + " parts; it needs one for each rank");
  }
  std::vector<GatheredPart> ordered;
  std::copy_if(parts.begin(), parts.end(), std::back_inserter(ordered), [](const GatheredPart &part) {
    return part.bytes != 0; // empty parts overlap nothing
  });
  std::sort(ordered.begin(), ordered.end(), [](const GatheredPart &left, const GatheredPart &right) {
    return std::pair(left.offset_bytes, left.bytes) < std::pair(right.offset_bytes, right.bytes);
  });
  std::int64_t end_bytes = 0;
  for (const GatheredPart &part : ordered) {
    if (part.bytes < 0 || part.offset_bytes < end_bytes) {
      throw problem::InvalidInput("the parts of an all-gather overlap or are negative: " + std::to_string(part.bytes) +
                                  " bytes at " + std::to_string(part.offset_bytes));
    }
    constexpr std::int64_t most_bytes = std::numeric_limits<int>::max();
    if (part.offset_bytes > most_bytes || part.bytes > most_bytes - part.offset_bytes) {
      throw problem::InvalidInput("an all-gather into " + std::to_string(part.offset_bytes) + " + " +
                                  std::to_string(part.bytes) +
                                  " bytes is over MPI's limit of 2^31 - 1; use more ranks, fewer tokens or a ring");
    }
    end_bytes = part.offset_bytes + part.bytes;
  }
}

} // namespace ringscale::ring
