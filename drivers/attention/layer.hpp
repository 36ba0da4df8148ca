// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "drivers/attention/options.hpp"
#include "drivers/attention/tensors.hpp"
#include "kernels/attention_backward.hpp"
#include "kernels/attention_block.hpp"
#include "kernels/dropout.hpp"
#include "kernels/sparse_quality.hpp"
#include "kernels/work.hpp"
#include "problem/error_bound.hpp"

namespace ringscale::drivers {

/// Share of the dense softmax that a sparse pattern keeps, and how far its output is from the dense one.
struct SparseQuality {
  kernels::CapturedMass mass;
  kernels::OutputDifference difference;
};

/// One way to compute an attention layer: what it needs beside the tensors, its two passes, and what it declares.
class AttentionLayer {
public:
  AttentionLayer() = default;
  AttentionLayer(const AttentionLayer &) = delete;
  AttentionLayer &operator=(const AttentionLayer &) = delete;
  virtual ~AttentionLayer() = default;

  /// Output and log-sum-exp from the tensors as they lie, packing included; returns when done.
  virtual void forward() = 0;
  /// Gradients, from the results of forward; returns when done.
  virtual void backward() = 0;

  virtual kernels::KernelWork work(Pass pass) const = 0;
  /// Admitted query-key pairs of all query heads of one batch entry, repeats counted; by default those of the pattern.
  virtual double pairs() const = 0;
  /// In what numbers it computes, for a reader of the row.
  virtual std::string arithmetic() const { return "float32"; }
  /// Bytes kept beside inputs and results: packed copies, workspaces, and apart from these the score matrix.
  virtual std::int64_t workspace_bytes() const = 0;
  virtual std::int64_t scores_bytes() const { return 0; }
  /// Bounds on the errors of the results, for inputs that the dtype holds exactly.
  virtual problem::ErrorBound error_bound(const problem::DataMagnitude &magnitude) const = 0;
  virtual problem::GradientBound gradient_bound(const problem::GradientMagnitude &magnitude,
                                                const problem::GivenError &given) const = 0;
  /// How often (head, query, key) is admitted, for every key: the definition the results are checked against.
  virtual void multiplicities(std::int64_t batch, std::int64_t head, std::int64_t query,
                              std::uint8_t *of_keys) const = 0;
  /// 1, or the batch where its entries admit different pairs.
  virtual std::int64_t multiplicity_batches() const { return 1; }
  /// What a sparse pattern keeps of dense attention, computed from both; nothing for dense attention.
  virtual std::optional<SparseQuality> quality() const { return std::nullopt; }
};

/// The layer of `options` over `tensors`, which must outlive it. Throws problem::InvalidInput for a combination that no
/// kernel computes.
std::unique_ptr<AttentionLayer> make_layer(const AttentionOptions &options, const AttentionTensors &tensors);

/// Parts that several layers share: the whole problem as one block, without packed keys; its gradients, without
/// output_dot; the dropout; dense pairs, bounds and rows.
kernels::AttentionBlock dense_block(const AttentionOptions &options, const AttentionTensors &tensors);
kernels::BackwardBlock backward_block(const AttentionOptions &options, const AttentionTensors &tensors);
kernels::Dropout layer_dropout(const AttentionOptions &options);
double dense_pairs(const AttentionOptions &options);
/// Work of a kernel and of what runs before it in the same pass.
kernels::KernelWork together(const kernels::KernelWork &first, const kernels::KernelWork &second);
kernels::KernelWork packing_work(const AttentionOptions &options);
problem::GradientBound dense_gradient_bound(const AttentionOptions &options, std::int64_t accumulations,
                                            const problem::GradientMagnitude &magnitude,
                                            const problem::GivenError &given);
void fill_dense_multiplicities(const kernels::Admission &admission, std::int64_t query, std::int64_t key_tokens,
                               std::uint8_t *of_keys);

std::unique_ptr<AttentionLayer> make_dense_layer(const AttentionOptions &options, const AttentionTensors &tensors);
std::unique_ptr<AttentionLayer> make_materialised_layer(const AttentionOptions &options,
                                                        const AttentionTensors &tensors);
std::unique_ptr<AttentionLayer> make_dilated_layer(const AttentionOptions &options, const AttentionTensors &tensors);
std::unique_ptr<AttentionLayer> make_block_sparse_layer(const AttentionOptions &options,
                                                        const AttentionTensors &tensors);
std::unique_ptr<AttentionLayer> make_low_precision_layer(const AttentionOptions &options,
                                                         const AttentionTensors &tensors);

} // namespace ringscale::drivers
