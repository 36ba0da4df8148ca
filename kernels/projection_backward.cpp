// SPDX-License-Identifier: Apache-2.0
#include "kernels/projection_backward.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/blas.hpp"
#include "kernels/tile/select_tile.hpp"

namespace ringscale::kernels {

namespace {

using Rows = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;

void check(const float *input, const float *output_gradient, std::int64_t rows, const Projection &projection,
           const ProjectionGradients &gradients) {
  const auto require = [](bool condition, const char *message) {
    if (!condition) {
      throw std::invalid_argument(std::string("projection backward: ") + message);
    }
  };
  require(rows >= 0 && projection.inputs > 0 && projection.outputs > 0, "there are no inputs or no outputs");
  require(output_gradient != nullptr || rows == 0, "the output's gradient is null");
  require(gradients.input == nullptr || projection.weights != nullptr, "the input's gradient needs the weights");
  require(gradients.weights == nullptr || input != nullptr || rows == 0, "the weights' gradient needs the input");
}

/// One output: the sum of its column.
struct BiasGradient {
  const float *output_gradient;
  std::int64_t rows;
  std::int64_t outputs;
  float *gradient;

  KOKKOS_FUNCTION void operator()(const std::int64_t output) const {
    double sum = 0.0;
    for (std::int64_t row = 0; row < rows; ++row) {
      sum += static_cast<double>(output_gradient[row * outputs + output]);
    }
    gradient[output] = static_cast<float>(sum);
  }
};

void bias_gradient(const ExecutionSpace &space, const float *output_gradient, std::int64_t rows,
                   const Projection &projection, const ProjectionGradients &gradients) {
  if (gradients.bias != nullptr) {
    Kokkos::parallel_for("ringscale::projection_backward::bias", Rows(space, 0, projection.outputs),
                         BiasGradient{output_gradient, rows, projection.outputs, gradients.bias});
  }
}

#if defined(RINGSCALE_HOST_TILES)

/// Calls work(begin, count) for runs of [0, total), each by one thread.
template <class Work>
void in_runs(const ExecutionSpace &space, std::int64_t total, std::int64_t run, const Work &work) {
  using Policy =
      Kokkos::RangePolicy<ExecutionSpace, Kokkos::Schedule<Kokkos::Dynamic>, Kokkos::IndexType<std::int64_t>>;
  Kokkos::parallel_for("ringscale::projection_backward",
                       Policy(space, 0, (total + run - 1) / run, Kokkos::ChunkSize(1)), [=](const std::int64_t index) {
                         const std::int64_t begin = index * run;
                         work(begin, std::min(run, total - begin));
                       });
}

/// Enough rows or outputs that packing the other operand for each run costs little, and runs for some threads.
std::int64_t run_of(std::int64_t total) { return std::clamp<std::int64_t>((total / 8 + 63) / 64 * 64, 128, 1024); }

void project_backward_on_host(const ExecutionSpace &space, const float *input, const float *output_gradient,
                              std::int64_t rows, const Projection &projection, const ProjectionGradients &gradients) {
  const std::int64_t inputs = projection.inputs;
  const std::int64_t outputs = projection.outputs;
  if (gradients.input != nullptr) {
    const float beta = gradients.accumulate_input ? 1.0F : 0.0F;
    in_runs(space, rows, run_of(rows), [=](std::int64_t begin, std::int64_t count) {
      blas_multiply(count, inputs, outputs, 1.0F, {output_gradient + begin * outputs, outputs, false},
                    {projection.weights, inputs, false}, beta, {gradients.input + begin * inputs, inputs});
    });
  }
  if (gradients.weights != nullptr && rows == 0) {
    Kokkos::parallel_for("ringscale::projection_backward::none", Rows(space, 0, outputs * inputs),
                         [=](const std::int64_t element) { gradients.weights[element] = 0.0F; });
  } else if (gradients.weights != nullptr) {
    in_runs(space, outputs, run_of(outputs), [=](std::int64_t begin, std::int64_t count) {
      blas_multiply(count, inputs, rows, 1.0F, {output_gradient + begin, outputs, true}, {input, inputs, false}, 0.0F,
                    {gradients.weights + begin * inputs, inputs});
    });
  }
  bias_gradient(space, output_gradient, rows, projection, gradients);
  space.fence("ringscale::projection_backward");
}

#endif

/// One element of dx.
struct InputGradient {
  const float *output_gradient;
  Projection projection;
  ProjectionGradients gradients;

