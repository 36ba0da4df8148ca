// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "report/json.hpp"

namespace ringscale::drivers {

/// Tests of a GoogleTest program: how many its filter selects, which a test of the command line counts again.
struct TestSelection {
  std::string program;
  std::string filter;
  int count = 0;
};

/// What is known of one kernel: what it declares, what it is compared with, and which controls show that the
/// comparison can fail.
struct KernelEntry {
  std::string name;
  std::string header;    ///< where it is declared
  std::string computes;  ///< in a few words
  std::string flags;     ///< of `ringscale attention`; empty where only the library and the benchmarks have it
  std::string flop;      ///< useful floating-point operations
  std::string bytes;     ///< compulsory traffic
  std::string reference; ///< what it is compared with, in double precision
  TestSelection tests;
  TestSelection negative_controls;
  std::string benchmark; ///< first part of its names in benchmark_kernels
};

const std::vector<KernelEntry> &kernel_entries();

/// The list as a document of schema ringscale.kernels.
report::Json kernel_list_document(const report::Json &provenance);

/// The list for people: a line a kernel.
std::vector<std::string> kernel_list_lines();

} // namespace ringscale::drivers
