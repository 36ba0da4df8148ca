// SPDX-License-Identifier: Apache-2.0
#include "sweep/schedule_settings.hpp"

#include <charconv>

#include "problem/invalid_input.hpp"

namespace ringscale::sweep {

namespace {

using problem::InvalidInput;
using report::ObjectReader;

constexpr std::int64_t most_tokens = std::int64_t{1} << 50;

/// A word of the file; the message of a bad one gets file and path in front.
template <class Parse> auto word(const ObjectReader &reader, const char *key, const char *fallback, Parse parse) {
  const std::string text = reader.text_or(key, fallback);
  try {
    return parse(text);
  } catch (const InvalidInput &error) {
    throw InvalidInput(reader.where(key) + ": " + error.what());
  }
}

/// Whole numbers with commas between them.
std::vector<std::int64_t> numbers(const ObjectReader &reader, const char *key) {
  const std::string text = reader.text_or(key, "");
  std::vector<std::int64_t> values;
  for (const char *at = text.data(), *end = text.data() + text.size(); at < end;) {
    std::int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || (next != end && *next != ',') || next + 1 == end) {
      throw InvalidInput(reader.where(key) + " is '" + text + "'; it must be whole numbers with commas between them");
    }
    values.push_back(value);
    at = next == end ? end : next + 1;
  }
  return values;
}

} // namespace

const std::vector<std::string> &schedule_axes() {
  static const std::vector<std::string> axes{
      "pass",         "moving",          "hops_travelled", "message_layout",      "inner_ring_size",
      "pattern",      "segment_lengths", "dilation_rates", "dilation_convention", "block_sparse",
      "block_tokens", "window_tokens",   "stride_blocks",  "kept_blocks"};
  return axes;
}

const std::vector<std::string> &message_axes() {
  static const std::vector<std::string> axes{"exchange", "staged_on_host"};
  return axes;
}

void read_schedule_settings(const ObjectReader &reader, schedule::RingProblem &problem) {
  problem.pass = word(reader, "pass", "forward", schedule::parse_pass);
  problem.moving = word(reader, "moving", "key_value", schedule::parse_moving);
  problem.hops = word(reader, "hops_travelled", "all", schedule::parse_hops);
  problem.layout = word(reader, "message_layout", "stored_packed", schedule::parse_message_layout);
  problem.inner_ring_size = reader.integer_or("inner_ring_size", 1, 1, most_tokens);
  problem::Pattern &pattern = problem.pattern;
  pattern.kind = word(reader, "pattern", "dense", problem::parse_pattern_kind);
  const auto refuse_unless = [&](bool used, const char *key, const char *needs) {
    if (reader.has(key) && !used) {
      throw InvalidInput(reader.where(key) + " has no effect without pattern " + needs);
    }
  };
  const bool dilated = pattern.kind == problem::PatternKind::dilated;
  for (const char *key : {"segment_lengths", "dilation_rates", "dilation_convention"}) {
    refuse_unless(dilated, key, "dilated");
  }
  const bool sparse = pattern.kind == problem::PatternKind::block_sparse;
  for (const char *key : {"block_sparse", "block_tokens", "window_tokens", "stride_blocks", "kept_blocks"}) {
    refuse_unless(sparse, key, "block_sparse");
  }
  pattern.dilated.segment_lengths = numbers(reader, "segment_lengths");
  pattern.dilated.dilation_rates = numbers(reader, "dilation_rates");
  pattern.dilated.convention = word(reader, "dilation_convention", "split", problem::parse_dilation_convention);
  problem::BlockSparsePattern &blocks = pattern.block_sparse;
  blocks.kind = word(reader, "block_sparse", "local_window", problem::parse_block_sparse_kind);
  blocks.block_tokens = reader.integer_or("block_tokens", blocks.block_tokens, 1, most_tokens);
  blocks.window_tokens = reader.integer_or("window_tokens", blocks.window_tokens, 0, most_tokens);
  blocks.stride_blocks = reader.integer_or("stride_blocks", blocks.stride_blocks, 1, most_tokens);
  blocks.kept_blocks = reader.integer_or("kept_blocks", blocks.kept_blocks, 1, most_tokens);
}

void read_message_settings(const ObjectReader &reader, ring::RingOptions &options) {
  options.exchange = word(reader, "exchange", "nonblocking", ring::parse_exchange);
  options.stage_on_host = reader.boolean_or("staged_on_host", false);
}

} // namespace ringscale::sweep
