// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/layer.hpp"
#include "kernels/attention_backward.hpp"
#include "kernels/dilated_attention.hpp"
#include "kernels/dilated_backward.hpp"
#include "ring/pattern_kernels.hpp"

namespace ringscale::drivers {

namespace {

/// Dilated attention: groups of strided runs, joined by their log-sum-exps.
class DilatedLayer : public AttentionLayer {
public:
  DilatedLayer(const AttentionOptions &options, const AttentionTensors &tensors) : options_(options) {
    attention_.query = tensors.query;
    attention_.key = tensors.key;
    attention_.value = tensors.value;
    attention_.dilation = ring::kernel_dilation(options.pattern.dilated);
    attention_.causal = options.causal();
    attention_.scale = static_cast<float>(problem::softmax_scale(options.problem.head_dim));
    attention_.output = tensors.output;
    attention_.log_sum_exp = tensors.log_sum_exp;
    workspace_ = Owned1("ringscale::workspace", kernels::dilated_workspace_elements(attention_));
    if (options.pass == Pass::backward) {
      output_dot_ =
          Owned3("ringscale::output_dot", tensors.query.extent(0), tensors.query.extent(1), tensors.query.extent(2));
      gradient_.query = tensors.query;
      gradient_.key = tensors.key;
      gradient_.value = tensors.value;
      gradient_.output_gradient = tensors.output_gradient;
      gradient_.log_sum_exp = tensors.log_sum_exp;
      gradient_.output_dot = output_dot_;
      gradient_.dilation = attention_.dilation;
      gradient_.causal = attention_.causal;
      gradient_.scale = attention_.scale;
      gradient_.query_gradient = tensors.query_gradient;
      gradient_.key_gradient = tensors.key_gradient;
      gradient_.value_gradient = tensors.value_gradient;
    }
  }

  void forward() override {
    kernels::dilated_attention(space_, attention_, workspace_.data());
    space_.fence("ringscale::attention: end of a forward pass");
  }

  void backward() override {
    kernels::output_gradient_dot(space_, attention_.output, gradient_.output_gradient, output_dot_);
    kernels::dilated_attention_backward(space_, gradient_);
    space_.fence("ringscale::attention: end of a backward pass");
  }

  kernels::KernelWork work(Pass pass) const override {
    return pass == Pass::forward ? kernels::dilated_attention_work(attention_)
                                 : kernels::dilated_attention_backward_work(gradient_);
  }

  double pairs() const override {
    return problem::admitted_pairs_of_all_heads(options_.pattern, options_.problem.mask, options_.problem.tokens,
                                                options_.key_tokens, options_.problem.query_heads);
  }

  std::int64_t workspace_bytes() const override {
    return static_cast<std::int64_t>((workspace_.size() + output_dot_.size()) * sizeof(float));
  }

  problem::ErrorBound error_bound(const problem::DataMagnitude &magnitude) const override {
    return problem::attention_error_bound(problem::DType::float32, options_.key_tokens, options_.problem.head_dim,
                                          groups(), magnitude);
  }

  problem::GradientBound gradient_bound(const problem::GradientMagnitude &magnitude,
                                        const problem::GivenError &given) const override {
    return dense_gradient_bound(options_, groups(), magnitude, given);
  }

  void multiplicities(std::int64_t, std::int64_t head, std::int64_t query, std::uint8_t *of_keys) const override {
    for (std::int64_t key = 0; key < options_.key_tokens; ++key) {
      of_keys[key] = static_cast<std::uint8_t>(problem::multiplicity(options_.pattern, options_.problem.mask,
                                                                     options_.problem.query_heads, head, query, key));
    }
  }

private:
  std::int64_t groups() const { return static_cast<std::int64_t>(attention_.dilation.segment_lengths.size()); }

  kernels::ExecutionSpace space_;
  AttentionOptions options_;
  kernels::DilatedAttention attention_;
  kernels::DilatedBackward gradient_;
  Owned3 output_dot_;
  Owned1 workspace_;
};

} // namespace

std::unique_ptr<AttentionLayer> make_dilated_layer(const AttentionOptions &options, const AttentionTensors &tensors) {
  return std::make_unique<DilatedLayer>(options, tensors);
}

} // namespace ringscale::drivers
