// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace ringscale::simulator {

/// Memory that begins at a cache line, so that a vector of sixteen 32-bit values never straddles two.
template <class Value> struct CacheLineAllocator {
  using value_type = Value;
  static constexpr std::align_val_t alignment{64};

  CacheLineAllocator() = default;
  template <class Other> explicit CacheLineAllocator(const CacheLineAllocator<Other> &) {}
  Value *allocate(std::size_t count) { return static_cast<Value *>(::operator new(count * sizeof(Value), alignment)); }
  void deallocate(Value *memory, std::size_t) { ::operator delete(memory, alignment); }
  bool operator==(const CacheLineAllocator &) const = default;
};

template <class Value> using AlignedVector = std::vector<Value, CacheLineAllocator<Value>>;

} // namespace ringscale::simulator
