// SPDX-License-Identifier: Apache-2.0
#include "memory/buffer_pool.hpp"

#include <algorithm>
#include <list>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "memory/limits.hpp"

namespace ringscale::memory {

namespace {

struct Block {
  std::byte *data = nullptr;
  std::int64_t capacity_bytes = 0;
};

} // namespace

/// Everything that buffers share with their pool. Members whose name ends in _locked are called with the mutex held.
class BufferPool::State {
public:
  State(Ledger &ledger, BufferSource source, const PoolLimits &limits, Purpose purpose)
      : ledger_(ledger), source_(std::move(source)), limits_(limits), purpose_(purpose) {
    if (limits.most_idle_buffers < 0 || limits.most_bytes < 0 || limits.most_oversize < 1) {
      throw std::logic_error("buffer pool: limits must not be negative, and most_oversize at least 1");
    }
  }
  State(const State &) = delete;
  State &operator=(const State &) = delete;
  ~State() { drop_idle(); }

  Block acquire(std::int64_t bytes) {
    const std::lock_guard lock(mutex_);
    return acquire_locked(bytes);
  }

  Block reallocate(Block old, std::int64_t bytes) {
    const std::lock_guard lock(mutex_);
    put_back_locked(old);
    const Block block = acquire_locked(bytes);
    ++counters_.reallocations;
    return block;
  }

  void put_back(Block block) {
    const std::lock_guard lock(mutex_);
    put_back_locked(block);
  }

  void count_resize() {
    const std::lock_guard lock(mutex_);
    ++counters_.resizes;
  }

  std::int64_t drop_idle() {
    const std::lock_guard lock(mutex_);
    const std::int64_t before = counters_.bytes_held;
    while (evict_oldest_locked()) {
    }
    return before - counters_.bytes_held;
  }

  PoolCounters counters() const {
    const std::lock_guard lock(mutex_);
    return counters_;
  }

  std::int64_t idle_buffers() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::int64_t>(idle_.size());
  }

private:
  Block acquire_locked(std::int64_t bytes) {
    if (bytes < 0) {
      throw std::logic_error("buffer pool: a buffer of " + std::to_string(bytes) + " bytes was asked for");
    }
    if (bytes == 0) {
      return {};
    }
    if (const auto match = smallest_match_locked(bytes); match != idle_.end()) {
      const Block block = *match;
      idle_.erase(match);
      ++counters_.hits;
      return block;
    }
    ++counters_.misses;
    return allocate_locked(bytes);
  }

  /// The newest of the smallest idle blocks that match: its bytes are the likeliest to be in a cache.
  std::list<Block>::iterator smallest_match_locked(std::int64_t bytes) {
    auto best = idle_.end();
    for (auto candidate = idle_.begin(); candidate != idle_.end(); ++candidate) {
      const bool large_enough = candidate->capacity_bytes >= bytes;
      const bool oversized = candidate->capacity_bytes / limits_.most_oversize > bytes ||
                             (candidate->capacity_bytes / limits_.most_oversize == bytes &&
                              candidate->capacity_bytes % limits_.most_oversize != 0);
      if (large_enough && !oversized && (best == idle_.end() || candidate->capacity_bytes < best->capacity_bytes)) {
        best = candidate;
      }
    }
    return best;
  }

  Block allocate_locked(std::int64_t bytes) {
    for (;;) {
      try {
        if (limits_.most_bytes > 0 && bytes > limits_.most_bytes - counters_.bytes_held) {
          throw OutOfBudget(purpose_, bytes, counters_.bytes_held, limits_.most_bytes, advice_of_budget);
        }
        ledger_.require_room(purpose_, bytes);
        std::byte *data = source_.allocate(bytes);
        if (data == nullptr) {
          throw std::bad_alloc();
        }
        enter_locked(data, bytes);
        counters_.bytes_held += bytes;
        counters_.most_bytes_held = std::max(counters_.most_bytes_held, counters_.bytes_held);
        return {data, bytes};
      } catch (const OutOfBudget &refusal) {
        if (!evict_oldest_locked()) {
          ++counters_.advices;
          throw OutOfBudget(purpose_, bytes, refusal.held_bytes(), refusal.budget_bytes(), advice_of_budget);
        }
      } catch (const std::bad_alloc &) {
        if (!evict_oldest_locked()) {
          ++counters_.advices;
          throw OutOfBudget(purpose_, bytes, counters_.bytes_held, counters_.bytes_held, advice_of_system);
        }
      }
    }
  }

