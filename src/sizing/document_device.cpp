// SPDX-License-Identifier: Apache-2.0
#include "sizing/document_device.hpp"

#include <algorithm>

#include "problem/invalid_input.hpp"
#include "sizing/fewest_devices.hpp"

namespace ringscale::sizing {

machine::Machine document_device(double memory_gb) {
  machine::Machine device;
  device.name = "document";
  device.device.memory_bytes = {memory_gb * 1e9, "published", "argument of the calculator"};
  return device;
}

Workload document_layer() {
  Workload workload;
  workload.attention.query_heads = 8;
  workload.attention.kv_heads = 8;
  workload.attention.head_dim = 64;
  workload.attention.dtype = problem::DType::float16;
  return workload;
}

std::int64_t document_ring_size(std::int64_t tokens, double memory_gb) {
  const machine::Machine device = document_device(memory_gb);
  const auto budget = static_cast<std::int64_t>(std::min(memory_gb * 1e9, static_cast<double>(most_device_bytes)));
  return smallest_ring(device, document_layer(), Configuration(), tokens, budget, tokens);
}

double document_bytes(std::int64_t tokens, std::int64_t ring_size) {
  Configuration configuration;
  configuration.ring_size = ring_size;
  const std::optional<MemoryNeed> need = memory_need(document_device(1.0), document_layer(), configuration, tokens);
  if (!need) {
    throw problem::InvalidInput("a device would need more than 2^56 bytes; use fewer tokens or more devices");
  }
  return static_cast<double>(need->total_bytes);
}

double document_bytes_per_token() { return document_bytes(4, 2) - document_bytes(2, 2); }

double document_time_s(std::int64_t tokens, std::int64_t ring_size) {
  problem::AttentionProblem layer = document_layer().attention;
  layer.tokens = tokens;
  return problem::forward_flop(layer) / (static_cast<double>(ring_size) * document_flop_per_s());
}

double document_flop_per_s() {
  problem::AttentionProblem layer = document_layer().attention;
  layer.tokens = 8192;
  return problem::forward_flop(layer) / (8192.0 / 90867.0);
}

} // namespace ringscale::sizing
