// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "memory/limits.hpp"
#include "ring/gradient_reduction.hpp"
#include "ring/multihead_verification.hpp"
#include "ring/ring_options.hpp"
#include "ring/transport.hpp"

namespace ringscale::ring {

/// A multihead layer whose tokens are divided over the ranks of a ring, and the reduction of its gradients.
struct MultiheadOptions {
  RingOptions ring;           ///< the attention inside; both passes run, whatever its pass says
  std::int64_t embed_dim = 0; ///< 0: query_heads x head_dim
  std::int64_t bucket_bytes = 25'000'000;
  CompressionOptions compression;
  memory::Limits limits;
  std::int64_t unreduced_rank = -1; ///< tests only: this rank keeps its own gradients instead of the sums
};

/// Sizes of the layer; embed_dim resolved.
MultiheadShape multihead_shape(const MultiheadOptions &options);

/// Throws InvalidInput naming the first option that is out of range or does not go with the others, and a projection
/// that is larger than the limit allows. Allocates nothing.
void validate(const MultiheadOptions &options);

/// Outcome of one layer, the same on every rank.
struct MultiheadRun {
  std::vector<double> forward_samples_s; ///< slowest rank after a barrier, one a timed repetition
  GradientReduction reduction;           ///< backward alone, reduction alone, both together; what was hidden
  std::int64_t bucket_count = 0;

  bool verified = false;
  std::vector<TensorCheck> checks; ///< worst of all ranks
  std::int64_t checked_rows = 0;   ///< output rows compared in double precision, over all ranks
  bool blocks_once = false;
  std::uint64_t output_checksum = 0;

  /// Of the rank with the most: the ring's buffers, tokens, weights, gradients and buckets. What kernels allocate for
  /// the length of a call, projections among them, is not counted.
  memory::MemoryByPurpose memory;
  std::int64_t peak_rss_bytes = 0;
  std::int64_t hops = 0; ///< block messages that a rank sends in a forward pass, the most of all ranks
  TransportCounters transport;
  int ranks_per_core = 1;
  int threads_per_rank = 1;

  bool valid = false;
  std::vector<std::string> reasons; ///< why not valid; or what was left unchecked
};

/// Runs the layer on synthetic tokens over all ranks of `communicator`, each on its own rows, forward and backward:
/// once compared with the same layer over the whole sequence on every rank, and its output with double precision, then
/// timed. Weights' gradients are sums over the ranks, reduced while the backward pass runs. Collective. Throws
/// InvalidInput for bad options, MpiFailure when MPI fails.
MultiheadRun run_multihead(const Communicator &communicator, const MultiheadOptions &options);

} // namespace ringscale::ring
