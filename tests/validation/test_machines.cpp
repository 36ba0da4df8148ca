// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "simulator/simulation.hpp"
#include "tests/validation/validation_fixture.hpp"
#include "validation/device_words.hpp"

namespace ringscale::validation {
namespace {

using validation_tests::column_of;
using validation_tests::document_of;
using validation_tests::Json;
using validation_tests::machines;
using validation_tests::read;
using validation_tests::table_of;

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
    Json table =
        table_of("M1", {{"gpu", text}}, Json::array({column_of("time_ms", "ms")}), Json::array({{{"time_ms", 1.0}}}));
    const auto tables = read(document_of(Json::array({table})));
    const MachineChoice choice = machine_of(tables[0], 0, 0, machines());
    EXPECT_EQ(choice.machine == nullptr, !choice.reason.empty()) << text;
    return choice.machine == nullptr ? "" : choice.machine->name;
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
  EXPECT_EQ(chosen("H100SXM5"), "h100_ndr");
  EXPECT_EQ(chosen("16xA100s"), "a100_nvlink_hdr");
  EXPECT_EQ(chosen("GH200"), "") << "another device, and no H200";
  EXPECT_EQ(chosen("an abacus"), "");
  EXPECT_EQ(chosen("A100 and H100"), "") << "one of two";
}

} // namespace
} // namespace ringscale::validation
