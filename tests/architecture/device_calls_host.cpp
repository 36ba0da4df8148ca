// SPDX-License-Identifier: Apache-2.0
// The negative control of compile_for_cuda: device code that calls a function of the host. Hosts compile it.
#include <Kokkos_Core.hpp>

#include <cstdlib>
#include <string>

float length_of_home() { return static_cast<float>(std::string(std::getenv("HOME")).size()); }

void call_host_from_device(float *where) {
  Kokkos::parallel_for(
      1, KOKKOS_LAMBDA(const int index) { where[index] = length_of_home(); });
}
