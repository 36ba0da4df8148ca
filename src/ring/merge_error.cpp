// SPDX-License-Identifier: Apache-2.0
#include "ring/merge_error.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "kernels/attention_low_precision.hpp"
#include "kernels/reference.hpp"
#include "kernels/rounding.hpp"
#include "problem/error_bound.hpp"
#include "problem/invalid_input.hpp"
#include "problem/synthetic.hpp"
#include "ring/rank_data.hpp"

namespace ringscale::ring {

using kernels::NumberFormat;
using problem::DType;
using problem::InvalidInput;

namespace {

using Floats = Kokkos::View<float *, kernels::MemorySpace>;
using Doubles = Kokkos::View<double *, kernels::MemorySpace>;
using Patterns = Kokkos::View<std::uint16_t *, kernels::MemorySpace>;

std::size_t extent(std::int64_t value) { return static_cast<std::size_t>(value); }

NumberFormat format_of(DType dtype) {
  switch (dtype) {
  case DType::float32:
    return NumberFormat::float32;
  case DType::bfloat16:
    return NumberFormat::bfloat16;
  case DType::float16:
    return NumberFormat::float16;
  default:
    throw InvalidInput("dtype is " + std::string(problem::name(dtype)) +
                       "; errors of merging are measured for float32, bfloat16 and float16");
  }
}

struct Errors {
  double largest = 0.0;
  double sum = 0.0;
  std::int64_t beyond = 0;
  std::int64_t count = 0;

  void add(double error, double bound) {
    // A NaN once met stays: nothing is larger than it.
    largest = std::isnan(error) || error > largest ? error : largest;
    sum += error;
    beyond += !(error <= bound) ? 1 : 0;
    ++count;
  }
};

/// One sample: tensors of one seed, their references, and the blocks merged into one partial.
class Sample {
public:
  Sample(const MergeErrorOptions &options, std::uint64_t seed)
      : options_(options), format_(format_of(options.problem.dtype)), query_("query", extent(query_elements())),
        key_("key", extent(key_elements())), value_("value", extent(key_elements())),
        output_("output", extent(query_elements())), log_sum_exp_("log_sum_exp", extent(rows())),
        reference_("reference", extent(query_elements())), original_("original", extent(query_elements())),
        reference_lse_("reference log_sum_exp", extent(rows())) {
    const problem::TokenSet queries{{0, options.query_tokens, 1}, {}};
    const problem::TokenSet keys{{0, options.problem.tokens, 1}, {}};
    fill_tensor(query_.data(), seed, problem::Tensor::query, options.problem, queries);
    fill_tensor(key_.data(), seed, problem::Tensor::key, options.problem, keys);
    fill_tensor(value_.data(), seed, problem::Tensor::value, options.problem, keys);
    compute_reference(original_);
    for (const Floats &tensor : {query_, key_, value_}) {
      kernels::round_elements(space_, tensor.data(), static_cast<std::int64_t>(tensor.size()), format_, tensor.data());
    }
    compute_reference(reference_);
    if (stored_in_two_bytes()) {
      query_patterns_ = Patterns("query patterns", query_.size());
      output_patterns_ = Patterns("output patterns", output_.size());
      kernels::pack_elements(space_, query_.data(), query_elements(), format_, query_patterns_.data());
    }
  }

  void merge_blocks() {
    Kokkos::deep_copy(space_, log_sum_exp_, -std::numeric_limits<float>::infinity());
    const std::int64_t keys = options_.problem.tokens;
    for (std::int64_t index = 0; index < options_.merged_blocks; ++index) {
      const std::int64_t begin = keys * index / options_.merged_blocks;
      const std::int64_t count = keys * (index + 1) / options_.merged_blocks - begin;
      if (stored_in_two_bytes()) {
        merge_stored(begin, count);
      } else {
        merge_float32(begin, count);
      }
    }
    if (options_.merge_dtype != DType::float32) {
      kernels::unpack_elements(space_, output_patterns_.data(), query_elements(), format_, output_.data());
    }
    space_.fence("ringscale::merge_error: merged");
  }