  KOKKOS_FUNCTION void operator()(const std::int64_t element) const {
    const std::int64_t row = element / projection.inputs;
    const std::int64_t column = element % projection.inputs;
    float sum = gradients.accumulate_input ? gradients.input[element] : 0.0F;
    for (std::int64_t output = 0; output < projection.outputs; ++output) {
      sum +=
          output_gradient[row * projection.outputs + output] * projection.weights[output * projection.inputs + column];
    }
    gradients.input[element] = sum;
  }
};

/// One element of dW.
struct WeightGradient {
  const float *input;
  const float *output_gradient;
  std::int64_t rows;
  Projection projection;
  float *gradient;

  KOKKOS_FUNCTION void operator()(const std::int64_t element) const {
    const std::int64_t output = element / projection.inputs;
    const std::int64_t column = element % projection.inputs;
    float sum = 0.0F;
    for (std::int64_t row = 0; row < rows; ++row) {
      sum += output_gradient[row * projection.outputs + output] * input[row * projection.inputs + column];
    }
    gradient[element] = sum;
  }
};

} // namespace

void project_backward_by_elements(const ExecutionSpace &space, const float *input, const float *output_gradient,
                                  std::int64_t rows, const Projection &projection,
                                  const ProjectionGradients &gradients) {
  check(input, output_gradient, rows, projection, gradients);
  if (gradients.input != nullptr) {
    Kokkos::parallel_for("ringscale::projection_backward::input", Rows(space, 0, rows * projection.inputs),
                         InputGradient{output_gradient, projection, gradients});
  }
  if (gradients.weights != nullptr) {
    Kokkos::parallel_for("ringscale::projection_backward::weights",
                         Rows(space, 0, projection.outputs * projection.inputs),
                         WeightGradient{input, output_gradient, rows, projection, gradients.weights});
  }
  bias_gradient(space, output_gradient, rows, projection, gradients);
  space.fence("ringscale::projection_backward_by_elements");
}

void project_backward(const ExecutionSpace &space, const float *input, const float *output_gradient, std::int64_t rows,
                      const Projection &projection, const ProjectionGradients &gradients) {
  Kokkos::Profiling::ScopedRegion region("ringscale::projection_backward");
  check(input, output_gradient, rows, projection, gradients);
#if defined(RINGSCALE_HOST_TILES)
  project_backward_on_host(space, input, output_gradient, rows, projection, gradients);
#else
  project_backward_by_elements(space, input, output_gradient, rows, projection, gradients);
#endif
}

KernelWork projection_backward_work(std::int64_t rows, const Projection &projection,
                                    const ProjectionGradients &gradients) {
  constexpr double float_bytes = sizeof(float);
  const auto inputs = static_cast<double>(projection.inputs);
  const auto outputs = static_cast<double>(projection.outputs);
  const auto count = static_cast<double>(rows);
  KernelWork work;
  work.read_bytes = float_bytes * count * outputs;
  if (gradients.input != nullptr) {
    const double added = gradients.accumulate_input ? count * inputs : 0.0;
    work.flop += 2.0 * count * inputs * outputs + added;
    work.read_bytes += float_bytes * (inputs * outputs + added);
    work.written_bytes += float_bytes * count * inputs;
  }
  if (gradients.weights != nullptr) {
    work.flop += 2.0 * count * inputs * outputs;
    work.read_bytes += float_bytes * count * inputs;
    work.written_bytes += float_bytes * inputs * outputs;
  }
  if (gradients.bias != nullptr) {
    work.flop += count * outputs;
    work.written_bytes += float_bytes * outputs;
  }
  return work;
}

} // namespace ringscale::kernels
