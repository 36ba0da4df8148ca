// SPDX-License-Identifier: Apache-2.0
#include "problem/pattern.hpp"

#include <array>
#include <string>
#include <utility>

#include "problem/invalid_input.hpp"
#include "problem/words.hpp"

namespace ringscale::problem {

namespace {

constexpr std::int64_t most_tokens = std::int64_t{1} << 50;
constexpr std::int64_t most_rate = std::int64_t{1} << 31;
constexpr std::size_t most_groups = 64;

constexpr std::array<std::pair<std::string_view, PatternKind>, 3> kind_words{
    {{"dense", PatternKind::dense}, {"dilated", PatternKind::dilated}, {"block_sparse", PatternKind::block_sparse}}};
constexpr std::array<std::pair<std::string_view, DilationConvention>, 3> convention_words{
    {{"split", DilationConvention::split},
     {"longnet", DilationConvention::longnet},
     {"longnet_blocked", DilationConvention::longnet_blocked}}};
constexpr std::array<std::pair<std::string_view, BlockSparseKind>, 4> block_words{
    {{"local_window", BlockSparseKind::local_window},
     {"dilated", BlockSparseKind::dilated},
     {"hierarchical", BlockSparseKind::hierarchical},
     {"adaptive", BlockSparseKind::adaptive}}};

void require_between(const std::string &field, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high) {
    throw InvalidInput(field + " is " + std::to_string(value) + "; it must be between " + std::to_string(low) +
                       " and " + std::to_string(high));
  }
}

void require_multiple(const std::string &field, std::int64_t value, const std::string &of, std::int64_t unit) {
  if (value % unit != 0) {
    throw InvalidInput(field + " is " + std::to_string(value) + "; it must be a multiple of " + of +
                       std::to_string(unit) + ", such as " + std::to_string((value / unit + 1) * unit));
  }
}

void validate(const DilatedPattern &pattern) {
  const std::size_t groups = pattern.segment_lengths.size();
  if (groups == 0) {
    throw InvalidInput("segment_lengths is empty; give at least one, such as 2048,4096,8192");
  }
  if (groups > most_groups) {
    throw InvalidInput("segment_lengths has " + std::to_string(groups) + " entries; at most " +
                       std::to_string(most_groups) + " are allowed");
  }
  if (pattern.dilation_rates.size() != groups) {
    throw InvalidInput("dilation_rates has " + std::to_string(pattern.dilation_rates.size()) +
                       " entries and segment_lengths " + std::to_string(groups) +
                       "; give one rate for each segment length");
  }
  for (std::size_t group = 0; group < groups; ++group) {
    const std::string index = std::string("[").append(std::to_string(group)).append("]");
    require_between("segment_lengths" + index, pattern.segment_lengths[group], 1, most_tokens);
    require_between("dilation_rates" + index, pattern.dilation_rates[group], 1, most_rate);
  }
}

void validate(const BlockSparsePattern &pattern) {
  require_between("block_tokens", pattern.block_tokens, block_token_granularity, std::int64_t{1} << 20);
  require_multiple("block_tokens", pattern.block_tokens, "", block_token_granularity);
  if (pattern.kind == BlockSparseKind::adaptive) {
    require_between("kept_blocks", pattern.kept_blocks, 1, most_tokens);
    return;
  }
  require_between("window_tokens", pattern.window_tokens, 0, most_tokens);
  require_multiple("window_tokens", pattern.window_tokens, "block_tokens, ", pattern.block_tokens);
  if (pattern.kind != BlockSparseKind::local_window) {
    require_between("stride_blocks", pattern.stride_blocks, 1, most_rate);
  }
}

std::int64_t dilated_multiplicity(const DilatedPattern &pattern, std::int64_t query_heads, std::int64_t head,
                                  std::int64_t query, std::int64_t key) {
  std::int64_t admitting = 0;
  const auto groups = static_cast<std::int64_t>(pattern.segment_lengths.size());
  for (std::int64_t group = 0; group < groups; ++group) {
    const std::int64_t length = pattern.segment_lengths[static_cast<std::size_t>(group)];
    const std::int64_t rate = pattern.dilation_rates[static_cast<std::size_t>(group)];
    std::int64_t phase = 0;
    switch (pattern.convention) {
    case DilationConvention::split: {
      const HeadRun run = split_head_run(query_heads, groups, group);
      if (head < run.begin || head >= run.end) {
        continue;
      }
      phase = group % rate;
      break;
    }
    case DilationConvention::longnet:
      phase = head % rate;
      break;
    case DilationConvention::longnet_blocked:
      phase = head / ((query_heads + rate - 1) / rate);
      break;
    }
    if (query / length == key / length && query % length % rate == phase && key % length % rate == phase) {
      ++admitting;
    }
  }
  return admitting;
}

std::int64_t block_sparse_multiplicity(const BlockSparsePattern &pattern, std::int64_t query, std::int64_t key) {
  const std::int64_t distance = query / pattern.block_tokens - key / pattern.block_tokens;
  const bool near = (distance < 0 ? -distance : distance) * pattern.block_tokens <= pattern.window_tokens;
  switch (pattern.kind) {
  case BlockSparseKind::local_window:
    return near ? 1 : 0;
  case BlockSparseKind::dilated:
    return near && distance % pattern.stride_blocks == 0 ? 1 : 0;
  case BlockSparseKind::hierarchical:
    return near || key / pattern.block_tokens % pattern.stride_blocks == 0 ? 1 : 0;
  case BlockSparseKind::adaptive:
    break;
  }
  throw InvalidInput("adaptive blocks are chosen by the data; their pairs are counted from the mask itself");
}

} // namespace

void validate(const Pattern &pattern) {
  if (pattern.kind == PatternKind::dilated) {
    validate(pattern.dilated);
  } else if (pattern.kind == PatternKind::block_sparse) {
    validate(pattern.block_sparse);
  }
}

HeadRun split_head_run(std::int64_t query_heads, std::int64_t groups, std::int64_t group) {
  const std::int64_t shorter = query_heads / groups;
  const std::int64_t longer_runs = query_heads % groups;
  const std::int64_t begin = group * shorter + (group < longer_runs ? group : longer_runs);
  return {begin, begin + shorter + (group < longer_runs ? 1 : 0)};
}

std::int64_t multiplicity(const Pattern &pattern, Mask mask, std::int64_t query_heads, std::int64_t head,
                          std::int64_t query, std::int64_t key) {
  if (mask == Mask::causal && key > query) {
    return 0;
  }
  switch (pattern.kind) {
  case PatternKind::dense:
    return 1;
  case PatternKind::dilated:
    return dilated_multiplicity(pattern.dilated, query_heads, head, query, key);
  case PatternKind::block_sparse:
    return block_sparse_multiplicity(pattern.block_sparse, query, key);
  }
  throw InvalidInput("unknown pattern");
}

std::string_view name(PatternKind kind) { return word_of(kind_words, kind); }
std::string_view name(DilationConvention convention) { return word_of(convention_words, convention); }
std::string_view name(BlockSparseKind kind) { return word_of(block_words, kind); }
PatternKind parse_pattern_kind(std::string_view word) { return parse_word("pattern", kind_words, word); }
DilationConvention parse_dilation_convention(std::string_view word) {
  return parse_word("dilation_convention", convention_words, word);
}
BlockSparseKind parse_block_sparse_kind(std::string_view word) {
  return parse_word("block_sparse_kind", block_words, word);
}

} // namespace ringscale::problem
