// SPDX-License-Identifier: Apache-2.0
#include "ring/cuda_stream.hpp"

// Static checks read every source, on machines without CUDA too; there is nothing here for them.
#if __has_include(<cuda_runtime.h>)

#include <cuda_runtime.h>

#include <deque>
#include <string>
#include <vector>

#include "ring/mpi_check.hpp"

namespace ringscale::ring {

namespace {

void check_cuda(cudaError_t code, const char *call) {
  if (code != cudaSuccess) {
    throw MpiFailure(std::string(call) + " failed: " + cudaGetErrorString(code));
  }
}

class CudaStream : public DeviceStream {
public:
  CudaStream() { check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }
  ~CudaStream() override {
    for (const Marked &marked : marks_) {
      cudaEventDestroy(marked.event);
    }
    for (const cudaEvent_t event : idle_) {
      cudaEventDestroy(event);
    }
    cudaStreamDestroy(stream_);
  }
  CudaStream(const CudaStream &) = delete;
  CudaStream &operator=(const CudaStream &) = delete;

  CUstream_st *handle() override { return stream_; }

  std::uint64_t mark() override {
    cudaEvent_t event = nullptr;
    if (idle_.empty()) {
      check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    } else {
      event = idle_.back();
      idle_.pop_back();
    }
    marks_.push_back({++last_mark_, event});
    check_cuda(cudaEventRecord(event, stream_), "cudaEventRecord");
    return last_mark_;
  }

  bool passed(std::uint64_t mark) override {
    // In order: a mark that was passed takes all before it along.
    while (!marks_.empty() && marks_.front().number <= mark) {
      const cudaError_t state = cudaEventQuery(marks_.front().event);
      if (state == cudaErrorNotReady) {
        return false;
      }
      check_cuda(state, "cudaEventQuery");
      idle_.push_back(marks_.front().event);
      marks_.pop_front();
    }
    return true;
  }

private:
  struct Marked {
    std::uint64_t number = 0;
    cudaEvent_t event = nullptr;
  };
  cudaStream_t stream_ = nullptr;
  std::uint64_t last_mark_ = 0;
  std::deque<Marked> marks_;
  std::vector<cudaEvent_t> idle_;
};

} // namespace

std::unique_ptr<DeviceStream> make_cuda_stream() { return std::make_unique<CudaStream>(); }

} // namespace ringscale::ring

#endif
