// SPDX-License-Identifier: Apache-2.0
#include "kernels/layer_norm.hpp"

#include <stdexcept>

namespace ringscale::kernels {

namespace {

/// One row. Sums run in independent chains, which compilers turn into vectors without changing any rounding.
struct NormaliseRow {
  static constexpr int chains = 16;

  const float *input;
  std::int64_t features;
  LayerNorm norm;
  float *output;

  template <class Term> KOKKOS_INLINE_FUNCTION float sum(const Term &term) const {
    float chain[chains] = {};
    const std::int64_t whole = features / chains * chains;
    for (std::int64_t begin = 0; begin < whole; begin += chains) {
      for (int index = 0; index < chains; ++index) {
        chain[index] += term(begin + index);
      }
    }
    double total = 0.0;
    for (std::int64_t feature = whole; feature < features; ++feature) {
      total += static_cast<double>(term(feature));
    }
    for (int index = 0; index < chains; ++index) {
      total += static_cast<double>(chain[index]);
    }
    return static_cast<float>(total / static_cast<double>(features));
  }

  KOKKOS_FUNCTION void operator()(const std::int64_t row) const {
    const float *from = input + row * features;
    float *to = output + row * features;
    const float mean = sum([&](std::int64_t feature) { return from[feature]; });
    // A second pass over the deviations: mean of squares less square of mean would cancel.
    const float variance = sum([&](std::int64_t feature) {
      const float deviation = from[feature] - mean;
      return deviation * deviation;
    });
    const float factor = 1.0F / Kokkos::sqrt(variance + norm.epsilon);
    if (norm.gain == nullptr && norm.bias == nullptr) {
      for (std::int64_t feature = 0; feature < features; ++feature) {
        to[feature] = (from[feature] - mean) * factor;
      }
      return;
    }
    for (std::int64_t feature = 0; feature < features; ++feature) {
      const float gain = norm.gain == nullptr ? 1.0F : norm.gain[feature];
      const float bias = norm.bias == nullptr ? 0.0F : norm.bias[feature];
      to[feature] = (from[feature] - mean) * factor * gain + bias;
    }
  }
};

} // namespace

void layer_norm(const ExecutionSpace &space, const float *input, std::int64_t rows, std::int64_t features,
                const LayerNorm &norm, float *output) {
  if (rows < 0 || features <= 0 || !(norm.epsilon >= 0.0F)) {
    throw std::invalid_argument("layer_norm: rows, features or epsilon are out of range");
  }
  using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;
  Kokkos::parallel_for("ringscale::layer_norm", Policy(space, 0, rows), NormaliseRow{input, features, norm, output});
}

KernelWork layer_norm_work(std::int64_t rows, std::int64_t features, const LayerNorm &norm) {
  constexpr double float_bytes = sizeof(float);
  const double elements = static_cast<double>(rows) * static_cast<double>(features);
  const int parameters = (norm.gain == nullptr ? 0 : 1) + (norm.bias == nullptr ? 0 : 1);
  return {8.0 * elements, float_bytes * (elements + parameters * static_cast<double>(features)),
          float_bytes * elements};
}

} // namespace ringscale::kernels
