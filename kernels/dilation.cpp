// SPDX-License-Identifier: Apache-2.0
#include "kernels/dilation.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace ringscale::kernels {

std::vector<DilatedGroup> dilated_groups(const Dilation &dilation, std::int64_t query_heads) {
  const auto groups = static_cast<std::int64_t>(dilation.segment_lengths.size());
  if (groups == 0 || dilation.dilation_rates.size() != dilation.segment_lengths.size()) {
    throw std::invalid_argument("dilation: " + std::to_string(groups) + " segment lengths and " +
                                std::to_string(dilation.dilation_rates.size()) +
                                " rates; both must be given, one rate for each length");
  }
  std::vector<DilatedGroup> result;
  const std::int64_t layer_heads = dilation.layer_heads == 0 ? query_heads : dilation.layer_heads;
  if (dilation.first_head < 0 || dilation.first_head + query_heads > layer_heads) {
    throw std::invalid_argument("dilation: heads " + std::to_string(dilation.first_head) + " to " +
                                std::to_string(dilation.first_head + query_heads) + " are not all of the layer's " +
                                std::to_string(layer_heads));
  }
  std::int64_t next_head = 0;
  for (std::int64_t index = 0; index < groups; ++index) {
    DilatedGroup group;
    group.segment_tokens = dilation.segment_lengths[static_cast<std::size_t>(index)];
    group.rate = dilation.dilation_rates[static_cast<std::size_t>(index)];
    if (group.segment_tokens < 1 || group.rate < 1) {
      throw std::invalid_argument("dilation: segment length " + std::to_string(group.segment_tokens) + " and rate " +
                                  std::to_string(group.rate) + " must be positive");
    }
    group.head_end = layer_heads;
    group.head_offset = dilation.first_head;
    switch (dilation.convention) {
    case DilationConvention::split:
      group.head_begin = next_head;
      group.head_end = next_head + layer_heads / groups + (index < layer_heads % groups ? 1 : 0);
      next_head = group.head_end;
      group.first_phase = index % group.rate;
      group.heads_per_phase = layer_heads;
      break;
    case DilationConvention::longnet:
      break;
    case DilationConvention::longnet_blocked:
      group.heads_per_phase = (layer_heads + group.rate - 1) / group.rate;
      break;
    }
    // Of the layer's heads, those that the tensors have, counted from their first.
    group.head_begin = std::max(group.head_begin - dilation.first_head, std::int64_t{0});
    group.head_end = std::min(group.head_end - dilation.first_head, query_heads);
    if (group.head_begin < group.head_end) {
      result.push_back(group);
    }
  }
  return result;
}

SegmentRange shared_segments(const DilatedGroup &group, const TokenWindow &queries, const TokenWindow &keys) {
  if (queries.tokens == 0 || keys.tokens == 0) {
    return {};
  }
  const std::int64_t begin = std::max(queries.origin, keys.origin) / group.segment_tokens;
  const std::int64_t last =
      std::min(queries.origin + queries.tokens - 1, keys.origin + keys.tokens - 1) / group.segment_tokens;
  return {begin, std::max(begin, last + 1)};
}

} // namespace ringscale::kernels
