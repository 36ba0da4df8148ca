// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "memory/closed_form.hpp"

namespace ringscale::memory {

/// Named designs whose memory per device the accountant knows in closed form.
/// ring_*: this program's executor (closed_form): queries sharded or replicated, softmax streamed or scores kept.
/// ideal_sharded: query, keys, values and output divided by ring_size, nothing else: the lower end of any ring.
/// divided_key_value_materialised: whole queries, keys and values divided, scores of n x n/P; no output counted.
/// serial_chunk_loop: ONE device that holds whole queries, keys and values and loops over P chunks of keys, keeping
/// one n x n/P score block at a time; no output counted. 48 + 2048/P MiB at 8192 tokens, 8 heads x 64, float32.
/// block_diagonal_chunk_loop: one device whose chunks only meet themselves: whole tensors, scores of n/P x n/P.
/// single_device_materialised: whole tensors and all scores, whatever P.
enum class MemoryModel {
  ring_sharded,
  ring_sharded_materialised,
  ring_replicated_queries,
  ring_replicated_queries_materialised,
  ideal_sharded,
  divided_key_value_materialised,
  serial_chunk_loop,
  block_diagonal_chunk_loop,
  single_device_materialised
};

inline constexpr std::array all_memory_models{MemoryModel::ring_sharded,
                                              MemoryModel::ring_sharded_materialised,
                                              MemoryModel::ring_replicated_queries,
                                              MemoryModel::ring_replicated_queries_materialised,
                                              MemoryModel::ideal_sharded,
                                              MemoryModel::divided_key_value_materialised,
                                              MemoryModel::serial_chunk_loop,
                                              MemoryModel::block_diagonal_chunk_loop,
                                              MemoryModel::single_device_materialised};

std::string_view name(MemoryModel model);
/// Throws InvalidInput listing the words allowed.
MemoryModel parse_memory_model(std::string_view word);

/// Bytes of the device with the most, by purpose. The placement and schedule of `problem` matter only for the
/// ring_* models: a sharded one keeps the placement (contiguous when it says replicated_queries), a replicated one
/// takes replicated_queries. The footprint matters only for the ring_* models.
MemoryByPurpose model_memory(MemoryModel model, const schedule::RingProblem &problem, const KernelFootprint &footprint);

} // namespace ringscale::memory
