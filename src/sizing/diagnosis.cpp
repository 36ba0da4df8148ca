// SPDX-License-Identifier: Apache-2.0
#include "sizing/diagnosis.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include "problem/invalid_input.hpp"
#include "sizing/fewest_devices.hpp"

namespace ringscale::sizing {

namespace {

using problem::DType;

/// What is asked for; changes are made to copies of it.
struct Setting {
  Workload workload;
  Configuration configuration;
  std::int64_t tokens = 0;
};

struct Change {
  std::string setting;
  std::string from;
  std::string to;
  bool same_result = true;
  std::function<void(Setting &)> apply;
};

std::int64_t batch_of_a_ring(const Setting &setting) {
  return (setting.workload.attention.batch + setting.configuration.rings - 1) / setting.configuration.rings;
}

/// Narrower elements that the machine file can compute in; of types of one size the first.
void add_changes_of_storage(const machine::Machine &machine, const Setting &now, std::vector<Change> &changes) {
  const DType dtype = now.workload.attention.dtype;
  std::set<std::int64_t> offered{problem::storage_bytes(dtype)};
  for (const machine::Arithmetic &arithmetic : machine.roofline.arithmetic) {
    const DType to = problem::parse_dtype(arithmetic.dtype);
    if (problem::storage_bytes(to) < problem::storage_bytes(dtype) &&
        offered.insert(problem::storage_bytes(to)).second) {
      changes.push_back({"dtype", std::string(problem::name(dtype)), std::string(problem::name(to)), false,
                         [to](Setting &setting) { setting.workload.attention.dtype = to; }});
    }
  }
}

void add_changes_of_schedule(const Setting &now, std::vector<Change> &changes) {
  const Configuration &configuration = now.configuration;
  if (configuration.placement == schedule::Placement::replicated_queries) {
    changes.push_back({"placement", "replicated_queries", "contiguous", true,
                       [](Setting &setting) { setting.configuration.placement = schedule::Placement::contiguous; }});
  }
  if (configuration.kernel == memory::KernelKind::materialised) {
    changes.push_back({"kernel", "materialised", "streamed", true,
                       [](Setting &setting) { setting.configuration.kernel = memory::KernelKind::streamed; }});
  }
  if (configuration.schedule != schedule::Schedule::ring) {
    changes.push_back(
        {"schedule", std::string(schedule::name(configuration.schedule)), "ring", true, [](Setting &setting) {
           setting.configuration.schedule = schedule::Schedule::ring;
           setting.configuration.inner_ring_size = 1;
         }});
  }
  if (configuration.layout == schedule::MessageLayout::copied) {
    changes.push_back({"message_layout", "copied", "stored_packed", true, [](Setting &setting) {
                         setting.configuration.layout = schedule::MessageLayout::stored_packed;
                       }});
  }
  const bool queries_move = configuration.moving == schedule::Moving::query;
  if (configuration.placement != schedule::Placement::replicated_queries &&
      (queries_move || configuration.layout == schedule::MessageLayout::stored_packed)) {
    const schedule::Moving other = queries_move ? schedule::Moving::key_value : schedule::Moving::query;
    changes.push_back({"moving", std::string(schedule::name(configuration.moving)), std::string(schedule::name(other)),
                       true, [other](Setting &setting) { setting.configuration.moving = other; }});
  }
}

void add_changes_of_size(const Setting &now, std::vector<Change> &changes) {
  const std::int64_t ranks = now.configuration.ring_size;
  if (2 * ranks <= now.tokens) {
    changes.push_back({"ring_size", std::to_string(ranks), std::to_string(2 * ranks), true,
                       [](Setting &setting) { setting.configuration.ring_size *= 2; }});
  }
  if (batch_of_a_ring(now) > 1) {
    changes.push_back({"batch", std::to_string(batch_of_a_ring(now)) + " at once", "1 at a time", true,
                       [](Setting &setting) { setting.workload.attention.batch = setting.configuration.rings; }});
  }
}

std::vector<Change> changes_of(const machine::Machine &machine, const Setting &now) {
  std::vector<Change> changes;
  add_changes_of_schedule(now, changes);
  add_changes_of_size(now, changes);
  add_changes_of_storage(machine, now, changes);
  return changes;
}

std::optional<MemoryNeed> need_of(const machine::Machine &machine, const Setting &setting) {
  return memory_need(machine, setting.workload, setting.configuration, setting.tokens);
}

} // namespace

Diagnosis diagnose(const machine::Machine &machine, const Workload &workload, const Configuration &configuration,
                   std::int64_t tokens) {
  const Setting now{workload, configuration, tokens};
  const std::optional<MemoryNeed> need = need_of(machine, now);
  if (!need) {
    throw problem::InvalidInput("a device would need more than 2^56 bytes; use fewer tokens or more devices");
  }
  Diagnosis result;
  result.configuration = configuration;
  result.tokens = tokens;
  result.budget_bytes = budget_bytes(machine, workload);
  result.need = *need;
  result.fits = need->total_bytes <= result.budget_bytes;
  result.fitting_ring_size =
      smallest_ring(machine, workload, configuration, tokens, result.budget_bytes, std::min(tokens, most_devices));
  std::vector<std::pair<Saving, Change>> found;
  for (const Change &change : changes_of(machine, now)) {
    Setting changed = now;
    change.apply(changed);
    const std::optional<MemoryNeed> after = need_of(machine, changed);
    if (after && after->total_bytes < need->total_bytes) {
      found.push_back({{change.setting, change.from, change.to, change.same_result, after->total_bytes,
                        need->total_bytes - after->total_bytes, after->total_bytes <= result.budget_bytes},
                       change});
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const auto &left, const auto &right) {
    return left.first.saved_bytes > right.first.saved_bytes;
  });
  for (const auto &[saving, change] : found) {
    result.savings.push_back(saving);
  }
  // Together: savings are not additive, so every step is counted anew.
  Setting together = now;
  bool enough = result.fits;
  for (const bool same_result : {true, false}) {
    std::int64_t before = need_of(machine, together)->total_bytes;
    for (const auto &[saving, change] : found) {
      if (enough || saving.same_result != same_result) {
        continue;
      }
      Setting changed = together;
      change.apply(changed);
      const std::optional<MemoryNeed> after = need_of(machine, changed);
      if (!after || after->total_bytes >= before) {
        continue; // an earlier change has taken its saving, or the two do not help each other
      }
      together = changed;
      before = after->total_bytes;
      enough = before <= result.budget_bytes;
      result.remedy.push_back({saving.setting, saving.to, before, enough});
    }
  }
  return result;
}

} // namespace ringscale::sizing
