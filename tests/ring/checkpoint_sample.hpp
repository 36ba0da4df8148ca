// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <filesystem>
#include <vector>

#include "problem/counter_random.hpp"
#include "ring/checkpoint_file.hpp"

namespace ringscale::ring {

/// Bytes that differ by rank and step, for sections.
inline std::vector<std::byte> sample_bytes(std::size_t count, std::int64_t rank, std::int64_t step) {
  std::vector<std::byte> bytes(count);
  for (std::size_t place = 0; place < count; ++place) {
    bytes[place] = static_cast<std::byte>(
        problem::random_bits(static_cast<std::uint64_t>(rank), static_cast<std::uint64_t>(step), place));
  }
  return bytes;
}

inline void write_sample(const std::filesystem::path &folder, const CheckpointIdentity &identity, std::int64_t step,
                         const Agreement &all_agree) {
  const std::vector<std::byte> output = sample_bytes(203, identity.rank, step);
  const std::vector<std::byte> sums = sample_bytes(16, identity.rank + 100, step);
  const std::vector<CheckpointSection> sections{{"output", output}, {"log_sum_exp", sums}, {"nothing", {}}};
  write_checkpoint(folder, identity, step, sections, all_agree);
}

/// Whether `checkpoint` is what write_sample wrote.
inline bool is_sample(const Checkpoint &checkpoint, const CheckpointIdentity &identity, std::int64_t step) {
  return checkpoint.step == step && checkpoint.sections.size() == 3 &&
         checkpoint.section("output", 203) == sample_bytes(203, identity.rank, step) &&
         checkpoint.section("log_sum_exp", 16) == sample_bytes(16, identity.rank + 100, step) &&
         checkpoint.section("nothing", 0).empty();
}

} // namespace ringscale::ring
