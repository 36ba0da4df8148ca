// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Kokkos_Core.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "memory/buffer_pool.hpp"
#include "memory/ledger.hpp"

namespace ringscale::memory {

/// An owned run of uninitialised bytes in `MemorySpace`, counted in a ledger from allocation to destruction. The
/// ledger must outlive it. Kokkos aligns allocations to at least 64 bytes.
template <class MemorySpace> class TrackedBuffer {
public:
  TrackedBuffer() = default;

  /// Throws OutOfBudget before anything is allocated, and Kokkos' out-of-memory exception, a std::exception naming the
  /// label, before anything is counted.
  TrackedBuffer(Ledger &ledger, Purpose purpose, const std::string &label, std::int64_t bytes)
      : view_(allocate(ledger, purpose, label, bytes)), purpose_(purpose) {
    ledger.add(purpose, bytes);
    ledger_ = &ledger;
  }

  /// A part of memory that several buffers share, which lives as long as the last of them.
  TrackedBuffer(Ledger &ledger, Purpose purpose, Kokkos::View<std::byte *, MemorySpace> part)
      : view_(std::move(part)), ledger_(&ledger), purpose_(purpose) {
    ledger.add(purpose, bytes());
  }

  /// Memory lent by a pool of the same space, which takes it back when this goes.
  TrackedBuffer(Ledger &ledger, Purpose purpose, PooledBuffer pooled)
      : view_(pooled.data(), static_cast<std::size_t>(pooled.bytes())), pooled_(std::move(pooled)), ledger_(&ledger),
        purpose_(purpose) {
    ledger.add(purpose, bytes());
  }

  TrackedBuffer(TrackedBuffer &&other) noexcept
      : view_(std::exchange(other.view_, {})), pooled_(std::move(other.pooled_)),
        ledger_(std::exchange(other.ledger_, nullptr)), purpose_(other.purpose_) {}

  TrackedBuffer &operator=(TrackedBuffer &&other) noexcept {
    TrackedBuffer taken(std::move(other));
    std::swap(view_, taken.view_);
    std::swap(pooled_, taken.pooled_);
    std::swap(ledger_, taken.ledger_);
    std::swap(purpose_, taken.purpose_);
    return *this;
  }

  TrackedBuffer(const TrackedBuffer &) = delete;
  TrackedBuffer &operator=(const TrackedBuffer &) = delete;

  ~TrackedBuffer() {
    if (ledger_ != nullptr) {
      ledger_->remove(purpose_, bytes());
    }
  }

  std::byte *data() const { return view_.data(); }
  std::int64_t bytes() const { return static_cast<std::int64_t>(view_.extent(0)); }
  /// The bytes from `offset` on as elements of type T; the caller knows that they fit and are aligned.
  template <class T> T *as(std::int64_t offset = 0) const { return reinterpret_cast<T *>(view_.data() + offset); }

private:
  using View = Kokkos::View<std::byte *, MemorySpace>;

  static View allocate(const Ledger &ledger, Purpose purpose, const std::string &label, std::int64_t bytes) {
    ledger.require_room(purpose, bytes);
    return View(Kokkos::view_alloc(Kokkos::WithoutInitializing, "ringscale::" + label),
                static_cast<std::size_t>(bytes));
  }

  View view_;
  PooledBuffer pooled_; ///< where view_ is lent
  Ledger *ledger_ = nullptr;
  Purpose purpose_ = Purpose::workspace;
};

} // namespace ringscale::memory
