// SPDX-License-Identifier: Apache-2.0
#include "memory/purpose.hpp"

#include <numeric>

namespace ringscale::memory {

std::string_view name(Purpose purpose) {
  constexpr std::array<std::string_view, purpose_count> words{"query",    "key_value", "output",        "partial",
                                                              "gradient", "scores",    "communication", "workspace"};
  return words[static_cast<std::size_t>(purpose)];
}

std::int64_t MemoryByPurpose::total() const { return std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0}); }

} // namespace ringscale::memory
