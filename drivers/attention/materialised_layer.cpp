// SPDX-License-Identifier: Apache-2.0
#include <numeric>
#include <vector>

#include "drivers/attention/layer.hpp"
#include "kernels/attention_materialised.hpp"
#include "kernels/attention_materialised_backward.hpp"

namespace ringscale::drivers {

namespace {

Owned1 uninitialised(const char *label, std::int64_t elements) {
  return Owned1(Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label)), elements);
}

/// Dense attention that keeps the whole score matrix: the baseline that streaming is compared with, and the one that
/// takes an arbitrary boolean mask.
class MaterialisedLayer : public AttentionLayer {
public:
  MaterialisedLayer(const AttentionOptions &options, const AttentionTensors &tensors)
      : options_(options), tensors_(tensors), gradient_(backward_block(options, tensors)),
        packed_("ringscale::packed", kernels::packed_elements(options.problem.batch, options.key_tokens,
                                                              options.problem.kv_heads, options.problem.head_dim)) {
    block_ = dense_block(options, tensors);
    block_.packed_key_value = packed_.data();
    scores_ = uninitialised("ringscale::scores", kernels::materialised_score_elements(block_));
    if (options.pass == Pass::backward) {
      output_dot_ =
          Owned3("ringscale::output_dot", tensors.query.extent(0), tensors.query.extent(1), tensors.query.extent(2));
      gradient_.output_dot = output_dot_;
      score_gradients_ = uninitialised("ringscale::score_gradients", kernels::materialised_weight_elements(gradient_));
    }
  }

  void forward() override {
    kernels::pack_key_value(space_, tensors_.key, tensors_.value, 0, options_.key_tokens, packed_.data());
    kernels::attention_block_materialised(space_, block_, scores_.data(), tensors_.boolean_mask.data());
    space_.fence("ringscale::attention: end of a forward pass");
  }

  void backward() override {
    kernels::output_gradient_dot(space_, tensors_.output, tensors_.output_gradient, output_dot_);
    kernels::attention_materialised_backward(space_, gradient_, scores_.data(), score_gradients_.data());
    space_.fence("ringscale::attention: end of a backward pass");
  }

  kernels::KernelWork work(Pass pass) const override {
    kernels::KernelWork work = pass == Pass::forward
                                   ? together(packing_work(options_), kernels::attention_materialised_work(block_))
                                   : kernels::attention_materialised_backward_work(gradient_);
    if (tensors_.boolean_mask.size() > 0) {
      work.flop *= pairs() / dense_pairs(options_); // what the boolean mask leaves is what is useful
    }
    return work;
  }

  double pairs() const override {
    if (tensors_.boolean_mask.size() == 0) {
      return dense_pairs(options_);
    }
    std::vector<std::uint8_t> of_keys(static_cast<std::size_t>(options_.key_tokens));
    double pairs = 0.0;
    for (std::int64_t query = 0; query < options_.problem.tokens; ++query) {
      multiplicities(0, 0, query, of_keys.data());
      pairs += std::accumulate(of_keys.begin(), of_keys.end(), 0.0);
    }
    return pairs * static_cast<double>(options_.problem.query_heads);
  }
  std::int64_t scores_bytes() const override {
    return static_cast<std::int64_t>((scores_.size() + score_gradients_.size()) * sizeof(float));
  }
  std::int64_t workspace_bytes() const override {
    return static_cast<std::int64_t>((packed_.size() + output_dot_.size()) * sizeof(float));
  }

  problem::ErrorBound error_bound(const problem::DataMagnitude &magnitude) const override {
    return problem::attention_error_bound(problem::DType::float32, options_.key_tokens, options_.problem.head_dim, 1,
                                          magnitude);
  }

  problem::GradientBound gradient_bound(const problem::GradientMagnitude &magnitude,
                                        const problem::GivenError &given) const override {
    return dense_gradient_bound(options_, 1, magnitude, given);
  }

  void multiplicities(std::int64_t, std::int64_t, std::int64_t query, std::uint8_t *of_keys) const override {
    fill_dense_multiplicities(block_.admission, query, options_.key_tokens, of_keys);
    if (tensors_.boolean_mask.size() == 0) {
      return;
    }
    const auto row = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{},
                                                         Kokkos::subview(tensors_.boolean_mask, query, Kokkos::ALL));
    for (std::int64_t key = 0; key < options_.key_tokens; ++key) {
      of_keys[key] = row(static_cast<std::size_t>(key)) != 0 ? of_keys[key] : std::uint8_t{0};
    }
  }

private:
  kernels::ExecutionSpace space_;
  AttentionOptions options_;
  AttentionTensors tensors_;
  kernels::AttentionBlock block_;
  kernels::BackwardBlock gradient_;
  Owned1 packed_;
  Owned1 scores_, score_gradients_;
  Owned3 output_dot_;
};

} // namespace

std::unique_ptr<AttentionLayer> make_materialised_layer(const AttentionOptions &options,
                                                        const AttentionTensors &tensors) {
  return std::make_unique<MaterialisedLayer>(options, tensors);
}

} // namespace ringscale::drivers
