// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "problem/error_bound.hpp"
#include "ring/ring_options.hpp"

namespace ringscale::ring {

/// One number a row and query head of a whole sequence: [batch, tokens, query_heads].
using RowNumbers = std::vector<double>;

/// Log-sum-exps and row dots D = rowsum(output * output_gradient) of every row: what the joint softmax of the whole
/// sequence gives to every key.
struct JointRows {
  RowNumbers log_sum_exp;
  RowNumbers output_dot;
};

/// Attention and its gradients by the definition of its pattern, in double precision on the host, on the synthetic
/// tensors of a ring's share of the layer: a row or a key at a time, over all admitted pairs, which
/// problem::multiplicity names one by one. Holds the share's whole tensors in single precision. No code of the kernels
/// is used.
class LayerReference {
public:
  /// options.problem is the ring's share of the layer; `gradients` also makes the output gradient.
  LayerReference(const RingOptions &options, bool gradients);

  /// Output (head_dim numbers a head) and log-sum-exp of the rows at `positions`, [batch, positions, query_heads, ..].
  void forward(const std::vector<std::int64_t> &positions, std::vector<double> &outputs,
               RowNumbers &log_sum_exps) const;

  /// Log-sum-exps and row dots of all rows.
  JointRows joint_rows() const;

  /// Gradients of the queries at `positions`, [batch, positions, query_heads, head_dim], from the joint rows; raises
  /// the magnitudes that an error bound needs.
  void query_gradients(const std::vector<std::int64_t> &positions, const JointRows &rows,
                       std::vector<double> &gradients, problem::GradientMagnitude &magnitude) const;

  /// Gradients of keys and values at `positions`, [batch, positions, kv_heads, head_dim] each.
  void key_value_gradients(const std::vector<std::int64_t> &positions, const JointRows &rows,
                           std::vector<double> &key_gradients, std::vector<double> &value_gradients,
                           problem::GradientMagnitude &magnitude) const;

  /// Largest sum of |output gradient| over the elements of a row.
  double largest_gradient_row_sum() const;

  /// FLOPs of the reference for one row of all heads and batch entries.
  static double row_flop(const problem::AttentionProblem &attention);

private:
  std::int64_t multiplicity(std::int64_t head, std::int64_t query, std::int64_t key) const;
  const float *query(std::int64_t batch, std::int64_t token, std::int64_t head) const;
  const float *output_gradient(std::int64_t batch, std::int64_t token, std::int64_t head) const;
  const float *key(std::int64_t batch, std::int64_t token, std::int64_t kv_head) const;
  const float *value(std::int64_t batch, std::int64_t token, std::int64_t kv_head) const;
  std::size_t row_place(std::int64_t batch, std::int64_t token, std::int64_t head) const;
  double forward_row(std::int64_t batch, std::int64_t token, std::int64_t head, double *output) const;
  void query_row(std::int64_t batch, std::int64_t token, std::int64_t head, const JointRows &rows, double *gradient,
                 problem::GradientMagnitude &magnitude) const;
  void key_row(std::int64_t batch, std::int64_t token, std::int64_t kv_head, const JointRows &rows,
               double *key_gradient, double *value_gradient, problem::GradientMagnitude &magnitude) const;

  schedule::RingProblem problem_;
  std::int64_t layer_heads_;
  double scale_;
  std::vector<float> query_, key_, value_, output_gradient_;
};

} // namespace ringscale::ring
