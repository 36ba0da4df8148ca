// SPDX-License-Identifier: Apache-2.0
#include "kernels/copy_heads.hpp"

#include <stdexcept>

namespace ringscale::kernels {

namespace {

template <class Tensor>
bool contains(const Tensor &tensor, const HeadRegion &region, std::int64_t tokens, std::int64_t heads) {
  return region.first_token >= 0 && region.first_head >= 0 &&
         region.first_token + tokens <= static_cast<std::int64_t>(tensor.extent(1)) &&
         region.first_head + heads <= static_cast<std::int64_t>(tensor.extent(2));
}

} // namespace

void copy_heads(const ExecutionSpace &space, ConstTensor4 source, const HeadRegion &from, Tensor4 destination,
                const HeadRegion &to, std::int64_t tokens, std::int64_t heads) {
  if (source.extent(0) != destination.extent(0) || source.extent(3) != destination.extent(3) ||
      !contains(source, from, tokens, heads) || !contains(destination, to, tokens, heads)) {
    throw std::invalid_argument("copy_heads: a region leaves its tensor, or batch or head_dim differ");
  }
  const auto batch = static_cast<std::int64_t>(source.extent(0));
  const auto head_dim = static_cast<std::int64_t>(source.extent(3));
  // A row of heads is contiguous on both sides.
  Kokkos::parallel_for(
      "ringscale::copy_heads",
      Kokkos::MDRangePolicy<ExecutionSpace, Kokkos::Rank<3>, Kokkos::IndexType<std::int64_t>>(
          space, {0, 0, 0}, {batch, tokens, heads * head_dim}),
      KOKKOS_LAMBDA(const std::int64_t entry, const std::int64_t token, const std::int64_t element) {
        const std::int64_t head = element / head_dim;
        const std::int64_t dim = element % head_dim;
        destination(entry, to.first_token + token, to.first_head + head, dim) =
            source(entry, from.first_token + token, from.first_head + head, dim);
      });
}

} // namespace ringscale::kernels
