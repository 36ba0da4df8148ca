// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

struct CUstream_st;

namespace ringscale::ring {

/// A queue of device work that runs in order, and marks in it that can be asked for without waiting.
class DeviceStream {
public:
  virtual ~DeviceStream() = default;

  /// What CUDA's and NCCL's functions take as cudaStream_t.
  virtual CUstream_st *handle() = 0;

  /// A mark after everything queued so far; later marks are larger. Throws MpiFailure.
  virtual std::uint64_t mark() = 0;
  /// True once the work before the mark is done. Throws MpiFailure when the device reports an error.
  virtual bool passed(std::uint64_t mark) = 0;
};

} // namespace ringscale::ring
