// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>

#include "report/json.hpp"

namespace ringscale::claims::testing {

/// Rows as the sweep writes them, computed from a few laws that a test can bend to turn a verdict.
struct SampleWorld {
  double pair_s = 1e-9;         ///< seconds per query-key pair
  double time_exponent = 1.0;   ///< weak scaling: time ~ ring_size^this; an exact ring has 1
  double memory_growth = 0.0;   ///< weak scaling: memory ~ ring_size^this
  double max_error = 5e-7;      ///< of rings
  double one_rank_error = 6e-7; ///< of ring_size 1
  double error_bound = 1e-5;
  double exposed_share = 0.01; ///< of time, measured
  double polled_over_unpolled = 0.98;
  double message_latency_s = 1e-6;
  double message_bandwidth = 5e9;
  double gtx_flop_per_s = 5e12;
  double bytes_per_token = 12352.0; ///< of a sharded ring, float32, 8 heads of 64
  double divided_key_value_factor = 1.0;
};

inline report::Json common(const std::string &kind, const std::string &verb, std::int64_t ring_size,
                           std::int64_t chunk) {
  return {{"kind", kind},
          {"verb", verb},
          {"point", verb + "-" + std::to_string(ring_size) + "-" + std::to_string(chunk)},
          {"schedule", "ring"},
          {"placement", "contiguous"},
          {"softmax", "online"},
          {"kernel", "streamed"},
          {"mask", "none"},
          {"dtype", "float32"},
          {"batch", 1},
          {"tokens", ring_size * chunk},
          {"query_heads", 8},
          {"kv_heads", 8},
          {"head_dim", 64},
          {"ring_size", ring_size},
          {"chunk_tokens", chunk},
          {"seed", 1}};
}

inline report::Json measured_row(const SampleWorld &world, std::int64_t ring_size, std::int64_t chunk, bool polled) {
  report::Json row = common("measured", "ring", ring_size, chunk);
  const double time_s = world.pair_s * static_cast<double>(chunk * chunk) *
                        std::pow(static_cast<double>(ring_size), world.time_exponent) /
                        (polled ? 1.0 : world.polled_over_unpolled);
  row["point"] = row["point"].get<std::string>() + (polled ? "" : "-unpolled");
  row["time_s"] = time_s;
  row["time_s_interval"] = {{"low", 0.999 * time_s}, {"high", 1.001 * time_s}, {"confidence", 0.95}};
  row["tokens_per_s"] = static_cast<double>(ring_size * chunk) / time_s;
  row["verified"] = true;
  row["max_error"] = ring_size > 1 ? world.max_error : world.one_rank_error;
  row["error_bound"] = world.error_bound;
  row["memory_peak_bytes"] = world.bytes_per_token * static_cast<double>(chunk) *
                             std::pow(static_cast<double>(ring_size), world.memory_growth);
  row["memory_closed_form_bytes"] = row["memory_peak_bytes"];
  row["exposed_communication_s"] = world.exposed_share * time_s;
  row["progress"] = polled ? "polled" : "unpolled";
  row["verdict"] = "valid";
  return row;
}

inline report::Json simulated_row(const SampleWorld &world, const std::string &machine, std::int64_t ring_size,
                                  std::int64_t chunk) {
  report::Json row = common("simulated", "simulate", ring_size, chunk);
  const bool published = machine != "here";
  const double pair_s = published ? 4.0 * 512.0 / world.gtx_flop_per_s : world.pair_s;
  const double time_s = pair_s * std::pow(static_cast<double>(chunk), 2.0) *
                        std::pow(static_cast<double>(ring_size), world.time_exponent);
  row["point"] = machine + "-" + row["point"].get<std::string>();
  row["machine"] = machine;
  row["machine_kind"] = published ? "published" : "measured";
  row["dtype"] = published ? "float16" : "float32";
  row["speed_spread"] = 0.0;
  row["jitter"] = 0.0;
  row["time_s"] = time_s;
  row["tokens_per_s"] = static_cast<double>(ring_size) * static_cast<double>(chunk) / time_s;
  row["memory_peak_bytes"] = world.bytes_per_token * static_cast<double>(chunk) *
                             std::pow(static_cast<double>(ring_size), world.memory_growth) / (published ? 2.0 : 1.0);
  row["hops"] = ring_size - 1;
  row["hop_s"] = world.exposed_share * time_s / static_cast<double>(ring_size);
  row["compute_s"] = time_s;
  row["exposed_communication_s"] = world.exposed_share * time_s;
  return row;
}

inline report::Json memory_row(const std::string &model, std::int64_t ring_size, double mebibytes) {
  report::Json row = common("analytic", "memory", ring_size, 8192 / ring_size);
  row["point"] = model + "-" + std::to_string(ring_size);
  row["model"] = model;
  row["memory_peak_bytes"] = mebibytes * 1048576.0;
  return row;
}

/// What the quick sweep delivers, in the same fields.
inline report::Json sample_rows(const SampleWorld &world) {
  report::Json rows = report::Json::array();
  for (const std::int64_t ring_size : {1, 2, 4}) {
    rows.push_back(measured_row(world, ring_size, 1024, true));
    rows.push_back(measured_row(world, ring_size, 4096 / ring_size, true));
  }
  rows.push_back(measured_row(world, 2, 1024, false));
  for (std::int64_t ring_size = 1; ring_size <= 262144; ring_size *= 4) {
    rows.push_back(simulated_row(world, "here", ring_size, 4096));
  }
  rows.push_back(simulated_row(world, "gtx1080", 262144, 4096));
  rows.push_back(simulated_row(world, "gtx1080", 3814, 262144));
  for (const std::int64_t ring_size : {1, 2, 4, 8, 16}) {
    const auto r = static_cast<double>(ring_size);
    rows.push_back(memory_row("serial_chunk_loop", ring_size, 48.0 + 2048.0 / r));
    rows.push_back(
        memory_row("divided_key_value_materialised", ring_size, (16.0 + 2080.0 / r) * world.divided_key_value_factor));
    rows.push_back(memory_row("ring_sharded", ring_size, 96.5 / r));
    rows.push_back(memory_row("ring_replicated_queries", ring_size, 32.5 + 64.0 / r));
  }
  for (const std::int64_t ring_size : {2, 4, 8, 16}) { // whole queries at a fixed chunk: they grow with the ring
    report::Json row = memory_row("ring_replicated_queries", ring_size, 8.0 * static_cast<double>(ring_size) + 24.0);
    row["chunk_tokens"] = 4096;
    row["tokens"] = 4096 * ring_size;
    rows.push_back(row);
  }
  for (const double bytes : {1024.0, 65536.0, 1048576.0, 8388608.0}) {
    for (const int messages : {1, 2}) {
      const double time_s = messages * world.message_latency_s + bytes / world.message_bandwidth;
      rows.push_back({{"kind", "measured"},
                      {"verb", "calibrate"},
                      {"point", "message"},
                      {"pattern", "ping_pong"},
                      {"messages", messages},
                      {"message_bytes", bytes},
                      {"time_s", time_s}});
    }
  }
  return rows;
}

} // namespace ringscale::claims::testing
