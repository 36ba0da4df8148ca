// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "memory/closed_form.hpp"
#include "schedule/ring_schedule.hpp"

namespace ringscale::simulator {

/// Bytes of `rank` by purpose on a machine that stores tensors in elements of `element_bytes`: the accountant's closed
/// form, but for results and gradients, which are added up in single precision whatever tensors are stored in. Throws
/// InvalidInput where no element type has that size.
memory::MemoryByPurpose memory_of(const schedule::RingProblem &problem, std::int64_t rank,
                                  const memory::KernelFootprint &footprint, memory::KernelKind kernel,
                                  std::int64_t element_bytes);

} // namespace ringscale::simulator
