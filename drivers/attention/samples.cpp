// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/samples.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "problem/counter_random.hpp"

namespace ringscale::drivers {

namespace {

// Reference work that takes a few seconds on one core; beyond it, rows are sampled.
constexpr double most_reference_flop = 2e10;
constexpr std::int64_t fewest_checked_rows = 8;

/// Largest of what `of_row(row, head_dim)` gives for the rows of a tensor; a NaN once met stays.
template <class OfRow> double largest_of_rows(const Owned4 &tensor, const OfRow &of_row) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, tensor);
  const std::size_t head_dim = host.extent(3);
  double largest = 0.0;
  for (std::size_t row = 0; row < host.size() / head_dim; ++row) {
    const double value = of_row(host.data() + row * head_dim, head_dim);
    if (std::isnan(value) || value > largest) {
      largest = value;
    }
  }
  return largest;
}

} // namespace

Positions all_positions(std::int64_t tokens) {
  Positions positions(static_cast<std::size_t>(tokens));
  std::iota(positions.begin(), positions.end(), 0);
  return positions;
}

Positions positions_to_check(std::int64_t tokens, double flop, std::uint64_t seed) {
  const auto affordable = static_cast<std::int64_t>(std::min(most_reference_flop / flop, 1e15));
  const std::int64_t count = std::clamp(affordable, std::min(fewest_checked_rows, tokens), tokens);
  if (count == tokens) {
    return all_positions(tokens);
  }
  std::set<std::int64_t> chosen{0, tokens - 1};
  constexpr std::uint64_t sample_stream = 0x726F7773; // a stream of its own, apart from the tensors
  for (std::uint64_t draw = 0; static_cast<std::int64_t>(chosen.size()) < count; ++draw) {
    chosen.insert(
        static_cast<std::int64_t>(problem::random_uniform(seed, sample_stream, draw) * static_cast<double>(tokens)));
  }
  return {chosen.begin(), chosen.end()};
}

Owned4 rows_at(const Owned4 &tensor, const Positions &positions) {
  if (positions.size() == tensor.extent(1)) {
    return tensor;
  }
  const Owned4 rows("ringscale::checked_rows", tensor.extent(0), positions.size(), tensor.extent(2), tensor.extent(3));
  for (std::size_t row = 0; row < positions.size(); ++row) {
    Kokkos::deep_copy(Kokkos::subview(rows, Kokkos::ALL, row, Kokkos::ALL, Kokkos::ALL),
                      Kokkos::subview(tensor, Kokkos::ALL, positions[row], Kokkos::ALL, Kokkos::ALL));
  }
  return rows;
}

Owned3 rows_at(const Owned3 &tensor, const Positions &positions) {
  if (positions.size() == tensor.extent(1)) {
    return tensor;
  }
  const Owned3 rows("ringscale::checked_rows", tensor.extent(0), positions.size(), tensor.extent(2));
  for (std::size_t row = 0; row < positions.size(); ++row) {
    Kokkos::deep_copy(Kokkos::subview(rows, Kokkos::ALL, row, Kokkos::ALL),
                      Kokkos::subview(tensor, Kokkos::ALL, positions[row], Kokkos::ALL));
  }
  return rows;
}

double largest_element(const Owned4 &tensor) {
  return largest_of_rows(tensor, [](const float *row, std::size_t head_dim) {
    double largest = 0.0;
    for (std::size_t dim = 0; dim < head_dim; ++dim) {
      const double element = std::abs(static_cast<double>(row[dim]));
      largest = std::isnan(largest) || element <= largest ? largest : element;
    }
    return largest;
  });
}

double largest_row_norm(const Owned4 &tensor) {
  return largest_of_rows(tensor, [](const float *row, std::size_t head_dim) {
    double sum = 0.0;
    for (std::size_t dim = 0; dim < head_dim; ++dim) {
      sum += static_cast<double>(row[dim]) * static_cast<double>(row[dim]);
    }
    return std::sqrt(sum);
  });
}

double largest_row_sum(const Owned4 &tensor) {
  return largest_of_rows(tensor, [](const float *row, std::size_t head_dim) {
    double sum = 0.0;
    for (std::size_t dim = 0; dim < head_dim; ++dim) {
      sum += std::abs(static_cast<double>(row[dim]));
    }
    return sum;
  });
}

} // namespace ringscale::drivers
