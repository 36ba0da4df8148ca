// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>

#include "memory/ledger.hpp"

namespace ringscale::memory {

/// Where a pool's memory comes from; allocate throws std::bad_alloc when there is none.
struct BufferSource {
  std::function<std::byte *(std::int64_t bytes)> allocate;
  std::function<void(std::byte *data)> release;
};

/// Memory of a Kokkos space; Kokkos must be running for as long as the pool has buffers.
template <class MemorySpace> BufferSource kokkos_source() {
  return {[](std::int64_t bytes) {
            try {
              return static_cast<std::byte *>(
                  Kokkos::kokkos_malloc<MemorySpace>("ringscale::buffer_pool", static_cast<std::size_t>(bytes)));
            } catch (const std::runtime_error &) { // what Kokkos 4 throws when there is no memory
              throw std::bad_alloc();
            }
          },
          [](std::byte *data) { Kokkos::kokkos_free<MemorySpace>(data); }};
}

/// What bounds a pool. Idle buffers are evicted beyond any bound, the one that was used longest ago first.
struct PoolLimits {
  std::int64_t most_idle_buffers = 64;
  std::int64_t most_bytes = 0; ///< lent and idle together; 0: the ledger's budget alone
  /// An idle buffer answers a request when it is as large or larger, but at most so many times: a huge buffer is not
  /// tied up by a small request.
  std::int64_t most_oversize = 2;
};

struct PoolCounters {
  std::int64_t hits = 0;          ///< requests answered by an idle buffer
  std::int64_t misses = 0;        ///< requests that needed new memory, whether or not there was any
  std::int64_t evictions = 0;     ///< idle buffers given back to the system
  std::int64_t resizes = 0;       ///< first stage of resize: the buffer's own memory was enough
  std::int64_t reallocations = 0; ///< second stage: other memory, idle or new
  std::int64_t advices = 0;       ///< third stage: refused with advice, here or in acquire
  std::int64_t bytes_held = 0;    ///< lent and idle
  std::int64_t most_bytes_held = 0;
};

class PooledBuffer;

/// Keeps freed buffers for the next request of about their size. All bytes, lent or idle, stand in the ledger under
/// one purpose until they go back to the system. Any number of threads may use one; the ledger must outlive the pool
/// and all its buffers.
class BufferPool {
public:
  BufferPool(Ledger &ledger, BufferSource source, const PoolLimits &limits = {}, Purpose purpose = Purpose::workspace);

  /// A buffer of at least `bytes` >= 0 uninitialised bytes: of the idle ones that match (PoolLimits::most_oversize) the
  /// smallest, else new memory. Idle buffers are evicted until limits, budget and system allow it; then throws
  /// OutOfBudget with advice.
  PooledBuffer acquire(std::int64_t bytes);

  /// Gives all idle buffers back to the system; returns their bytes. What a memory-recovery chain calls dropping a
  /// cache.
  std::int64_t drop_idle();

  PoolCounters counters() const;
  std::int64_t idle_buffers() const;

  class State;

private:
  std::shared_ptr<State> state_;
};

/// One buffer of a pool, which takes it back when this goes; may outlive the pool object.
class PooledBuffer {
public:
  PooledBuffer() = default;
  PooledBuffer(PooledBuffer &&other) noexcept;
  PooledBuffer &operator=(PooledBuffer &&other) noexcept;
  PooledBuffer(const PooledBuffer &) = delete;
  PooledBuffer &operator=(const PooledBuffer &) = delete;
  ~PooledBuffer();

  std::byte *data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }
  std::int64_t capacity_bytes() const { return capacity_bytes_; }

  /// In three stages: within its own memory, which keeps its contents; else the memory goes back to the pool and other
  /// memory is taken, without the contents; else throws OutOfBudget with advice and is left empty.
  void resize(std::int64_t bytes);

private:
  friend class BufferPool;
  PooledBuffer(std::shared_ptr<BufferPool::State> state, std::byte *data, std::int64_t bytes,
               std::int64_t capacity_bytes);
  void give_back() noexcept;

  std::shared_ptr<BufferPool::State> state_;
  std::byte *data_ = nullptr;
  std::int64_t bytes_ = 0;
  std::int64_t capacity_bytes_ = 0;
};

} // namespace ringscale::memory
