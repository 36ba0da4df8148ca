// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/layer.hpp"
#include "kernels/attention_low_precision.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::drivers {

namespace {

using Storage4 = Kokkos::View<std::uint16_t ****, Kokkos::LayoutRight, kernels::MemorySpace>;
using Storage1 = Kokkos::View<std::uint16_t *, kernels::MemorySpace>;

/// Dense attention on two-byte storage with float32 sums. Its backward pass converts to float32 first.
class LowPrecisionLayer : public AttentionLayer {
public:
  LowPrecisionLayer(const AttentionOptions &options, const AttentionTensors &tensors)
      : options_(options), dense_(make_dense_layer(options, tensors)), query_(stored(tensors.query)),
        key_(stored(tensors.key)), value_(stored(tensors.value)),
        packed_("ringscale::packed",
                kernels::packed_low_precision_elements(options.problem.batch, options.key_tokens,
                                                       options.problem.kv_heads, options.problem.head_dim)) {
    const kernels::AttentionBlock dense = dense_block(options, tensors);
    block_.format = number_format(options.problem.dtype);
    block_.query = query_;
    block_.packed_key_value = packed_.data();
    block_.key_tokens = dense.key_tokens;
    block_.kv_heads = dense.kv_heads;
    block_.query_end = dense.query_end;
    block_.admission = dense.admission;
    block_.scale = dense.scale;
    block_.output = dense.output;
    block_.log_sum_exp = dense.log_sum_exp;
  }

  void forward() override {
    kernels::pack_key_value(space_, key_, value_, 0, options_.key_tokens, packed_.data());
    kernels::attention_block_low_precision(space_, block_);
    space_.fence("ringscale::attention: end of a forward pass");
  }

  void backward() override { dense_->backward(); }

  kernels::KernelWork work(Pass pass) const override {
    if (pass == Pass::backward) {
      return dense_->work(pass);
    }
    kernels::KernelWork packing;
    packing.read_bytes = static_cast<double>((key_.size() + value_.size()) * sizeof(std::uint16_t));
    packing.written_bytes = static_cast<double>(packed_.size() * sizeof(std::uint16_t));
    return together(packing, kernels::attention_low_precision_work(block_));
  }

  double pairs() const override { return dense_->pairs(); }
  std::string arithmetic() const override {
    if (options_.pass == Pass::backward) {
      return "converted to float32 beforehand";
    }
    return native() ? "bfloat16 products, float32 sums" : "converted to float32";
  }
  std::int64_t workspace_bytes() const override {
    return static_cast<std::int64_t>(packed_.size() * sizeof(std::uint16_t)) +
           (options_.pass == Pass::backward ? dense_->workspace_bytes() : 0);
  }

  problem::ErrorBound error_bound(const problem::DataMagnitude &magnitude) const override {
    problem::Roundings roundings;
    roundings.weights = native() ? problem::DType::bfloat16 : problem::DType::float32;
    return problem::attention_error_bound(roundings, options_.key_tokens, options_.problem.head_dim, 1, magnitude);
  }

  problem::GradientBound gradient_bound(const problem::GradientMagnitude &magnitude,
                                        const problem::GivenError &given) const override {
    return dense_->gradient_bound(magnitude, given);
  }

  void multiplicities(std::int64_t batch, std::int64_t head, std::int64_t query, std::uint8_t *of_keys) const override {
    dense_->multiplicities(batch, head, query, of_keys);
  }

private:
  Storage4 stored(const Owned4 &tensor) const {
    const Storage4 storage("ringscale::stored", tensor.extent(0), tensor.extent(1), tensor.extent(2), tensor.extent(3));
    kernels::pack_elements(space_, tensor.data(), static_cast<std::int64_t>(tensor.size()),
                           number_format(options_.problem.dtype), storage.data());
    space_.fence("ringscale::attention: tensors are stored");
    return storage;
  }

  bool native() const { return options_.problem.dtype == problem::DType::bfloat16 && kernels::has_native_bfloat16(); }

  kernels::ExecutionSpace space_;
  AttentionOptions options_;
  std::unique_ptr<AttentionLayer> dense_;
  Storage4 query_, key_, value_;
  Storage1 packed_;
  kernels::LowPrecisionBlock block_;
};

} // namespace

std::unique_ptr<AttentionLayer> make_low_precision_layer(const AttentionOptions &options,
                                                         const AttentionTensors &tensors) {
  return std::make_unique<LowPrecisionLayer>(options, tensors);
}

} // namespace ringscale::drivers
