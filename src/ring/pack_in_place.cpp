// SPDX-License-Identifier: Apache-2.0
#include "ring/pack_in_place.hpp"

#include <algorithm>

namespace ringscale::ring {

std::uint16_t *pack_in_place(const kernels::ExecutionSpace &space, float *data, std::int64_t count,
                             kernels::NumberFormat format) {
  auto *packed = reinterpret_cast<std::uint16_t *>(data);
  // The patterns of elements [done, 2 done) go where floats [done/2, done) lay, which are patterns by then, and never
  // where floats of the same run lie: any thread may take any element of a run. Only the first element meets itself.
  std::int64_t done = 0;
  while (done < count) {
    const std::int64_t run = std::min(std::max<std::int64_t>(done, 1), count - done);
    kernels::pack_elements(space, data + done, run, format, packed + done);
    done += run;
  }
  return packed;
}

void unpack_in_place(const kernels::ExecutionSpace &space, float *data, std::int64_t count,
                     kernels::NumberFormat format) {
  const auto *packed = reinterpret_cast<const std::uint16_t *>(data) + count;
  // Floats [done, done + run) end where pattern 2 (done + run) - count lies: none of this run while run <= left / 2.
  std::int64_t done = 0;
  while (done < count) {
    const std::int64_t run = std::max<std::int64_t>((count - done) / 2, 1);
    kernels::unpack_elements(space, packed + done, run, format, data + done);
    done += run;
  }
}

} // namespace ringscale::ring
