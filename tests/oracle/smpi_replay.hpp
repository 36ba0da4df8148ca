// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
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

/// Seconds SMPI gives for the ring; -1 with a message when the replay failed.
inline double replayed_s(const machine::Fleet &fleet, const simulator::SimulationOptions &options,
                         const std::string &added = "") {
  const Scratch scratch;
  std::string command = simulator::write_smpi_trace(fleet, options, scratch.traces());
  command.replace(0, std::string("smpirun").size(), smpirun());
  FILE *pipe = popen((command + added + " 2>&1").c_str(), "r");
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
inline double replayed_s(const machine::Machine &machine, const simulator::SimulationOptions &options,
                         const std::string &added = "") {
  return replayed_s(machine::Fleet(machine, options.problem.ring_size), options, added);
}

} // namespace ringscale::oracle_tests
