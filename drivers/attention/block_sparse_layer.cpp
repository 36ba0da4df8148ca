// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "drivers/attention/layer.hpp"
#include "kernels/adaptive_blocks.hpp"
#include "kernels/block_sparse_attention.hpp"
#include "kernels/block_sparse_backward.hpp"
#include "ring/pattern_kernels.hpp"

namespace ringscale::drivers {

namespace {

/// Block-sparse attention. Fixed masks are made once; adaptive ones anew in every forward pass, as part of its time.
class BlockSparseLayer : public AttentionLayer {
public:
  BlockSparseLayer(const AttentionOptions &options, const AttentionTensors &tensors)
      : options_(options), tensors_(tensors),
        packed_("ringscale::packed", kernels::packed_elements(options.problem.batch, options.key_tokens,
                                                              options.problem.kv_heads, options.problem.head_dim)) {
    block_ = dense_block(options, tensors);
    block_.packed_key_value = packed_.data();
    if (options.pass == Pass::backward) {
      output_dot_ =
          Owned3("ringscale::output_dot", tensors.query.extent(0), tensors.query.extent(1), tensors.query.extent(2));
      gradient_ = backward_block(options, tensors);
      gradient_.output_dot = output_dot_;
    }
    if (adaptive()) {
      make_adaptive_mask();
    } else {
      mask_ = std::make_unique<kernels::BlockMask>(shape(), ring::kernel_sparsity(options.pattern.block_sparse));
    }
  }

  void forward() override {
    if (adaptive()) {
      make_adaptive_mask();
    }
    kernels::pack_key_value(space_, tensors_.key, tensors_.value, 0, options_.key_tokens, packed_.data());
    kernels::block_sparse_attention(space_, block_, *mask_);
    space_.fence("ringscale::attention: end of a forward pass");
  }

  void backward() override {
    kernels::output_gradient_dot(space_, tensors_.output, tensors_.output_gradient, output_dot_);
    kernels::block_sparse_backward(space_, gradient_, *mask_);
    space_.fence("ringscale::attention: end of a backward pass");
  }

  kernels::KernelWork work(Pass pass) const override {
    if (pass == Pass::backward) {
      return kernels::block_sparse_backward_work(gradient_, *mask_);
    }
    return together(packing_work(options_), kernels::block_sparse_attention_work(block_, *mask_));
  }

  double pairs() const override {
    return mask_->pairs_of(options_.problem.batch, options_.problem.query_heads) /
           static_cast<double>(options_.problem.batch);
  }

  std::int64_t workspace_bytes() const override {
    return static_cast<std::int64_t>((packed_.size() + output_dot_.size()) * sizeof(float)) + mask_->bytes();
  }

  problem::ErrorBound error_bound(const problem::DataMagnitude &magnitude) const override {
    return problem::attention_error_bound(problem::DType::float32, options_.key_tokens, options_.problem.head_dim, 1,
                                          magnitude);
  }

  problem::GradientBound gradient_bound(const problem::GradientMagnitude &magnitude,
                                        const problem::GivenError &given) const override {
    return dense_gradient_bound(options_, 1, magnitude, given);
  }

  std::int64_t multiplicity_batches() const override { return adaptive() ? options_.problem.batch : 1; }

  void multiplicities(std::int64_t batch, std::int64_t head, std::int64_t query, std::uint8_t *of_keys) const override {
    if (adaptive()) {
      adaptive_multiplicities(batch, head, query, of_keys);
      return;
    }
    // By the pattern's formula, not by the lists that the kernel reads.
    for (std::int64_t key = 0; key < options_.key_tokens; ++key) {
      of_keys[key] = static_cast<std::uint8_t>(problem::multiplicity(options_.pattern, options_.problem.mask,
                                                                     options_.problem.query_heads, head, query, key));
    }
  }

  std::optional<SparseQuality> quality() const override {
    const Owned4 output("ringscale::dense_output", tensors_.output.extent(0), tensors_.output.extent(1),
                        tensors_.output.extent(2), tensors_.output.extent(3));
    const Owned3 log_sum_exp("ringscale::dense_log_sum_exp", output.extent(0), output.extent(1), output.extent(2));
    kernels::AttentionBlock dense = block_;
    dense.output = output;
    dense.log_sum_exp = log_sum_exp;
    kernels::attention_block(space_, dense);
    return SparseQuality{kernels::captured_mass(space_, tensors_.log_sum_exp, log_sum_exp),
                         kernels::output_difference(space_, tensors_.output, output)};
  }

private:
  bool adaptive() const { return options_.pattern.block_sparse.kind == problem::BlockSparseKind::adaptive; }

  kernels::BlockMaskShape shape() const {
    kernels::BlockMaskShape shape;
    shape.block_tokens = options_.pattern.block_sparse.block_tokens;
    shape.query_tokens = options_.problem.tokens;
    shape.key_tokens = options_.key_tokens;
    shape.causal = options_.causal();
    if (adaptive()) {
      shape.batch_masks = options_.problem.batch;
      shape.head_masks = options_.problem.query_heads;
    }
    return shape;
  }

  void make_adaptive_mask() {
    const kernels::BlockMaskShape of_mask = shape();
    const kernels::BlockScores scores =
        kernels::pooled_block_scores(space_, tensors_.query, tensors_.key, of_mask.block_tokens, block_.scale);
    mask_ = std::make_unique<kernels::BlockMask>(
        kernels::adaptive_block_mask(of_mask, scores, options_.pattern.block_sparse.kept_blocks));
  }

  /// Which blocks are kept only the data says, so the list is what is checked against.
  void adaptive_multiplicities(std::int64_t batch, std::int64_t head, std::int64_t query, std::uint8_t *of_keys) const {
    fill_dense_multiplicities(block_.admission, query, options_.key_tokens, of_keys);
    const kernels::BlockLists<kernels::KeyRange> lists = mask_->key_lists();
    const std::int64_t place = lists.place(batch, head, query / options_.pattern.block_sparse.block_tokens);
    std::int64_t key = 0;
    for (const kernels::KeyRange &range : ranges_at(lists, place)) {
      std::fill(of_keys + key, of_keys + range.begin, std::uint8_t{0});
      key = std::min<std::int64_t>(range.end, options_.key_tokens);
    }
    std::fill(of_keys + key, of_keys + options_.key_tokens, std::uint8_t{0});
  }

  static std::vector<kernels::KeyRange> ranges_at(const kernels::BlockLists<kernels::KeyRange> &lists,
                                                  std::int64_t place) {
    using Offsets = Kokkos::View<const std::int64_t *, kernels::MemorySpace, kernels::Unmanaged>;
    using Ranges = Kokkos::View<const kernels::KeyRange *, kernels::MemorySpace, kernels::Unmanaged>;
    const auto offsets = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, Offsets(lists.offset + place, 2));
    const auto count = static_cast<std::size_t>(offsets(1) - offsets(0));
    const auto ranges =
        Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, Ranges(lists.ranges + offsets(0), count));
    return {ranges.data(), ranges.data() + count};
  }

  kernels::ExecutionSpace space_;
  AttentionOptions options_;
  AttentionTensors tensors_;
  Owned1 packed_;
  Owned3 output_dot_;
  kernels::AttentionBlock block_;
  kernels::BackwardBlock gradient_;
  std::unique_ptr<kernels::BlockMask> mask_;
};

} // namespace

std::unique_ptr<AttentionLayer> make_block_sparse_layer(const AttentionOptions &options,
                                                        const AttentionTensors &tensors) {
  return std::make_unique<BlockSparseLayer>(options, tensors);
}

} // namespace ringscale::drivers
