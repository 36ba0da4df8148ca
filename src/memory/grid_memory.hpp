// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "memory/closed_form.hpp"
#include "schedule/process_grid.hpp"

namespace ringscale::memory {

/// Bytes of one of the two buffers in which heads are exchanged for tokens: the larger side of the output's exchange,
/// which is float32 whatever the dtype.
std::int64_t exchange_buffer_bytes(const schedule::GridShare &share);

/// Bytes of a rank's own rows of a tensor before the exchange, with all heads of its model share; the output of a
/// forward pass is float32.
std::int64_t own_query_bytes(const schedule::GridShare &share);
std::int64_t own_output_bytes(const schedule::GridShare &share);
std::int64_t own_key_bytes(const schedule::GridShare &share);

/// Bytes `rank` of a process grid holds at the high-water mark: those of its ring (closed_form of its share), and where
/// the sequence level has more than one rank, its own rows of inputs and results and the exchange buffers.
MemoryByPurpose grid_memory(const schedule::ProcessGrid &grid, const schedule::RingProblem &problem, std::int64_t rank,
                            const KernelFootprint &footprint, KernelKind kernel);

} // namespace ringscale::memory
