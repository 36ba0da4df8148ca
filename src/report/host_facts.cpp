// SPDX-License-Identifier: Apache-2.0
#include "report/host_facts.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <limits>
#include <map>
#include <string_view>

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace ringscale::report {

namespace {

constexpr std::array<std::string_view, 8> allowed_prefixes{"OMP_", "KOKKOS_", "MPICH_", "MPIR_CVAR_",
                                                           "UCX_", "FI_",     "NCCL_",  "GOMP_"};
constexpr std::array<std::string_view, 4> allowed_names{"SLURM_JOB_ID", "SLURM_NNODES", "SLURM_NTASKS",
                                                        "CUDA_VISIBLE_DEVICES"};

std::string first_line(const char *path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    for (const std::string_view key : {"model name", "cpu model", "Model"}) {
      const auto colon = line.find(": ");
      if (line.compare(0, key.size(), key) == 0 && colon != std::string::npos) {
        return line.substr(colon + 2);
      }
    }
  }
  return "unknown";
}

int cores_in_affinity_mask() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  return sched_getaffinity(0, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : 0;
}

Json load_average() {
  std::array<double, 3> loads{};
  const int known = getloadavg(loads.data(), static_cast<int>(loads.size()));
  Json values = Json::array();
  for (int index = 0; index < known; ++index) {
    values.push_back(loads[static_cast<std::size_t>(index)]);
  }
  return values;
}

} // namespace

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

bool environment_variable_allowed(const std::string &name) {
  return std::any_of(allowed_prefixes.begin(), allowed_prefixes.end(),
                     [&](std::string_view prefix) { return name.compare(0, prefix.size(), prefix) == 0; }) ||
         std::find(allowed_names.begin(), allowed_names.end(), name) != allowed_names.end();
}

Json allowed_environment() {
  std::map<std::string, std::string> found;
  for (char **entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) {
      continue;
    }
    const std::string name(text.substr(0, equals));
    if (environment_variable_allowed(name)) {
      found.emplace(name, text.substr(equals + 1));
    }
  }
  Json variables = Json::object();
  for (const auto &[name, value] : found) {
    variables[name] = value;
  }
  return variables;
}

double measured_clock_resolution_s() {
  using Clock = std::chrono::steady_clock;
  double smallest = std::numeric_limits<double>::max();
  for (int reading = 0; reading < 2000; ++reading) {
    const Clock::time_point before = Clock::now();
    Clock::time_point after = before;
    while (after == before) {
      after = Clock::now();
    }
    smallest = std::min(smallest, std::chrono::duration<double>(after - before).count());
  }
  return smallest;
}

Json host_facts() {
  utsname system{};
  const bool known = uname(&system) == 0;
  Json facts = Json::object();
  facts["host"] = known ? system.nodename : "unknown";
  facts["operating_system"] =
      known ? std::string(system.sysname).append(" ").append(system.release) : std::string("unknown");
  facts["architecture"] = known ? system.machine : "unknown";
  facts["cpu_model"] = cpu_model();
  facts["cores_online"] = sysconf(_SC_NPROCESSORS_ONLN);
  facts["cores_in_affinity_mask"] = cores_in_affinity_mask();
  facts["memory_bytes"] = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  facts["load_average"] = load_average();
  const std::string governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  facts["frequency_governor"] = governor.empty() ? Json(nullptr) : Json(governor);
  return facts;
}

} // namespace ringscale::report
