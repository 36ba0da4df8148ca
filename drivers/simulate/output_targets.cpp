// SPDX-License-Identifier: Apache-2.0
#include "drivers/simulate/output_targets.hpp"

#include <string>
#include <system_error>
#include <vector>

#include "problem/invalid_input.hpp"
#include "report/output_file.hpp"

namespace ringscale::drivers {

using problem::InvalidInput;

namespace {

namespace fs = std::filesystem;

struct Target {
  std::string flag;
  fs::path path; ///< absolute, without links and detours as far as it exists
};

/// One spelling of a path, so that two of the same place are equal.
fs::path one_spelling(const fs::path &path) {
  std::error_code error;
  fs::path absolute = fs::absolute(path, error);
  if (const fs::path resolved = fs::weakly_canonical(absolute, error); !error) {
    absolute = resolved;
  }
  absolute = absolute.lexically_normal();
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

bool is_there(const fs::path &path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

/// Whether `folder` is `inner` or one of the folders above it.
bool holds(const fs::path &folder, const fs::path &inner) {
  for (fs::path place = inner; !place.empty(); place = place.parent_path()) {
    if (place == folder) {
      return true;
    }
    if (place == place.parent_path()) {
      return false;
    }
  }
  return false;
}

/// That the folder can be written, or made, without making it.
void require_folder(const fs::path &folder) {
  if (is_there(folder)) {
    report::require_writable_folder(folder);
    return;
  }
  fs::path missing = folder;
  while (missing.has_parent_path() && missing.parent_path() != missing && !is_there(missing.parent_path())) {
    missing = missing.parent_path();
  }
  report::require_new_file(missing);
}

} // namespace

void require_output_targets(const SimulateFlags &flags, const fs::path &results, const std::string &result_name) {
  const fs::path folder = results.empty() ? fs::path() : one_spelling(results);
  std::vector<Target> targets;
  const auto add = [&](const char *flag, const fs::path &path) {
    if (!path.empty()) {
      targets.push_back({flag, one_spelling(path)});
    }
  };
  add("--trace", flags.trace.file);
  add("--emit-goal", flags.goal_file);
  add("--emit-trace", flags.trace_folder);
  if (!folder.empty()) {
    for (const Target &target : targets) {
      if (!is_there(target.path) && holds(target.path, folder)) {
        throw InvalidInput(target.flag + " and --output both name " + target.path.string() + "; name two places");
      }
    }
    require_folder(folder);
    targets.push_back({"--output", folder / result_name});
  }
  for (std::size_t one = 0; one < targets.size(); ++one) {
    for (std::size_t other = one + 1; other < targets.size(); ++other) {
      if (targets[one].path == targets[other].path) {
        throw InvalidInput(targets[one].flag + " and " + targets[other].flag + " both name " +
                           targets[one].path.string() + "; name two places");
      }
    }
  }
  for (const Target &target : targets) {
    const bool made_along =
        !is_there(target.path.parent_path()) && !folder.empty() && holds(target.path.parent_path(), folder);
    if (!made_along) {
      report::require_new_file(target.path);
    }
  }
}

} // namespace ringscale::drivers
