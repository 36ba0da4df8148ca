// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/layer.hpp"
#include "kernels/attention.hpp"
#include "kernels/attention_backward.hpp"
#include "problem/attention_problem.hpp"

namespace ringscale::drivers {

namespace {

/// Dense attention by the streamed kernels.
class DenseLayer : public AttentionLayer {
public:
  DenseLayer(const AttentionOptions &options, const AttentionTensors &tensors)
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
      workspace_ = Owned1("ringscale::workspace", kernels::attention_backward_workspace_elements(space_, gradient_));
    }
  }

  void forward() override {
    kernels::attention(space_, tensors_.key, tensors_.value, block_, packed_.data());
    space_.fence("ringscale::attention: end of a forward pass");
  }

  void backward() override {
    kernels::output_gradient_dot(space_, tensors_.output, tensors_.output_gradient, output_dot_);
    kernels::attention_backward(space_, gradient_, workspace_.data());
    space_.fence("ringscale::attention: end of a backward pass");
  }

  kernels::KernelWork work(Pass pass) const override {
    return pass == Pass::forward ? kernels::attention_work(block_) : kernels::attention_backward_work(gradient_);
  }

  double pairs() const override { return dense_pairs(options_); }

  problem::ErrorBound error_bound(const problem::DataMagnitude &magnitude) const override {
    return problem::attention_error_bound(problem::DType::float32, options_.key_tokens, options_.problem.head_dim, 1,
                                          magnitude);
  }

  problem::GradientBound gradient_bound(const problem::GradientMagnitude &magnitude,
                                        const problem::GivenError &given) const override {
    return dense_gradient_bound(options_, 1, magnitude, given);
  }

  std::int64_t workspace_bytes() const override {
    return static_cast<std::int64_t>((packed_.size() + workspace_.size() + output_dot_.size()) * sizeof(float));
  }

  void multiplicities(std::int64_t, std::int64_t, std::int64_t query, std::uint8_t *of_keys) const override {
    fill_dense_multiplicities(block_.admission, query, options_.key_tokens, of_keys);
  }

private:
  kernels::ExecutionSpace space_;
  AttentionOptions options_;
  AttentionTensors tensors_;
  Owned1 packed_;
  Owned1 workspace_;
  Owned3 output_dot_;
  kernels::AttentionBlock block_;
  kernels::BackwardBlock gradient_;
};

} // namespace

std::unique_ptr<AttentionLayer> make_dense_layer(const AttentionOptions &options, const AttentionTensors &tensors) {
  return std::make_unique<DenseLayer>(options, tensors);
}

} // namespace ringscale::drivers
