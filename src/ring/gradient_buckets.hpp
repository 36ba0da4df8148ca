// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "memory/ledger.hpp"
#include "memory/tracked_buffer.hpp"
#include "ring/communicator.hpp"
#include "ring/gradient_compression.hpp"

namespace ringscale::ring {

/// One gradient in host memory: what a rank computed, and after finish what all ranks computed together.
struct GradientTensor {
  std::string name;
  std::span<float> values;
};

struct BucketOptions {
  std::int64_t bucket_bytes = 25'000'000; ///< of float32 elements; a larger tensor is a bucket of its own, not split
  bool mean = true;                       ///< the sum over the ranks is divided by their number
  bool refuse_not_finite = true;          ///< NaN and infinity; a compression refuses them in any case
  CompressionOptions compression;
};

/// Reduces gradients over ranks while a backward pass still makes others (Li et al. 2020, VLDB 13, section 3.2):
/// tensors are dealt to buckets from the last to the first, as a backward pass makes them, and a bucket travels when
/// all of its tensors are ready. Uncompressed sums are MPI's; compressed buckets are gathered and added in the order of
/// ranks. The latter gives all ranks the same bits; so does MPICH's
/// sum, see start_sum.
///
/// Every rank marks every tensor ready once, in the same order. Before a bucket travels the ranks compare what they
/// have marked so far; where one skipped, repeated, exchanged or spoilt something, all of them throw InvalidInput with
/// the same line, at their next full bucket or in finish at the latest, and no gradient has changed. The object is
/// then of no more use. Collective: all ranks construct it with the same tensors and options.
class GradientBuckets {
public:
  /// Counts all buffers in `ledger` as communication for its lifetime. Throws InvalidInput on bucket_bytes below 4, and
  /// on all ranks where names, sizes or options differ between them.
  GradientBuckets(const Communicator &communicator, std::vector<GradientTensor> tensors, const BucketOptions &options,
                  memory::Ledger &ledger);
  GradientBuckets(const GradientBuckets &) = delete;
  GradientBuckets &operator=(const GradientBuckets &) = delete;

  /// Copies tensor `index` into its bucket, which starts to travel once it is full.
  void ready(std::int64_t index);
  /// Moves what travels: call it between pieces of work.
  void poll();
  /// Waits for all buckets and writes the reduced gradients over the tensors. The next round may begin.
  void finish();
  /// For a backward pass that failed on this rank: tells the others, and throws InvalidInput on all of them.
  [[noreturn]] void abandon(const std::string &reason);

  std::int64_t bucket_count() const { return static_cast<std::int64_t>(buckets_.size()); }
  std::int64_t bucket_of(std::int64_t index) const;
  std::int64_t tensor_count() const { return static_cast<std::int64_t>(tensors_.size()); }
  const std::vector<GradientTensor> &tensors() const { return tensors_; }
  /// Bytes this rank gives to the reduction in one round; 4 an element when nothing is compressed.
  std::int64_t sent_bytes() const;

private:
  using HostBuffer = memory::TrackedBuffer<Kokkos::HostSpace>;

  struct Bucket {
    std::vector<std::int64_t> tensors;
    std::int64_t elements = 0;
    std::int64_t missing = 0; ///< tensors not yet ready
    HostBuffer values;
    std::optional<GradientCompressor> compressor;
    HostBuffer compressed;
    HostBuffer everyones;
    memory::LedgerEntry compressor_bytes;
    Collective travelling;

    std::span<float> floats() const { return {values.as<float>(), static_cast<std::size_t>(elements)}; }
  };
  /// What ranks compare before a bucket travels. The same bytes on all ranks: go.
  struct Agreement {
    std::int64_t failed = 0;
    std::int64_t bucket = 0; ///< -1: the end of the round
    std::int64_t marked = 0; ///< tensors marked ready so far
    std::uint64_t order = 0; ///< digest of their order
  };

  void deal(std::int64_t bucket_bytes);
  void allocate(memory::Ledger &ledger);
  void compare_constructions(const BucketOptions &options) const;
  void copy_in(std::int64_t index);
  void ask(const Agreement &agreement);
  bool advance(); ///< everything asked for is agreed, and has arrived
  void start(Bucket &bucket);
  void wait_for_all();
  void write_back();
  [[noreturn]] void fail_here(const std::string &line);
  [[noreturn]] void fail_everywhere();
  /// Who differs first, by the word of most; empty when all orders begin alike.
  std::string first_difference(const std::vector<std::string> &orders) const;
  void require_usable() const;

  Communicator agreements_; ///< of its own: the order of agreements and of buckets on the network are two orders
  Communicator data_;
  std::vector<GradientTensor> tensors_;
  BucketOptions options_;
  std::vector<Bucket> buckets_;
  std::vector<std::int64_t> bucket_of_;
  std::vector<std::int64_t> offset_of_;

  std::vector<std::int64_t> order_; ///< tensors marked ready in this round
  std::uint64_t digest_ = 0;
  std::vector<char> marked_;
  std::deque<Agreement> waiting_; ///< full buckets that are not asked about yet: one question at a time
  bool asking_ = false;
  Agreement mine_;
  std::vector<Agreement> theirs_;
  Collective question_;
  std::string own_failure_;
  std::string failure_; ///< set: of no more use
};

} // namespace ringscale::ring