  /// Another user of the ledger may have taken the room since it was asked for.
  void enter_locked(std::byte *data, std::int64_t bytes) {
    try {
      ledger_.add(purpose_, bytes);
    } catch (const OutOfBudget &) {
      source_.release(data);
      throw;
    }
  }

  void put_back_locked(Block block) {
    if (block.data == nullptr) {
      return;
    }
    idle_.push_front(block);
    while (static_cast<std::int64_t>(idle_.size()) > limits_.most_idle_buffers) {
      evict_oldest_locked();
    }
  }

  bool evict_oldest_locked() {
    if (idle_.empty()) {
      return false;
    }
    const Block block = idle_.back();
    idle_.pop_back();
    source_.release(block.data);
    ledger_.remove(purpose_, block.capacity_bytes);
    counters_.bytes_held -= block.capacity_bytes;
    ++counters_.evictions;
    return true;
  }

  static constexpr const char *advice_of_budget =
      "nothing idle is left to evict: split the batch, use more ranks, or raise --memory-limit";
  static constexpr const char *advice_of_system =
      "the system has no more memory and nothing idle is left to evict: split the batch or use more ranks";

  Ledger &ledger_;
  BufferSource source_;
  PoolLimits limits_;
  Purpose purpose_;
  mutable std::mutex mutex_;
  std::list<Block> idle_; ///< the last used first
  PoolCounters counters_;
};

BufferPool::BufferPool(Ledger &ledger, BufferSource source, const PoolLimits &limits, Purpose purpose)
    : state_(std::make_shared<State>(ledger, std::move(source), limits, purpose)) {}

PooledBuffer BufferPool::acquire(std::int64_t bytes) {
  const Block block = state_->acquire(bytes);
  return PooledBuffer(state_, block.data, bytes, block.capacity_bytes);
}

std::int64_t BufferPool::drop_idle() { return state_->drop_idle(); }
PoolCounters BufferPool::counters() const { return state_->counters(); }
std::int64_t BufferPool::idle_buffers() const { return state_->idle_buffers(); }

PooledBuffer::PooledBuffer(std::shared_ptr<BufferPool::State> state, std::byte *data, std::int64_t bytes,
                           std::int64_t capacity_bytes)
    : state_(std::move(state)), data_(data), bytes_(bytes), capacity_bytes_(capacity_bytes) {}

PooledBuffer::PooledBuffer(PooledBuffer &&other) noexcept
    : state_(std::move(other.state_)), data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)), capacity_bytes_(std::exchange(other.capacity_bytes_, 0)) {}

PooledBuffer &PooledBuffer::operator=(PooledBuffer &&other) noexcept {
  PooledBuffer taken(std::move(other));
  std::swap(state_, taken.state_);
  std::swap(data_, taken.data_);
  std::swap(bytes_, taken.bytes_);
  std::swap(capacity_bytes_, taken.capacity_bytes_);
  return *this;
}

PooledBuffer::~PooledBuffer() { give_back(); }

void PooledBuffer::give_back() noexcept {
  if (state_ != nullptr && data_ != nullptr) {
    state_->put_back({data_, capacity_bytes_});
  }
  data_ = nullptr;
  bytes_ = 0;
  capacity_bytes_ = 0;
}

void PooledBuffer::resize(std::int64_t bytes) {
  if (state_ == nullptr) {
    throw std::logic_error("buffer pool: a buffer that belongs to no pool cannot be resized");
  }
  if (bytes < 0) {
    throw std::logic_error("buffer pool: a buffer of " + std::to_string(bytes) + " bytes was asked for");
  }
  if (bytes <= capacity_bytes_) {
    bytes_ = bytes;
    state_->count_resize();
    return;
  }
  // The memory is the pool's from here on, so a refusal leaves an empty buffer.
  const Block old{std::exchange(data_, nullptr), std::exchange(capacity_bytes_, 0)};
  bytes_ = 0;
  const Block block = state_->reallocate(old, bytes);
  data_ = block.data;
  bytes_ = bytes;
  capacity_bytes_ = block.capacity_bytes;
}

} // namespace ringscale::memory
