// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/tensors.hpp"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <set>
#include <span>

#include "problem/invalid_input.hpp"
#include "problem/synthetic.hpp"
#include "report/npy_values.hpp"
#include "report/output_file.hpp"

namespace ringscale::drivers {

namespace {

using report::NpyTensor;

std::string shape_text(const NpyTensor &tensor) {
  std::string text = "[";
  for (const std::int64_t extent : tensor.shape) {
    text += text.size() > 1 ? ", " : "";
    text += std::to_string(extent);
  }
  return text + "]";
}

/// Throws unless `tensor` of `file` has the extents `expected`; `relation` says where these come from.
void require_shape(const std::string &file, const NpyTensor &tensor, const std::vector<std::int64_t> &expected,
                   const std::string &relation) {
  if (tensor.shape != expected) {
    NpyTensor wanted;
    wanted.shape = expected;
    throw problem::InvalidInput(file + " has shape " + shape_text(tensor) + "; " + relation + " needs " +
                                shape_text(wanted));
  }
}

void require_type(const std::string &file, const NpyTensor &tensor, const std::string &query_file,
                  const NpyTensor &query) {
  if (tensor.type != query.type) {
    throw problem::InvalidInput(file + " holds " + std::string(report::name(tensor.type)) + " and " + query_file + " " +
                                std::string(report::name(query.type)) + "; all tensors must have one dtype");
  }
}

Owned4 device_tensor(const char *label, const std::vector<std::int64_t> &shape, const std::vector<float> &elements) {
  const Owned4 tensor(Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label)), shape[0], shape[1], shape[2],
                      shape[3]);
  const Kokkos::View<const float ****, Kokkos::LayoutRight, Kokkos::HostSpace, kernels::Unmanaged> host(
      elements.data(), shape[0], shape[1], shape[2], shape[3]);
  Kokkos::deep_copy(tensor, host);
  return tensor;
}

Owned4 nan_tensor(const char *label, const Owned4 &like) {
  const Owned4 tensor(Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label)), like.extent(0),
                      like.extent(1), like.extent(2), like.extent(3));
  Kokkos::deep_copy(tensor, std::numeric_limits<float>::quiet_NaN());
  return tensor;
}

/// Synthetic elements of `tokens` tokens; the output gradient takes the stream after the three inputs.
std::vector<float> synthetic_elements(const AttentionOptions &options, problem::Tensor kind, std::int64_t tokens) {
  problem::AttentionProblem shape = options.problem;
  shape.tokens = tokens;
  problem::TokenSet all;
  all.first = {0, tokens, 1};
  const bool of_query = kind == problem::Tensor::query || kind == problem::Tensor::output_gradient;
  const std::int64_t heads = of_query ? shape.query_heads : shape.kv_heads;
  std::vector<float> elements(static_cast<std::size_t>(shape.batch * tokens * heads * shape.head_dim));
  problem::fill_synthetic(elements.data(), options.seed, kind, shape, all);
  return elements;
}

} // namespace

InputFiles read_input_files(AttentionOptions &options) {
  const TensorFiles &files = options.files;
  InputFiles inputs;
  inputs.query = report::read_npy(files.query);
  inputs.key = report::read_npy(files.key);
  inputs.value = report::read_npy(files.value);
  const std::vector<std::int64_t> &query = inputs.query.shape;
  const std::vector<std::int64_t> &key = inputs.key.shape;
  require_shape(files.key, inputs.key, {query[0], key[1], key[2], query[3]},
                "the batch and head_dim of " + files.query);
  require_shape(files.value, inputs.value, key, "the shape of " + files.key);
  require_type(files.key, inputs.key, files.query, inputs.query);
  require_type(files.value, inputs.value, files.query, inputs.query);
  if (!files.output_gradient.empty()) {
    inputs.output_gradient = report::read_npy(files.output_gradient);
    require_shape(files.output_gradient, inputs.output_gradient, query, "the shape of " + files.query);
    require_type(files.output_gradient, inputs.output_gradient, files.query, inputs.query);
  }
  if (!files.boolean_mask.empty()) {
    inputs.boolean_mask = report::read_npy_mask(files.boolean_mask);
    require_shape(files.boolean_mask, inputs.boolean_mask, {query[1], key[1]},
                  "the tokens of " + files.query + " and " + files.key);
  }
  if (query[2] % key[2] != 0) {
    throw problem::InvalidInput(files.query + " has " + std::to_string(query[2]) +
                                " heads; they must be a multiple of the " + std::to_string(key[2]) + " heads of " +
                                files.key);
  }
  problem::AttentionProblem &problem = options.problem;
  problem.batch = query[0];
  problem.tokens = query[1];
  problem.query_heads = query[2];
  problem.kv_heads = key[2];
  problem.head_dim = query[3];
  problem.dtype = problem::parse_dtype(report::name(inputs.query.type));
  options.key_tokens = key[1];
  return inputs;
}

