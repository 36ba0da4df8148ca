// SPDX-License-Identifier: Apache-2.0
#include <Kokkos_Core.hpp>
#include <gtest/gtest.h>

namespace {

class KokkosEnvironment : public testing::Environment {
public:
  void SetUp() override { Kokkos::initialize(Kokkos::InitializationSettings().set_disable_warnings(true)); }
  void TearDown() override { Kokkos::finalize(); }
};

// Google Test owns and ends it.
[[maybe_unused]] const testing::Environment *const registered =
    testing::AddGlobalTestEnvironment(new KokkosEnvironment);

} // namespace