  Errors errors(bool of_original, double bound) const {
    return compare(output_, of_original ? original_ : reference_, bound);
  }
  double output_rms() const {
    const auto exact = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), reference_);
    double squares = 0.0;
    for (std::size_t index = 0; index < exact.size(); ++index) {
      squares += exact(index) * exact(index);
    }
    return std::sqrt(squares / static_cast<double>(exact.size()));
  }
  Errors log_sum_exp_errors(double bound) const { return compare(log_sum_exp_, reference_lse_, bound); }

private:
  bool stored_in_two_bytes() const { return format_ != NumberFormat::float32; }
  std::int64_t rows() const { return options_.problem.batch * options_.query_tokens * options_.problem.query_heads; }
  std::int64_t query_elements() const { return rows() * options_.problem.head_dim; }
  std::int64_t key_elements() const {
    return options_.problem.batch * options_.problem.tokens * options_.problem.kv_heads * options_.problem.head_dim;
  }

  template <class Tensor, class Storage>
  Tensor tensor(const Storage &storage, std::int64_t tokens, std::int64_t heads) const {
    return Tensor(storage.data(), extent(options_.problem.batch), extent(tokens), extent(heads),
                  extent(options_.problem.head_dim));
  }
  template <class Tensor, class Storage> Tensor rows_of(const Storage &storage) const {
    return Tensor(storage.data(), extent(options_.problem.batch), extent(options_.query_tokens),
                  extent(options_.problem.query_heads));
  }

  void compute_reference(const Doubles &output) const {
    const problem::AttentionProblem &shape = options_.problem;
    using kernels::ConstTensor4;
    kernels::reference_attention(space_, tensor<ConstTensor4>(query_, options_.query_tokens, shape.query_heads),
                                 tensor<ConstTensor4>(key_, shape.tokens, shape.kv_heads),
                                 tensor<ConstTensor4>(value_, shape.tokens, shape.kv_heads), false, 0,
                                 problem::softmax_scale(shape.head_dim),
                                 tensor<kernels::ReferenceTensor4>(output, options_.query_tokens, shape.query_heads),
                                 rows_of<kernels::ReferenceTensor3>(reference_lse_));
    space_.fence("ringscale::merge_error: reference");
  }

  template <class Block> void set_shape(Block &block, std::int64_t count) const {
    block.key_tokens = count;
    block.kv_heads = options_.problem.kv_heads;
    block.query_end = options_.query_tokens;
    block.scale = static_cast<float>(problem::softmax_scale(options_.problem.head_dim));
    block.output = tensor<kernels::Tensor4>(output_, options_.query_tokens, options_.problem.query_heads);
    block.log_sum_exp = rows_of<kernels::Tensor3>(log_sum_exp_);
    block.merge = kernels::Merge::online;
  }

  void merge_float32(std::int64_t begin, std::int64_t count) {
    const problem::AttentionProblem &shape = options_.problem;
    const std::int64_t elements = kernels::packed_elements(shape.batch, count, shape.kv_heads, shape.head_dim);
    if (static_cast<std::int64_t>(packed_.size()) < elements) {
      packed_ = Floats("packed", extent(elements));
    }
    using kernels::ConstTensor4;
    kernels::pack_key_value(space_, tensor<ConstTensor4>(key_, shape.tokens, shape.kv_heads),
                            tensor<ConstTensor4>(value_, shape.tokens, shape.kv_heads), begin, count, packed_.data());
    kernels::AttentionBlock block;
    set_shape(block, count);
    block.query = tensor<ConstTensor4>(query_, options_.query_tokens, shape.query_heads);
    block.packed_key_value = packed_.data();
    kernels::attention_block(space_, block);
  }

  void merge_stored(std::int64_t begin, std::int64_t count) {
    const problem::AttentionProblem &shape = options_.problem;
    const std::int64_t elements =
        kernels::packed_low_precision_elements(shape.batch, count, shape.kv_heads, shape.head_dim);
    if (static_cast<std::int64_t>(packed_patterns_.size()) < elements) {
      packed_patterns_ = Patterns("packed patterns", extent(elements));
    }
    using kernels::ConstTensor4;
    kernels::pack_key_value(space_, tensor<ConstTensor4>(key_, shape.tokens, shape.kv_heads),
                            tensor<ConstTensor4>(value_, shape.tokens, shape.kv_heads), begin, count, format_,
                            packed_patterns_.data());
    kernels::LowPrecisionBlock block;
    set_shape(block, count);
    block.format = format_;
    block.arithmetic = kernels::LowPrecisionArithmetic::converted; // the same on every host
    block.query = tensor<kernels::ConstStorageTensor4>(query_patterns_, options_.query_tokens, shape.query_heads);
    block.packed_key_value = packed_patterns_.data();
    if (options_.merge_dtype != DType::float32) {
      block.storage_output =
          tensor<kernels::StorageTensor4>(output_patterns_, options_.query_tokens, shape.query_heads);
    }
    kernels::attention_block_low_precision(space_, block);
  }

