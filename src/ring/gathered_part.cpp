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

void require_parts(std::span<const GatheredPart> parts, int ranks) {
  if (std::cmp_not_equal(parts.size(), ranks)) {
    throw problem::InvalidInput("an all-gather over " + std::to_string(ranks) + " ranks was given " +
                                std::to_string(parts.size()) + " parts; it needs one for each rank");
  }
  std::vector<GatheredPart> ordered;
  std::copy_if(parts.begin(), parts.end(), std::back_inserter(ordered), [](const GatheredPart &part) {
    return part.bytes != 0; // empty parts overlap nothing
  });
  std::sort(ordered.begin(), ordered.end(),
            [](const GatheredPart &left, const GatheredPart &right) { return left.offset_bytes < right.offset_bytes; });
  std::int64_t end_bytes = 0;
  for (const GatheredPart &part : ordered) {
    const bool fits = part.bytes <= std::numeric_limits<std::int64_t>::max() - std::max(part.offset_bytes, end_bytes);
    if (part.bytes < 0 || part.offset_bytes < end_bytes || !fits) {
      throw problem::InvalidInput("the parts of an all-gather overlap or are negative: " + std::to_string(part.bytes) +
                                  " bytes at " + std::to_string(part.offset_bytes));
    }
    end_bytes = part.offset_bytes + part.bytes;
  }
}

void require_gatherable(std::span<const GatheredPart> parts, int ranks) {
  require_parts(parts, ranks);
  for (const GatheredPart &part : parts) {
    if (part.bytes > 0 && part.offset_bytes + part.bytes > std::numeric_limits<int>::max()) {
      throw problem::InvalidInput("an all-gather into " + std::to_string(part.offset_bytes) + " + " +
                                  std::to_string(part.bytes) +
                                  " bytes is over MPI's limit of 2^31 - 1; use more ranks, fewer tokens or a ring");
    }
  }
}

} // namespace ringscale::ring
