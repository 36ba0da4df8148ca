// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/kernel_list.hpp"

namespace ringscale::drivers {

const std::vector<KernelEntry> &kernel_entries() {
  static const std::vector<KernelEntry> entries{
      {"streamed", "kernels/attention_block.hpp", "dense attention, online softmax", "",
       "4 pairs query_heads head_dim batch", "Q, packed K and V once; O, log-sum-exp once", "reference_attention",
       "NegativeControl.*", "test_kernels_attention_block", 0, "attention_streamed"},
  };
  return entries;
}

report::Json kernel_list_document(const report::Json &provenance) {
  report::Json document = report::Json::object();
  document["schema"] = "ringscale.kernels";
  document["schema_version"] = 1;
  document["provenance"] = provenance;
  document["kernels"] = report::Json::array();
  for (const KernelEntry &entry : kernel_entries()) {
    report::Json row = report::Json::object();
    row["name"] = entry.name;
    row["header"] = entry.header;
    row["computes"] = entry.computes;
    row["flags"] = entry.flags;
    row["flop"] = entry.flop;
    row["bytes"] = entry.bytes;
    row["reference"] = entry.reference;
    row["negative_controls"] = entry.negative_controls;
    row["test_program"] = entry.test_program;
    row["tests"] = entry.tests;
    row["benchmark"] = entry.benchmark;
    document["kernels"].push_back(row);
  }
  return document;
}

std::vector<std::string> kernel_list_lines() {
  std::vector<std::string> lines;
  for (const KernelEntry &entry : kernel_entries()) {
    lines.push_back(entry.name + ": " + entry.computes);
    lines.push_back("  FLOPs " + entry.flop + "; bytes " + entry.bytes);
    lines.push_back("  against " + entry.reference + "; controls " + entry.negative_controls + "; " +
                    std::to_string(entry.tests) + " tests in " + entry.test_program);
    lines.push_back("  benchmark " + entry.benchmark +
                    (entry.flags.empty() ? std::string() : "; ringscale attention " + entry.flags));
  }
  return lines;
}

} // namespace ringscale::drivers
