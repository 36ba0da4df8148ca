// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "simulator/smpi_trace.hpp"

namespace ringscale::oracle_tests {

inline std::string smpirun() {
  const char *given = std::getenv("RINGSCALE_SMPIRUN");
  return given == nullptr ? "" : given;
}

/// A folder of this test's own that is removed when it ends.
class Scratch {
public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ringscale-oracle-XXXXXX").string();
    path_ = mkdtemp(pattern.data()) == nullptr ? "" : pattern;
  }
  ~Scratch() {
    if (!path_.empty()) {
      std::filesystem::remove_all(path_);
    }
  }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  std::filesystem::path traces() const { return path_ / "traces"; }

private:
  std::filesystem::path path_;
};

/// Seconds that smpirun prints; -1 with its words when the replay failed.
inline double run_replay(std::string command) {
  command.replace(0, std::string("smpirun").size(), smpirun());
  FILE *pipe = popen((command + " 2>&1").c_str(), "r");
  std::string text;
  std::array<char, 4096> piece{};
  while (pipe != nullptr && std::fgets(piece.data(), piece.size(), pipe) != nullptr) {
    text += piece.data();
  }
  const int status = pipe == nullptr ? -1 : pclose(pipe);
  const std::string label = "Simulation time ";
  const std::size_t found = text.find(label);
  if (status != 0 || found == std::string::npos || text.find("Deadlock") != std::string::npos) {
    std::cerr << text;
    return -1.0;
  }
  return std::stod(text.substr(found + label.size()));
}
/// Seconds SMPI gives for the ring; -1 with a message when the replay failed.
inline double replayed_s(const machine::Fleet &fleet, const simulator::SimulationOptions &options,
                         const std::string &added = "") {
  const Scratch scratch;
  return run_replay(simulator::write_smpi_trace(fleet, options, scratch.traces()) + added);
}
inline double replayed_s(const machine::Machine &machine, const simulator::SimulationOptions &options,
                         const std::string &added = "") {
  return replayed_s(machine::Fleet(machine, options.problem.ring_size), options, added);
}

/// The same with messages in bytes on a network that `platform` (SimGrid's XML, hosts h0, h1, ...) describes.
inline double replayed_on_platform_s(const machine::Machine &machine, const simulator::SimulationOptions &options,
                                     const std::string &platform) {
  const Scratch scratch;
  const std::string command =
      simulator::write_smpi_trace(machine, options, scratch.traces(), simulator::TraceSizes::bytes);
  std::ofstream(scratch.traces() / "platform.xml") << platform;
  return run_replay(command);
}

} // namespace ringscale::oracle_tests
