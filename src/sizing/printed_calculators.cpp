// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "problem/invalid_input.hpp"
#include "sizing/calculators.hpp"

namespace ringscale::sizing {

namespace {

const char *const zero_division = "ZeroDivisionError: integer division or modulo by zero";

std::string with_unit(double value, int digits, const char *unit) {
  std::array<char, 400> text{};
  std::snprintf(text.data(), text.size(), "%.*f%s", digits, value, unit);
  return text.data();
}

Outcome failed(const char *error) { return {{}, error}; }

} // namespace

Outcome printed_ring_config(std::int64_t target_tokens, std::int64_t available_devices, double memory_per_device_gb) {
  constexpr double gb_per_token = 8e-6;
  constexpr double s_per_chunk = 0.003;
  const std::int64_t tier = memory_per_device_gb >= 8.0 ? 262144 : memory_per_device_gb >= 4.0 ? 131072 : 65536;
  if (available_devices == 0) {
    return failed(zero_division);
  }
  const std::int64_t chunk = std::min(tier, target_tokens / available_devices);
  if (chunk == 0) {
    return failed(zero_division);
  }
  const std::int64_t ring_size = target_tokens / chunk;
  Outcome outcome;
  outcome.values = {{"chunk_size", chunk},
                    {"ring_size", ring_size},
                    {"devices_needed", ring_size},
                    {"memory_per_device", with_unit(static_cast<double>(chunk) * gb_per_token, 2, "GB")},
                    {"processing_time_estimate", with_unit(static_cast<double>(ring_size) * s_per_chunk, 1, "s")}};
  return outcome;
}

Outcome printed_optimal_ring_size(std::int64_t seq_len, std::int64_t num_gpus, double target_memory_per_gpu_gb) {
  constexpr double mb_per_token = 0.004;
  const double tokens_per_gpu = target_memory_per_gpu_gb * 1024.0 / mb_per_token;
  if (tokens_per_gpu == 0.0) {
    return failed("ZeroDivisionError: float floor division by zero");
  }
  const auto tokens = static_cast<double>(seq_len);
  // Floor division of floating-point numbers, by the remainder as Python does it.
  const double least_ring = std::round((tokens - std::fmod(tokens, tokens_per_gpu)) / tokens_per_gpu);
  const double ring_size = std::max(1.0, std::min(least_ring, static_cast<double>(num_gpus)));
  Outcome outcome;
  outcome.values = {{"ring_size", static_cast<std::int64_t>(ring_size)}};
  return outcome;
}

std::int64_t base_block_tokens(const std::string &model_size) {
  for (const auto &[name, tokens] : {std::pair{"small", 512}, std::pair{"medium", 1024}, std::pair{"large", 2048}}) {
    if (model_size == name) {
      return tokens;
    }
  }
  throw problem::InvalidInput("model_size '" + model_size + "' is unknown; one of: small, medium, large");
}

Outcome printed_block_size(std::int64_t ring_size, std::int64_t seq_len, const std::string &model_size) {
  const std::int64_t base = base_block_tokens(model_size);
  if (ring_size == 0) {
    return failed(zero_division);
  }
  const std::int64_t quarter = seq_len / ring_size / 4;
  Outcome outcome;
  outcome.values = {{"block_size", std::max<std::int64_t>(256, std::min(base, quarter))}};
  return outcome;
}

Outcome printed_segment_lengths(std::int64_t seq_len, std::int64_t ring_size, std::int64_t num_segments) {
  if (ring_size == 0) {
    return failed(zero_division);
  }
  const std::int64_t local = seq_len / ring_size;
  std::int64_t length = std::min<std::int64_t>(2048, local / 4);
  std::vector<std::int64_t> lengths;
  for (std::int64_t segment = 0; segment < num_segments; ++segment) {
    lengths.push_back(std::min(length, local));
    length = std::min(2 * length, 2 * local); // beyond local all are cut to it
  }
  Outcome outcome;
  outcome.values = {{"segment_lengths", lengths}};
  return outcome;
}

Outcome printed_ring_gpus(std::int64_t seq_len) {
  Outcome outcome;
  outcome.values = {{"ring_gpus_needed", seq_len / 15'000'000}};
  return outcome;
}

Outcome printed_batch_size(std::int64_t seq_len, std::int64_t max_tokens, std::int64_t max_batch_size) {
  if (seq_len == 0) {
    return failed(zero_division);
  }
  Outcome outcome;
  outcome.values = {{"batch_size", std::min(max_tokens / seq_len, max_batch_size)}};
  return outcome;
}

Outcome printed_accumulation_steps(std::int64_t target_batch_size, std::int64_t actual_batch_size) {
  if (actual_batch_size == 0) {
    return failed(zero_division);
  }
  Outcome outcome;
  outcome.values = {{"accumulation_steps", target_batch_size / actual_batch_size}};
  return outcome;
}

} // namespace ringscale::sizing
