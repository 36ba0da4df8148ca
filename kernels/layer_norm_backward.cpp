// SPDX-License-Identifier: Apache-2.0
#include "kernels/layer_norm_backward.hpp"

#include <stdexcept>

namespace ringscale::kernels {

namespace {

/// Mean and 1 / sigma of each row, two floats a row.
struct RowStatistics {
  const float *input;
  std::int64_t features;
  float epsilon;
  float *statistics;

  KOKKOS_FUNCTION void operator()(const std::int64_t row) const {
    const float *from = input + row * features;
    double mean = 0.0;
    for (std::int64_t feature = 0; feature < features; ++feature) {
      mean += static_cast<double>(from[feature]);
    }
    mean /= static_cast<double>(features);
    double variance = 0.0;
    for (std::int64_t feature = 0; feature < features; ++feature) {
      const double deviation = static_cast<double>(from[feature]) - mean;
      variance += deviation * deviation;
    }
    variance /= static_cast<double>(features);
    statistics[2 * row] = static_cast<float>(mean);
    statistics[2 * row + 1] = static_cast<float>(1.0 / Kokkos::sqrt(variance + static_cast<double>(epsilon)));
  }
};

/// Sums over all rows, for a run of features that lie side by side.
struct ParameterGradients {
  static constexpr std::int64_t run_features = 16;

  const float *input;
  const float *output_gradient;
  const float *statistics;
  std::int64_t rows;
  std::int64_t features;
  LayerNormGradients gradients;

  KOKKOS_FUNCTION void operator()(const std::int64_t run) const {
    const std::int64_t begin = run * run_features;
    const std::int64_t count = features - begin < run_features ? features - begin : run_features;
    double gain[run_features] = {};
    double bias[run_features] = {};
    for (std::int64_t row = 0; row < rows; ++row) {
      const float mean = statistics[2 * row];
      const float factor = statistics[2 * row + 1];
      const float *from = input + row * features + begin;
      const float *upstream = output_gradient + row * features + begin;
      for (std::int64_t feature = 0; feature < count; ++feature) {
        gain[feature] += static_cast<double>(upstream[feature] * ((from[feature] - mean) * factor));
        bias[feature] += static_cast<double>(upstream[feature]);
      }
    }
    for (std::int64_t feature = 0; feature < count; ++feature) {
      if (gradients.gain != nullptr) {
        gradients.gain[begin + feature] = static_cast<float>(gain[feature]);
      }
      if (gradients.bias != nullptr) {
        gradients.bias[begin + feature] = static_cast<float>(bias[feature]);
      }
    }
  }
};

struct InputGradient {
  const float *input;
  const float *output_gradient;
  const float *statistics;
  std::int64_t features;
  const float *gain;
  float *gradient;

  KOKKOS_FUNCTION void operator()(const std::int64_t row) const {
    const float *from = input + row * features;
    const float *upstream = output_gradient + row * features;
    float *to = gradient + row * features;
    const float mean = statistics[2 * row];
    const float factor = statistics[2 * row + 1];
    const auto scaled = [&](std::int64_t feature) {
      return gain == nullptr ? upstream[feature] : upstream[feature] * gain[feature];
    };
    double sum = 0.0;
    double dot = 0.0;
    for (std::int64_t feature = 0; feature < features; ++feature) {
      const float value = scaled(feature);
      sum += static_cast<double>(value);
      dot += static_cast<double>(value * ((from[feature] - mean) * factor));
    }
    const auto mean_gradient = static_cast<float>(sum / static_cast<double>(features));
    const auto mean_dot = static_cast<float>(dot / static_cast<double>(features));
    // Each element is read before it is written, and none after: the output's gradient may be overwritten.
    for (std::int64_t feature = 0; feature < features; ++feature) {
      const float normalised = (from[feature] - mean) * factor;
      to[feature] = factor * (scaled(feature) - mean_gradient - normalised * mean_dot);
    }
  }
};

} // namespace

std::int64_t layer_norm_backward_workspace_elements(std::int64_t rows) { return 2 * rows; }

void layer_norm_backward(const ExecutionSpace &space, const float *input, const float *output_gradient,
                         std::int64_t rows, std::int64_t features, const LayerNorm &norm,
                         const LayerNormGradients &gradients, float *workspace) {
  Kokkos::Profiling::ScopedRegion region("ringscale::layer_norm_backward");
  if (rows < 0 || features <= 0 || !(norm.epsilon >= 0.0F)) {
    throw std::invalid_argument("layer_norm_backward: rows, features or epsilon are out of range");
  }
  if (rows > 0 && (input == nullptr || output_gradient == nullptr || workspace == nullptr)) {
    throw std::invalid_argument("layer_norm_backward: input, output gradient or workspace are null");
  }
  using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;
  Kokkos::parallel_for("ringscale::layer_norm_backward::rows", Policy(space, 0, rows),
                       RowStatistics{input, features, norm.epsilon, workspace});
  if (gradients.gain != nullptr || gradients.bias != nullptr) {
    constexpr std::int64_t run = ParameterGradients::run_features;
    Kokkos::parallel_for("ringscale::layer_norm_backward::parameters", Policy(space, 0, (features + run - 1) / run),
                         ParameterGradients{input, output_gradient, workspace, rows, features, gradients});
  }
  if (gradients.input != nullptr) {
    Kokkos::parallel_for("ringscale::layer_norm_backward::input", Policy(space, 0, rows),
                         InputGradient{input, output_gradient, workspace, features, norm.gain, gradients.input});
  }
}

KernelWork layer_norm_backward_work(std::int64_t rows, std::int64_t features, const LayerNorm &norm,
                                    const LayerNormGradients &gradients) {
  constexpr double float_bytes = sizeof(float);
  const auto columns = static_cast<double>(features);
  const double elements = static_cast<double>(rows) * columns;
  const auto wanted = [](const float *gradient) { return gradient == nullptr ? 0.0 : 1.0; };
  KernelWork work;
  work.flop = elements * (4.0 + 10.0 * wanted(gradients.input) + 4.0 * wanted(gradients.gain) + wanted(gradients.bias));
  const double gain_read = wanted(gradients.input) * wanted(norm.gain);
  work.read_bytes = float_bytes * (2.0 * elements + gain_read * columns);
  work.written_bytes =
      float_bytes * (wanted(gradients.input) * elements + (wanted(gradients.gain) + wanted(gradients.bias)) * columns);
  return work;
}

} // namespace ringscale::kernels
