// SPDX-License-Identifier: Apache-2.0
#include "kernels/projection.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/blas.hpp"
#include "kernels/tile/select_tile.hpp"

namespace ringscale::kernels {

namespace {

void check(const float *input, std::int64_t rows, const Projection &projection,
           const std::vector<ProjectedPart> &parts) {
  const auto require = [](bool condition, const char *message) {
    if (!condition) {
      throw std::invalid_argument(std::string("projection: ") + message);
    }
  };
  require(rows >= 0 && projection.inputs > 0 && projection.outputs > 0, "there are no inputs or no outputs");
  require(projection.weights != nullptr && (input != nullptr || rows == 0), "input or weights are null");
  std::int64_t columns = 0;
  for (const ProjectedPart &part : parts) {
    require(part.columns > 0 && (part.elements != nullptr || rows == 0), "a part has no columns or is null");
    columns += part.columns;
  }
  require(columns == projection.outputs, "the parts do not add up to the outputs");
}

#if defined(RINGSCALE_HOST_TILES)

/// Rows of one product: enough of them that packing the weights for each run costs little, and runs for some threads.
std::int64_t rows_per_run(std::int64_t rows) { return std::clamp<std::int64_t>((rows / 8 + 63) / 64 * 64, 256, 1024); }

/// Fills rows with the bias, which the product then adds to, or with what a product that adds nothing ignores.
void begin_rows(float *to, std::int64_t rows, const Projection &projection) {
  for (std::int64_t row = 0; projection.bias != nullptr && row < rows; ++row) {
    std::copy_n(projection.bias, projection.outputs, to + row * projection.outputs);
  }
}

ProjectionUse project_on_host(const ExecutionSpace &space, const float *input, std::int64_t rows,
                              const Projection &projection, const std::vector<ProjectedPart> &parts) {
  const std::int64_t run_rows = std::min(rows_per_run(rows), rows);
  const std::int64_t runs = rows == 0 ? 0 : (rows + run_rows - 1) / run_rows;
  ProjectionUse use;
  use.products = 1;
  // Each thread deals its run out from a place of its own, small enough to stay in a cache.
  const Kokkos::Experimental::UniqueToken<ExecutionSpace> places(space);
  const bool dealt = parts.size() > 1;
  Kokkos::View<float *, MemorySpace> buffer;
  if (dealt) {
    buffer =
        Kokkos::View<float *, MemorySpace>(Kokkos::view_alloc(Kokkos::WithoutInitializing, "ringscale::projected"),
                                           static_cast<std::size_t>(places.size() * run_rows * projection.outputs));
    use.allocations = 1;
    use.allocated_bytes = static_cast<std::int64_t>(buffer.size() * sizeof(float));
    use.moved_bytes = rows * projection.outputs * static_cast<std::int64_t>(sizeof(float));
  }
  const auto run = [=, &parts](const std::int64_t index) {
    const std::int64_t begin = index * run_rows;
    const std::int64_t count = std::min(run_rows, rows - begin);
    const auto place = dealt ? places.acquire() : 0;
    float *product = dealt ? buffer.data() + place * run_rows * projection.outputs
                           : parts.front().elements + begin * projection.outputs;
    begin_rows(product, count, projection);
    blas_multiply(count, projection.outputs, projection.inputs, 1.0F,
                  {input + begin * projection.inputs, projection.inputs, false},
                  {projection.weights, projection.inputs, true}, projection.bias == nullptr ? 0.0F : 1.0F,
                  {product, projection.outputs});
    if (!dealt) {
      return;
    }
    for (std::int64_t row = 0; row < count; ++row) {
      const float *from = product + row * projection.outputs;
      for (const ProjectedPart &part : parts) {
        std::copy_n(from, part.columns, part.elements + (begin + row) * part.columns);
        from += part.columns;
      }
    }
    places.release(place);
  };
  using Policy =
      Kokkos::RangePolicy<ExecutionSpace, Kokkos::Schedule<Kokkos::Dynamic>, Kokkos::IndexType<std::int64_t>>;
  Kokkos::parallel_for("ringscale::projection", Policy(space, 0, runs, Kokkos::ChunkSize(1)), run);
  space.fence("ringscale::projection");
  return use;
}

#endif

/// A team computes `team_rows` rows, `team_columns` columns at a time, with its rows of the input in scratch memory.
struct TeamProduct {
  using Policy = Kokkos::TeamPolicy<ExecutionSpace>;
  using Member = Policy::member_type;
  static constexpr std::int64_t team_rows = 8;