  static Errors compare(const Floats &found, const Doubles &expected, double bound) {
    const auto host_found = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), found);
    const auto host_expected = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), expected);
    Errors errors;
    for (std::size_t index = 0; index < host_found.size(); ++index) {
      errors.add(std::abs(static_cast<double>(host_found(index)) - host_expected(index)), bound);
    }
    return errors;
  }

  const MergeErrorOptions &options_;
  NumberFormat format_;
  kernels::ExecutionSpace space_;
  Floats query_, key_, value_, output_, log_sum_exp_, packed_;
  Doubles reference_, original_, reference_lse_;
  Patterns query_patterns_, output_patterns_, packed_patterns_;
};

} // namespace

void validate(const MergeErrorOptions &options) {
  problem::validate(options.problem);
  format_of(options.problem.dtype);
  if (options.merge_dtype != DType::float32 && options.merge_dtype != options.problem.dtype) {
    throw InvalidInput("merge_dtype is " + std::string(problem::name(options.merge_dtype)) +
                       "; it must be float32 or the dtype (" + std::string(problem::name(options.problem.dtype)) + ")");
  }
  if (options.problem.mask != problem::Mask::none) {
    throw InvalidInput("errors of merging are measured without a mask");
  }
  if (options.merged_blocks < 1 || options.merged_blocks > options.problem.tokens) {
    throw InvalidInput("merged_blocks is " + std::to_string(options.merged_blocks) +
                       "; it must be between 1 and tokens (" + std::to_string(options.problem.tokens) + ")");
  }
  if (options.query_tokens < 1 || options.samples < 1) {
    throw InvalidInput("query_tokens and repetitions must be at least 1");
  }
}

MergeErrorRun measure_merge_error(const MergeErrorOptions &options) {
  validate(options);
  const problem::AttentionProblem &shape = options.problem;
  // The rounded tensors are what errors of merging refer to; rounding may have lengthened them.
  problem::DataMagnitude magnitude = problem::synthetic_magnitude(shape.head_dim);
  MergeErrorRun run;
  run.total_error_bound = problem::attention_error_bound({shape.dtype, DType::float32, options.merge_dtype},
                                                         shape.tokens, shape.head_dim, options.merged_blocks, magnitude)
                              .output;
  if (shape.dtype != DType::float32) {
    const double growth = 1.0 + problem::unit_roundoff(shape.dtype);
    magnitude.max_value *= growth;
    magnitude.max_query_norm *= growth;
    magnitude.max_key_norm *= growth;
  }
  const problem::ErrorBound bound =
      problem::attention_error_bound({DType::float32, DType::float32, options.merge_dtype}, shape.tokens,
                                     shape.head_dim, options.merged_blocks, magnitude);
  run.error_bound = bound.output;
  run.lse_error_bound = bound.log_sum_exp;
  run.threads = kernels::ExecutionSpace().concurrency();
  for (int index = 0; index < options.samples; ++index) {
    Sample sample(options, options.seed + static_cast<std::uint64_t>(index));
    sample.merge_blocks();
    const Errors merging = sample.errors(false, run.error_bound);
    const Errors total = sample.errors(true, run.total_error_bound);
    const Errors log_sum_exp = sample.log_sum_exp_errors(run.lse_error_bound);
    run.max_error_samples.push_back(merging.largest);
    run.mean_error_samples.push_back(merging.sum / static_cast<double>(merging.count));
    run.total_max_error_samples.push_back(total.largest);
    run.total_mean_error_samples.push_back(total.sum / static_cast<double>(total.count));
    run.max_lse_error_samples.push_back(log_sum_exp.largest);
    run.output_rms_samples.push_back(sample.output_rms());
    run.wrong_elements += merging.beyond + total.beyond + log_sum_exp.beyond;
  }
  return run;
}

} // namespace ringscale::ring