AttentionTensors make_tensors(const AttentionOptions &options, const InputFiles &inputs) {
  const problem::AttentionProblem &problem = options.problem;
  const bool backward = options.pass == Pass::backward;
  const auto make = [&](const char *label, problem::Tensor kind, const NpyTensor &file) {
    const bool of_query = kind == problem::Tensor::query || kind == problem::Tensor::output_gradient;
    const std::int64_t tokens = of_query ? problem.tokens : options.key_tokens;
    const std::int64_t heads = of_query ? problem.query_heads : problem.kv_heads;
    const Owned4 tensor =
        device_tensor(label, {problem.batch, tokens, heads, problem.head_dim},
                      file.shape.empty() ? synthetic_elements(options, kind, tokens) : report::to_float(file));
    const kernels::ExecutionSpace space;
    kernels::round_elements(space, tensor.data(), static_cast<std::int64_t>(tensor.size()),
                            number_format(problem.dtype), tensor.data());
    space.fence("ringscale::attention: inputs are rounded");
    return tensor;
  };
  AttentionTensors tensors;
  tensors.query = make("ringscale::query", problem::Tensor::query, inputs.query);
  tensors.key = make("ringscale::key", problem::Tensor::key, inputs.key);
  tensors.value = make("ringscale::value", problem::Tensor::value, inputs.value);
  tensors.output = nan_tensor("ringscale::output", tensors.query);
  tensors.log_sum_exp =
      Owned3("ringscale::log_sum_exp", tensors.query.extent(0), tensors.query.extent(1), tensors.query.extent(2));
  Kokkos::deep_copy(tensors.log_sum_exp, std::numeric_limits<float>::quiet_NaN());
  if (!inputs.boolean_mask.data.empty()) {
    tensors.boolean_mask = Bytes2("ringscale::boolean_mask", problem.tokens, options.key_tokens);
    const auto host = Kokkos::create_mirror_view(tensors.boolean_mask);
    std::memcpy(host.data(), inputs.boolean_mask.data.data(), inputs.boolean_mask.data.size());
    Kokkos::deep_copy(tensors.boolean_mask, host);
  }
  if (backward) {
    tensors.output_gradient =
        make("ringscale::output_gradient", problem::Tensor::output_gradient, inputs.output_gradient);
    tensors.query_gradient = nan_tensor("ringscale::query_gradient", tensors.query);
    tensors.key_gradient = nan_tensor("ringscale::key_gradient", tensors.key);
    tensors.value_gradient = nan_tensor("ringscale::value_gradient", tensors.value);
  }
  return tensors;
}

namespace {

/// What a result is stored as: formats that .npy does not know, and that are emulated here, go as float32.
report::NpyType file_type(problem::DType dtype) {
  for (const report::NpyType type : {report::NpyType::float16, report::NpyType::bfloat16}) {
    if (report::name(type) == problem::name(dtype)) {
      return type;
    }
  }
  return report::NpyType::float32;
}

/// Path and tensor of every result that a run of `options` writes.
std::vector<std::pair<std::filesystem::path, Owned4>> results(const AttentionOptions &options,
                                                              const AttentionTensors &tensors) {
  std::vector<std::pair<std::filesystem::path, Owned4>> list;
  if (!options.files.output.empty()) {
    list.emplace_back(options.files.output, tensors.output);
  }
  if (!options.files.output_gradient_prefix.empty()) {
    const std::string &prefix = options.files.output_gradient_prefix;
    list.emplace_back(prefix + "q.npy", tensors.query_gradient);
    list.emplace_back(prefix + "k.npy", tensors.key_gradient);
    list.emplace_back(prefix + "v.npy", tensors.value_gradient);
  }
  return list;
}

} // namespace

void require_output_files(const AttentionOptions &options) {
  std::set<std::filesystem::path> paths;
  for (const auto &[path, tensor] : results(options, {})) {
    if (!paths.insert(std::filesystem::weakly_canonical(std::filesystem::absolute(path))).second) {
      throw problem::InvalidInput("two results would go to " + path.string() + "; name them apart");
    }
    report::require_new_file(path);
  }
}

kernels::NumberFormat number_format(problem::DType dtype) {
  switch (dtype) {
  case problem::DType::float32:
    return kernels::NumberFormat::float32;
  case problem::DType::tfloat32:
    return kernels::NumberFormat::tfloat32;
  case problem::DType::bfloat16:
    return kernels::NumberFormat::bfloat16;
  case problem::DType::float16:
    return kernels::NumberFormat::float16;
  case problem::DType::float8_e4m3:
    return kernels::NumberFormat::float8_e4m3;
  case problem::DType::float8_e5m2:
    return kernels::NumberFormat::float8_e5m2;
  }
  throw problem::InvalidInput("dtype without a format");
}

std::int64_t overflowed_elements(const AttentionOptions &options, const AttentionTensors &tensors) {
  std::int64_t count = 0;
  for (const auto &[path, tensor] : results(options, tensors)) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensor);
    const report::NpyType type = file_type(options.problem.dtype);
    for (std::size_t index = 0; index < host.size(); ++index) {
      const float value = host.data()[index];
      const float stored = type == report::NpyType::float16    ? report::float16_value(report::float16_bits(value))
                           : type == report::NpyType::bfloat16 ? report::bfloat16_value(report::bfloat16_bits(value))
                                                               : value;
      count += std::isfinite(value) && !std::isfinite(stored) ? 1 : 0;
    }
  }
  return count;
}

std::vector<std::string> write_results(const AttentionOptions &options, const AttentionTensors &tensors) {
  std::vector<std::string> written;
  for (const auto &[path, tensor] : results(options, tensors)) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensor);
    const std::int64_t shape[] = {host.extent_int(0), host.extent_int(1), host.extent_int(2), host.extent_int(3)};
    const report::NpyType type = file_type(options.problem.dtype);
    report::write_npy(path, shape, type, report::to_bytes({host.data(), host.size()}, type));
    written.push_back(path.string());
  }
  return written;
}

} // namespace ringscale::drivers
