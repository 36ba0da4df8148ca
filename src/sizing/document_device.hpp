// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "machine/machine.hpp"
#include "sizing/workload.hpp"

namespace ringscale::sizing {

/// What corrected calculators assume, since the documents' functions name neither layer nor device: 8 heads of width
/// 64 in float16, forward, plain forward ring with streamed softmax, no padding, GB = 1e9 bytes.
Workload document_layer();
machine::Machine document_device(double memory_gb);

/// Fewest ranks whose closed form of memory is within `memory_gb`; 0 when no number of them is.
std::int64_t document_ring_size(std::int64_t tokens, double memory_gb);

/// Closed form of one device: 7200 chunk + 128 bytes with two and more ranks.
double document_bytes(std::int64_t tokens, std::int64_t ring_size);

/// Of it, what a token adds: 7200.
double document_bytes_per_token();

/// Exact attention at the documents' own rate of one device: 90,867 tokens/s at 8192 tokens (published) are
/// 1.52e12 FLOP/s; 4 tokens^2 x 512 / (ring_size x rate), nothing for communication.
double document_flop_per_s();
double document_time_s(std::int64_t tokens, std::int64_t ring_size);

} // namespace ringscale::sizing
