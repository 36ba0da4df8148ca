// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "ring/device_stream.hpp"

namespace ringscale::ring {

/// A stream of its own on the current CUDA device, with an event for each mark that was not passed yet. Only in builds
/// with CUDA. Throws MpiFailure where CUDA reports an error.
std::unique_ptr<DeviceStream> make_cuda_stream();

} // namespace ringscale::ring
