// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "problem/attention_problem.hpp"
#include "problem/token_span.hpp"
#include "ring/communicator.hpp"
#include "ring/gradient_buckets.hpp"
#include "ring/multihead_data.hpp"

namespace ringscale::ring {

/// What comparing one tensor found. `share` is the largest error over the bound of its own element: at most 1 when all
/// elements are right, NaN when one is.
struct TensorCheck {
  std::string tensor;
  double max_error = 0.0;
  double bound = 0.0; ///< largest of the elements' bounds
  double share = 0.0;
};

/// Raises every check to the worst of all ranks, which have the same ones in the same order. Collective.
void join_checks(const Communicator &communicator, std::vector<TensorCheck> &checks);

/// How far two float32 computations of a layer, each in an order of its own, may be apart, relative to the largest
/// element of a tensor: allowed_deviations 2^-24 sqrt(2 n), n the roundings of the sums on the longest way through
/// forward and backward pass, by the model of RoundedNumbers. A tolerance, not a proven bound: a sum whose terms cancel
/// loses more than its own size says.
double layer_tolerance(const MultiheadShape &shape, std::int64_t merges);

/// A layer over the whole sequence, forward and backward on this rank alone, by kernels::multihead_attention and
/// kernels::multihead_backward with dense cores; compares with it what the ring made.
class WholeLayer {
public:
  WholeLayer(const MultiheadShape &shape, std::uint64_t seed, problem::Mask mask, std::int64_t merges);

  /// Rows [batch, tokens.count(), embed_dim] of the output and of the tokens' gradient.
  TensorCheck check_output(std::span<const float> rows, const problem::TokenSet &tokens) const;
  TensorCheck check_token_gradient(std::span<const float> rows, const problem::TokenSet &tokens) const;
  /// Sums over the ranks of all weights' gradients; weights of query, key and value are compared apart, since their
  /// gradients differ in size. `compression_bounds` are added to the elements' bounds; empty where nothing was
  /// compressed.
  std::vector<TensorCheck> check_gradients(const LayerNumbers &sums, const LayerNumbers &compression_bounds) const;

private:
  TensorCheck check_rows(const char *tensor, std::span<const float> rows, const problem::TokenSet &tokens,
                         const std::vector<float> &whole) const;

  MultiheadShape shape_;
  double tolerance_;
  std::vector<float> output_, token_gradient_;
  LayerNumbers gradients_;
};

/// Rows of this rank's output against MultiheadReference: the first and last of every span and of `sample` more drawn
/// by the seed, in every batch entry. Sets `checked_rows`.
TensorCheck check_output_in_double(const MultiheadShape &shape, std::uint64_t seed, problem::Mask mask,
                                   std::int64_t merges, std::int64_t rank, std::span<const float> rows,
                                   const problem::TokenSet &tokens, std::int64_t sample, std::int64_t &checked_rows);

/// Largest distance of every element of a compressed sum over the ranks from the sum itself, in the first round of
/// `buckets`, added up over the ranks (GradientCompressor::error_bounds). `own` is what this rank gave. Collective.
LayerNumbers compression_bounds(const Communicator &communicator, const GradientBuckets &buckets,
                                const CompressionOptions &compression, const LayerNumbers &own);

} // namespace ringscale::ring
