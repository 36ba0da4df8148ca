// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "problem/invalid_input.hpp"
#include "report/machine_document.hpp"
#include "simulator/simulation.hpp"
#include "tests/machine/calibrated_machine.hpp"

namespace ringscale::report {
namespace {

using machine_tests::calibrated_machine;
using problem::InvalidInput;

std::string refusal(const Json &document) {
  try {
    machine_from_json(document, "file.json");
  } catch (const InvalidInput &error) {
    return error.what();
  }
  return "";
}

machine::Machine full_machine() {
  machine::Machine machine = calibrated_machine();
  machine.core_sharing.crowding = {{6, {1.2, "measured", "a test"}}, {8, {1.4, "measured", "a test"}}};
  machine::HoldOut point;
  point.ring_size = 2;
  point.tokens = 64;
  point.query_heads = point.kv_heads = 8;
  point.head_dim = 64;
  point.mask = "causal";
  point.placement = "zigzag";
  point.measured_s = 1.0;
  point.samples_s = {1.0};
  point.predicted_s = 1.1;
  point.relative_error = 0.1;
  machine.hold_out = {point};
  machine.hold_out_median_relative_error = machine.hold_out_max_relative_error = 0.1;
  return machine;
}

/// With every field that a file may leave out.
machine::Machine machine_with_optional_fields() {
  machine::Machine machine = full_machine();
  const machine::Number some{2.0, "analytic", "a test"};
  machine::Link &link = machine.links.back();
  link.devices_per_card = 1;
  link.duplex = machine::Duplex::half;
  link.oversubscription = some;
  link.rendezvous = machine::Rendezvous{8192, some};
  link.receive_buffer_bytes = 65536;
  link.message_times = {{64.0, 1e-6}, {65536.0, 2e-5}};
  machine.tiles.backward_samples = machine.tiles.samples;
  machine.tiles.backward_ring_factor = some;
  machine.tiles.reuse = {{256, problem::Mask::none, 1e-3, 1.1e-3, {1e-3}, {1.1e-3}}};
  machine.tiles.backward_reuse = {{256, problem::Mask::causal, 2e-3, 2.1e-3, {2e-3}, {2.1e-3}}};
  machine.merge.in_tile_per_element_s = some;
  machine.hold_out.front().pass = "backward";
  machine.failures = machine::Failures{some, some, some, some, some};
  return machine;
}

TEST(MachineDocument, ReadsBackWhatItWrote) {
  for (const machine::Machine &machine :
       {full_machine(), machine_with_optional_fields(), simulator_tests::simple_machine(1e-9, 1e-6, 1e9)}) {
    const std::string text = write_json(machine_to_json(machine), 2);
    const machine::Machine again = machine_from_json(parse_json(text, "text"), "text");
    EXPECT_EQ(write_json(machine_to_json(again), 2), text);
  }
}

TEST(MachineDocument, OptionalFieldsAreReadAndBadOnesNamed) {
  const Json whole = machine_to_json(machine_with_optional_fields());
  const machine::Machine machine = machine_from_json(whole, "file.json");
  EXPECT_EQ(machine.links.back().duplex, machine::Duplex::half);
  EXPECT_EQ(machine.links.back().rendezvous->threshold_bytes, 8192);
  EXPECT_EQ(machine.failures->storage_bandwidth_bytes_per_s->value, 2.0);
  const std::size_t last = machine.links.size() - 1;
  const auto refused = [&](const std::function<void(Json &)> &change, const std::string &what) {
    Json document = whole;
    change(document);
    EXPECT_NE(refusal(document).find(what), std::string::npos) << refusal(document);
  };
  refused([&](Json &document) { document["links"][last]["duplex"] = "both"; }, "duplex 'both'");
  refused([&](Json &document) { document["links"][last]["devices_per_card"] = 0; }, "devices_per_card");
  refused([&](Json &document) { document["links"][last]["rendezvous"].erase("handshake_s"); }, "handshake_s");
  refused([&](Json &document) { document["failures"].erase("restart_s"); }, "restart_s");
  refused([&](Json &document) { document["failures"]["device_mtbf_s"]["value"] = 0.0; }, "failures.device_mtbf_s");
  refused([&](Json &document) { document["failures"]["mtbf_s"] = 1.0; }, "mtbf_s");
}

TEST(MachineDocument, AnotherSchemaOrVersionIsOneClearLine) {
  Json document = machine_to_json(full_machine());
  document["schema_version"] = 2;
  const std::string message = refusal(document);
  EXPECT_NE(message.find("file.json"), std::string::npos);
  EXPECT_NE(message.find("schema_version is 2; this program reads version 1"), std::string::npos);
  EXPECT_EQ(message.find('\n'), std::string::npos);
  document["schema"] = "ringscale.results";
  EXPECT_NE(refusal(document).find("ringscale.machine"), std::string::npos);
}

TEST(MachineDocument, BadContentIsRefusedByNameInOneLine) {
  const auto refused = [](const char *words, const std::function<void(Json &)> &change) {
    Json document = machine_to_json(full_machine());
    change(document);
    const std::string message = refusal(document);
    EXPECT_NE(message.find(words), std::string::npos) << "for " << words << " got: " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  };
  refused("step_fixed", [](Json &json) { json["step_fxed_s"] = 1; });
  refused("bandwidth_bytes_per_s", [](Json &json) { json["links"][0]["bandwidth_bytes_per_s"]["value"] = -1.0; });
  refused("bandwidth_bytes_per_s", [](Json &json) { json["links"][0]["bandwidth_bytes_per_s"]["value"] = 0.0; });
  refused("latency_s", [](Json &json) { json["links"][0]["latency_s"]["value"] = -1e-9; });
  refused("latency_s", [](Json &json) { json["links"][0].erase("latency_s"); });
  refused("source", [](Json &json) { json["links"][0]["latency_s"]["source"] = ""; });
  refused("guessed", [](Json &json) { json["links"][0]["latency_s"]["kind"] = "guessed"; });
  refused("links", [](Json &json) { json["links"] = Json::array(); });
  refused("group_devices", [](Json &json) { json["links"][0]["group_devices"] = 4; });
  refused("level", [](Json &json) { json["links"][0]["level"] = "planet"; });
  refused("hidden_fraction", [](Json &json) { json["overlap"]["hidden_fraction"]["value"] = 1.5; });
  refused("hidden_fraction", [](Json &json) { json["overlap"]["hidden_fraction"]["value"] = -1.5; });
  refused("memory_bytes", [](Json &json) { json["device"]["memory_bytes"]["value"] = 0; });
  refused("2^62", [](Json &json) { json["device"]["memory_bytes"]["value"] = 1e30; });
  refused("predicted_s", [](Json &json) { json["hold_out"]["points"][0]["predicted_s"] = 0.0; });
  refused("measured_s", [](Json &json) { json["hold_out"]["points"][0]["measured_s"] = -1.0; });
  refused("time_s", [](Json &json) { json["tiles"]["samples"][0]["time_s"] = -1.0; });
  refused("full grid", [](Json &json) { json["tiles"]["samples"].erase(0); });
  refused("twice", [](Json &json) { json["tiles"]["samples"].push_back(json["tiles"]["samples"][0]); });
  refused("tiles", [](Json &json) { json.erase("tiles"); });
  refused("crowding", [](Json &json) { json["core_sharing"]["crowding"][1]["ranks"] = 5; });
  refused("kind", [](Json &json) { json["kind"] = "simulated"; });
  refused("name", [](Json &json) { json["name"] = ""; });
  refused("key_tile_tokens", [](Json &json) { json["footprint"]["key_tile_tokens"] = 0; });
  refused("mask", [](Json &json) { json["tiles"]["samples"][0]["mask"] = "some"; });
}

TEST(MachineDocument, ARooflineIsNeverCalledMeasured) {
  Json document = machine_to_json(simulator_tests::simple_machine(1e-9, 1e-6, 1e9));
  EXPECT_EQ(refusal(document), "");
  document["kind"] = "measured";
  EXPECT_NE(refusal(document).find("beside a roofline"), std::string::npos) << refusal(document);
}

TEST(MachineDocument, ATruncatedFileIsRefusedAtEveryLength) {
  const std::string text = write_json(machine_to_json(full_machine()), 2);
  for (std::size_t length = 0; length < text.size() - 2; length += 97) {
    EXPECT_THROW(machine_from_json(parse_json(text.substr(0, length), "cut.json"), "cut.json"), InvalidInput);
  }
  EXPECT_THROW(read_machine_file("/nonexistent/machine.json"), InvalidInput);
}

TEST(MachineDocument, TheShippedMachinesReadAndSimulateWithEveryNumberSourced) {
  int files = 0;
  for (const auto &entry : std::filesystem::directory_iterator(RINGSCALE_MACHINES)) {
    if (entry.path().extension() != ".json") {
      continue;
    }
    ++files;
    const machine::Machine machine = read_machine_file(entry.path());
    EXPECT_EQ(machine.name + ".json", entry.path().filename().string());
    simulator::SimulationOptions options;
    options.problem.ring_size = 64;
    options.problem.attention.tokens = 64 * 4096;
    const simulator::Simulation result = simulator::simulate(machine, options);
    EXPECT_GT(result.tokens_per_s, 0.0) << machine.name;
    EXPECT_TRUE(result.fits_memory) << machine.name;
  }
  EXPECT_GE(files, 3);
}

TEST(MachineDocument, PublishedHopsAndTilesAreThoseOfTheirNumbers) {
  // Chunks of 4096 tokens, 8 heads of 64, two bytes: keys and values are 8.39 MB a hop (and 64 bytes of header).
  const machine::Machine machine = read_machine_file(std::filesystem::path(RINGSCALE_MACHINES) / "h100_ndr.json");
  simulator::SimulationOptions options;
  options.problem.ring_size = 16;
  options.problem.attention.tokens = 16 * 4096;
  const simulator::Simulation result = simulator::simulate(machine, options);
  EXPECT_NEAR(result.hop_bytes, 2.0 * 2 * 4096 * 512 + 64.0, 0.5);
  EXPECT_NEAR(result.hop_s, 2e-6 + (2.0 * 2 * 4096 * 512 + 64.0) / 5e10, 1e-12);
  EXPECT_EQ(result.bound, "bandwidth");
}

} // namespace
} // namespace ringscale::report
