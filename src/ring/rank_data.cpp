// SPDX-License-Identifier: Apache-2.0
#include "ring/rank_data.hpp"

#include <Kokkos_Core.hpp>

namespace ringscale::ring {

void fill_tensor(float *destination, std::uint64_t seed, problem::Tensor tensor,
                 const problem::AttentionProblem &attention, const problem::TokenSet &tokens,
                 const TensorOrigin &origin) {
  const bool of_query = tensor == problem::Tensor::query || tensor == problem::Tensor::output_gradient;
  const std::int64_t heads = of_query ? attention.query_heads : attention.kv_heads;
  const auto elements = static_cast<std::size_t>(attention.batch * tokens.count() * heads * attention.head_dim);
  const Kokkos::View<float *, kernels::MemorySpace, kernels::Unmanaged> device(destination, elements);
  const auto host = Kokkos::create_mirror_view(device);
  problem::fill_synthetic(host.data(), seed, tensor, attention, tokens, origin.batch,
                          of_query ? origin.query_head : origin.kv_head);
  Kokkos::deep_copy(device, host);
}

} // namespace ringscale::ring
