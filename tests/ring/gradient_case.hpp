// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "problem/counter_random.hpp"
#include "problem/invalid_input.hpp"
#include "ring/gradient_buckets.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring::test {

/// Gradients of one rank in memory of their own; element i of tensor t depends on rank, t and i alone.
struct RankGradients {
  std::vector<std::vector<float>> values;

  RankGradients(int rank, const std::vector<std::int64_t> &sizes) {
    for (std::size_t tensor = 0; tensor < sizes.size(); ++tensor) {
      values.emplace_back(static_cast<std::size_t>(sizes[tensor]));
    }
    fill(rank);
  }

  static float element(int rank, std::size_t tensor, std::size_t index) {
    const auto stream = static_cast<std::uint64_t>(rank) * 1000 + tensor;
    return static_cast<float>(problem::random_uniform(7, stream, index) - 0.5);
  }

  void fill(int rank) {
    for (std::size_t tensor = 0; tensor < values.size(); ++tensor) {
      for (std::size_t index = 0; index < values[tensor].size(); ++index) {
        values[tensor][index] = element(rank, tensor, index);
      }
    }
  }

  std::vector<GradientTensor> tensors() {
    std::vector<GradientTensor> result;
    for (std::size_t tensor = 0; tensor < values.size(); ++tensor) {
      result.push_back({"tensor_" + std::to_string(tensor), values[tensor]});
    }
    return result;
  }
};

/// Marks all tensors in the order of a backward pass.
inline void mark_backwards(GradientBuckets &buckets) {
  for (std::int64_t index = buckets.tensor_count(); index-- > 0;) {
    buckets.ready(index);
    buckets.poll();
  }
}

/// The line with which `call` ends; one that every rank has, or a complaint.
template <class Call> std::string common_refusal(const Call &call) {
  std::string line = "nothing was refused";
  try {
    call();
  } catch (const problem::InvalidInput &refusal) {
    line = refusal.what();
  }
  const std::vector<std::string> lines = world().all_gather(line);
  for (const std::string &other : lines) {
    if (other != lines.front()) {
      return "ranks differ: \"" + lines.front() + "\" and \"" + other + "\"";
    }
  }
  return line;
}

} // namespace ringscale::ring::test