  const float *input;
  std::int64_t rows;
  Projection projection;
  float *output;

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    const std::int64_t begin = member.league_rank() * team_rows;
    const std::int64_t count = rows - begin < team_rows ? rows - begin : team_rows;
    const std::int64_t inputs = projection.inputs;
    auto *own = static_cast<float *>(
        member.team_scratch(1).get_shmem(static_cast<int>(team_rows * inputs * std::int64_t{sizeof(float)})));
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member, count * inputs),
                         [&](const std::int64_t element) { own[element] = input[begin * inputs + element]; });
    member.team_barrier();
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member, projection.outputs), [&](const std::int64_t column) {
      const float *weights = projection.weights + column * inputs;
      for (std::int64_t row = 0; row < count; ++row) {
        float sum = 0.0F;
        for (std::int64_t index = 0; index < inputs; ++index) {
          sum += own[row * inputs + index] * weights[index];
        }
        output[(begin + row) * projection.outputs + column] =
            projection.bias == nullptr ? sum : sum + projection.bias[column];
      }
    });
  }
};

} // namespace

ProjectionUse &ProjectionUse::operator+=(const ProjectionUse &other) {
  products += other.products;
  allocations += other.allocations;
  allocated_bytes += other.allocated_bytes;
  moved_bytes += other.moved_bytes;
  return *this;
}

void project_by_teams(const ExecutionSpace &space, const float *input, std::int64_t rows, const Projection &projection,
                      float *output) {
  check(input, rows, projection, {{output, projection.outputs}});
  if (rows == 0) {
    return;
  }
  const auto league = static_cast<int>((rows + TeamProduct::team_rows - 1) / TeamProduct::team_rows);
  TeamProduct::Policy policy(space, league, Kokkos::AUTO);
  policy.set_scratch_size(
      1, Kokkos::PerTeam(static_cast<int>(TeamProduct::team_rows * projection.inputs * std::int64_t{sizeof(float)})));
  Kokkos::parallel_for("ringscale::projection_by_teams", policy, TeamProduct{input, rows, projection, output});
  space.fence("ringscale::projection_by_teams");
}

ProjectionUse project(const ExecutionSpace &space, const float *input, std::int64_t rows, const Projection &projection,
                      const std::vector<ProjectedPart> &parts) {
  Kokkos::Profiling::ScopedRegion region("ringscale::projection");
  check(input, rows, projection, parts);
#if defined(RINGSCALE_HOST_TILES)
  return project_on_host(space, input, rows, projection, parts);
#else
  // A device writes each part where it belongs: there is no product of a library whose layout would have to be kept.
  ProjectionUse use;
  Projection part_projection = projection;
  for (const ProjectedPart &part : parts) {
    part_projection.outputs = part.columns;
    project_by_teams(space, input, rows, part_projection, part.elements);
    part_projection.weights += part.columns * projection.inputs;
    part_projection.bias += projection.bias == nullptr ? 0 : part.columns;
    use.products += 1;
  }
  return use;
#endif
}

KernelWork projection_work(std::int64_t rows, const Projection &projection) {
  constexpr double float_bytes = sizeof(float);
  const auto inputs = static_cast<double>(projection.inputs);
  const auto outputs = static_cast<double>(projection.outputs);
  const double bias = projection.bias == nullptr ? 0.0 : outputs;
  KernelWork work;
  work.flop = static_cast<double>(rows) * (2.0 * inputs * outputs + bias);
  work.read_bytes = float_bytes * (static_cast<double>(rows) * inputs + inputs * outputs + bias);
  work.written_bytes = float_bytes * static_cast<double>(rows) * outputs;
  return work;
}

} // namespace ringscale::kernels
