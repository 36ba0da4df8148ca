// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "simulator/simulation.hpp"
#include "tests/validation/validation_fixture.hpp"
#include "validation/table_facts.hpp"

namespace ringscale::validation {
namespace {

using validation_tests::machines;

TEST(Machines, EachIsValidHasSourcesAndRunsARing) {
  EXPECT_GE(machines().size(), 14U);
  for (const machine::Machine &machine : machines()) {
    EXPECT_NO_THROW(machine::validate(machine, machine.name));
    EXPECT_EQ(machine.kind, "published") << machine.name;
    simulator::SimulationOptions options;
    options.problem.ring_size = 16;
    options.problem.attention.tokens = 16 * 4096;
    options.problem.attention.query_heads = options.problem.attention.kv_heads = 8;
    options.problem.attention.head_dim = 64;
    const simulator::Simulation result = simulator::simulate(machine, options);
    // 16 blocks at no more than the peak, and not a thousand times slower.
    const double least_s = 4.0 * 4096.0 * 4096.0 * 8.0 * 64.0 * 16.0 / machine.device.peak_flop_per_s.value;
    EXPECT_GT(result.time_s, least_s) << machine.name;
    EXPECT_LT(result.time_s, 1000.0 * least_s) << machine.name;
  }
}

TEST(Machines, AreChosenByTheWordsOfATable) {
  const auto chosen = [](const std::string &text) {
    const machine::Machine *machine = choose_machine(machines(), words_of(text));
    return machine == nullptr ? "" : machine->name;
  };
  EXPECT_EQ(chosen("A100-SXM4-80GB NVLink"), "a100_nvlink_hdr");
  EXPECT_EQ(chosen("A100 (printed as A100-SXM4-80GB PCIe) PCIe"), "a100_pcie");
  EXPECT_EQ(chosen("8x A100"), "a100_nvlink_hdr");
  EXPECT_EQ(chosen("H800"), "h800_nvlink_ndr");
  EXPECT_EQ(chosen("DGX-H100"), "h100_ndr");
  EXPECT_EQ(chosen("TPU v4"), "tpuv4_ici");
  EXPECT_EQ(chosen("TPUv5e-256 ICI"), "tpuv5e_ici");
  EXPECT_EQ(chosen("L20 PCIe"), "l20_pcie");
  EXPECT_EQ(chosen("GTX 1080"), "gtx1080");
  EXPECT_EQ(chosen("an abacus"), "");
}

} // namespace
} // namespace ringscale::validation
