// SPDX-License-Identifier: Apache-2.0
#include "problem/attention_problem.hpp"

#include <array>
#include <cmath>
#include <utility>

#include "problem/invalid_input.hpp"
#include "problem/words.hpp"

namespace ringscale::problem {

namespace {

constexpr std::int64_t most_tokens = std::int64_t{1} << 50;
constexpr std::int64_t most_heads = std::int64_t{1} << 16;
constexpr std::int64_t most_head_dim = 1024;
constexpr std::int64_t most_bytes = std::int64_t{1} << 62;

constexpr std::array<std::pair<std::string_view, DType>, 6> dtype_words{{{"float32", DType::float32},
                                                                         {"tfloat32", DType::tfloat32},
                                                                         {"bfloat16", DType::bfloat16},
                                                                         {"float16", DType::float16},
                                                                         {"float8_e4m3", DType::float8_e4m3},
                                                                         {"float8_e5m2", DType::float8_e5m2}}};
constexpr std::array<std::pair<std::string_view, Mask>, 2> mask_words{{{"none", Mask::none}, {"causal", Mask::causal}}};

void require_between(std::string_view field, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high) {
    throw InvalidInput(std::string(field) + " is " + std::to_string(value) + "; it must be between " +
                       std::to_string(low) + " and " + std::to_string(high));
  }
}

} // namespace

void validate(const AttentionProblem &problem) {
  require_between("tokens", problem.tokens, 1, most_tokens);
  require_between("batch", problem.batch, 1, most_heads);
  require_between("query_heads", problem.query_heads, 1, most_heads);
  require_between("kv_heads", problem.kv_heads, 1, most_heads);
  require_between("head_dim", problem.head_dim, 1, most_head_dim);
  if (problem.query_heads % problem.kv_heads != 0) {
    throw InvalidInput("query_heads (" + std::to_string(problem.query_heads) + ") must be a multiple of kv_heads (" +
                       std::to_string(problem.kv_heads) + ")");
  }
  const double bytes = static_cast<double>(problem.batch) * static_cast<double>(problem.tokens) *
                       static_cast<double>(problem.query_heads) * static_cast<double>(problem.head_dim) *
                       static_cast<double>(storage_bytes(problem.dtype));
  if (!(bytes <= static_cast<double>(most_bytes))) {
    throw InvalidInput("batch x tokens x query_heads x head_dim needs more than 2^62 bytes; make one of them smaller");
  }
}

std::int64_t storage_bytes(DType dtype) {
  switch (dtype) {
  case DType::float32:
  case DType::tfloat32: // a float32 of which the arithmetic reads 19 bits
    return 4;
  case DType::bfloat16:
  case DType::float16:
    return 2;
  case DType::float8_e4m3:
  case DType::float8_e5m2:
    return 1;
  }
  throw InvalidInput("unknown dtype");
}

double softmax_scale(std::int64_t head_dim) { return 1.0 / std::sqrt(static_cast<double>(head_dim)); }

std::int64_t admitted_pairs(std::int64_t tokens, Mask mask) {
  // Above 2^31 tokens the square leaves 63 bits; callers that only need FLOPs use forward_flop.
  if (tokens > (std::int64_t{1} << 31)) {
    throw InvalidInput("exact pair counts stop at 2^31 tokens; use the floating-point work count");
  }
  return mask == Mask::causal ? tokens * (tokens + 1) / 2 : tokens * tokens;
}

double forward_flop(const AttentionProblem &problem, double pairs) {
  return 4.0 * pairs * static_cast<double>(problem.query_heads) * static_cast<double>(problem.head_dim) *
         static_cast<double>(problem.batch);
}

double forward_flop(const AttentionProblem &problem) {
  const auto tokens = static_cast<double>(problem.tokens);
  const double pairs = problem.mask == Mask::causal ? tokens * (tokens + 1.0) / 2.0 : tokens * tokens;
  return forward_flop(problem, pairs);
}

std::string_view name(DType dtype) { return word_of(dtype_words, dtype); }
std::string_view name(Mask mask) { return word_of(mask_words, mask); }
DType parse_dtype(std::string_view word) { return parse_word("dtype", dtype_words, word); }
Mask parse_mask(std::string_view word) { return parse_word("mask", mask_words, word); }

} // namespace ringscale::problem
