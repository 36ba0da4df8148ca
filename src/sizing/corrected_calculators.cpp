// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sizing/calculators.hpp"
#include "sizing/document_device.hpp"

namespace ringscale::sizing {

namespace {

Outcome refused(const std::string &reason) { return {{}, reason}; }

std::int64_t divided_up(std::int64_t whole, std::int64_t parts) { return (whole + parts - 1) / parts; }

/// Largest divisor of `local` in (target / 2, target]; 0 when there is none.
std::int64_t divisor_near(std::int64_t local, std::int64_t target) {
  for (std::int64_t divisor = target; 2 * divisor > target; --divisor) {
    if (local % divisor == 0) {
      return divisor;
    }
  }
  return 0;
}

/// Lengths of which each divides `local` and lies within a factor of two below its target; empty when there are none.
std::vector<std::int64_t> dividing_lengths(std::int64_t local, const std::vector<std::int64_t> &targets) {
  std::vector<std::int64_t> lengths;
  for (const std::int64_t target : targets) {
    const std::int64_t length = divisor_near(local, target);
    if (length == 0) {
      return {};
    }
    if (lengths.empty() || length > lengths.back()) {
      lengths.push_back(length);
    }
  }
  return lengths;
}

} // namespace

Outcome corrected_ring_config(std::int64_t target_tokens, std::int64_t available_devices, double memory_per_device_gb) {
  if (target_tokens < 1 || available_devices < 1) {
    return refused("target_tokens and available_devices must be at least 1");
  }
  const std::int64_t needed = document_ring_size(target_tokens, memory_per_device_gb);
  const std::int64_t ring_size = std::min(available_devices, target_tokens);
  Outcome outcome;
  outcome.values = {{"chunk_size", divided_up(target_tokens, ring_size)},
                    {"ring_size", ring_size},
                    {"devices_needed", needed},
                    {"fits", needed > 0 && needed <= available_devices},
                    {"memory_per_device_gb", document_bytes(target_tokens, ring_size) / 1e9},
                    {"time_s", document_time_s(target_tokens, ring_size)}};
  return outcome;
}

Outcome corrected_optimal_ring_size(std::int64_t seq_len, std::int64_t num_gpus, double target_memory_per_gpu_gb) {
  if (seq_len < 1 || num_gpus < 1) {
    return refused("seq_len and num_gpus must be at least 1");
  }
  const std::int64_t needed = document_ring_size(seq_len, target_memory_per_gpu_gb);
  const bool fits = needed > 0 && needed <= num_gpus;
  Outcome outcome;
  outcome.values = {{"ring_size", fits ? needed : std::min(num_gpus, seq_len)},
                    {"needed_ring_size", needed},
                    {"fits", fits},
                    {"memory_per_gpu_gb", document_bytes(seq_len, fits ? needed : std::min(num_gpus, seq_len)) / 1e9}};
  return outcome;
}

Outcome corrected_block_size(std::int64_t ring_size, std::int64_t seq_len, const std::string &model_size) {
  const std::int64_t base = base_block_tokens(model_size);
  if (ring_size < 1 || seq_len < ring_size) {
    return refused("ring_size must be between 1 and seq_len: every device needs a token");
  }
  const std::int64_t local = divided_up(seq_len, ring_size);
  Outcome outcome;
  outcome.values = {{"block_size", std::min({base, local, std::max<std::int64_t>(256, local / 4)})}};
  return outcome;
}

Outcome corrected_segment_lengths(std::int64_t seq_len, std::int64_t ring_size, std::int64_t num_segments) {
  if (ring_size < 1 || seq_len < ring_size || num_segments < 1) {
    return refused("ring_size must be between 1 and seq_len, num_segments at least 1");
  }
  const std::int64_t shortest = divided_up(seq_len, ring_size);
  std::vector<std::int64_t> targets;
  const std::int64_t base = std::min<std::int64_t>(2048, std::max<std::int64_t>(1, shortest / 4));
  for (std::int64_t segment = 0; segment < num_segments; ++segment) {
    targets.push_back(std::min(base << segment, shortest));
    if (targets.back() == shortest) {
      break; // longer ones would be the same again
    }
  }
  std::int64_t local = shortest;
  std::vector<std::int64_t> lengths = dividing_lengths(local, targets);
  while (lengths.empty()) {
    lengths = dividing_lengths(++local, targets);
  }
  Outcome outcome;
  outcome.values = {
      {"segment_lengths", lengths}, {"local_tokens", local}, {"padding_tokens", local * ring_size - seq_len}};
  return outcome;
}

Outcome corrected_ring_gpus(std::int64_t seq_len) {
  if (seq_len < 1) {
    return refused("seq_len must be at least 1");
  }
  Outcome outcome;
  outcome.values = {{"ring_gpus_needed", document_ring_size(seq_len, 80.0)}};
  return outcome;
}

Outcome corrected_batch_size(std::int64_t seq_len, std::int64_t max_tokens, std::int64_t max_batch_size) {
  if (seq_len < 1 || max_batch_size < 1) {
    return refused("seq_len and max_batch_size must be at least 1");
  }
  const std::int64_t batch = std::max<std::int64_t>(1, std::min(max_tokens / seq_len, max_batch_size));
  Outcome outcome;
  outcome.values = {{"batch_size", batch}, {"exceeds_max_tokens", seq_len > max_tokens}};
  return outcome;
}

Outcome corrected_accumulation_steps(std::int64_t target_batch_size, std::int64_t actual_batch_size) {
  if (target_batch_size < 1 || actual_batch_size < 1) {
    return refused("target_batch_size and actual_batch_size must be at least 1");
  }
  Outcome outcome;
  outcome.values = {{"accumulation_steps", divided_up(target_batch_size, actual_batch_size)}};
  return outcome;
}

} // namespace ringscale::sizing
