// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "problem/attention_problem.hpp"
#include "ring/multihead_data.hpp"

namespace ringscale::ring {

/// Numbers in double precision, each with the variance that rounding gives a float32 computation of it, whose sums may
/// be taken in any order. Rounding errors count as independent and of mean 0 (Higham and Mary 2019,
/// doi 10.1137/18M1226312, model 2.1), each as far off as one can be, 2^-24: variances add up, those of a sum's n
/// roundings to n (2^-24 s)^2, where s is its value and the 2-norm of its terms together.
struct RoundedNumbers {
  std::vector<double> value;
  std::vector<double> variance;

  explicit RoundedNumbers(std::size_t count = 0) : value(count), variance(count) {}
};

/// How far a float32 result may be from the reference: this many standard deviations, as in attention_error_bound.
inline constexpr double allowed_deviations = 4.0;

/// A dense multihead layer (kernels::multihead_attention) by its definition, some rows at a time, in double precision
/// on the host, from the seed; no code of the kernels is used.
class MultiheadReference {
public:
  /// `merges`: blocks that the attention of a row is joined from.
  MultiheadReference(const MultiheadShape &shape, std::uint64_t seed, problem::Mask mask, std::int64_t merges);

  /// Output rows [positions, embed_dim] of one batch entry. Projects every token that any of the rows may see.
  RoundedNumbers rows(std::int64_t batch, const std::vector<std::int64_t> &positions) const;

private:
  RoundedNumbers attended(const RoundedNumbers &normalised, const std::vector<std::int64_t> &positions) const;

  MultiheadShape shape_;
  std::uint64_t seed_;
  problem::Mask mask_;
  std::int64_t merges_;
  LayerNumbers weights_;
};

} // namespace ringscale::ring
