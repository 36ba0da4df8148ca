// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <array>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>

#include "drivers/failure.hpp"
#include "drivers/session.hpp"
#include "kernels/packed_key_value.hpp"
#include "memory/closed_form.hpp"
#include "memory/memory_model.hpp"
#include "problem/attention_problem.hpp"
#include "report/json.hpp"
#include "ring/ring_run.hpp"
#include "schedule/choices.hpp"
#include "sweep/axis.hpp"

namespace ringscale::drivers {

namespace {

using report::Json;

template <class Values> Json words(const Values &values) {
  Json list = Json::array();
  for (const auto value : values) {
    list.push_back(std::string(name(value)));
  }
  return list;
}

Json words(const std::vector<std::string_view> &choices) { return Json(choices); }

Json choices() {
  Json object = Json::object();
  object["schedules"] = words(schedule::schedule_choices());
  object["placements"] = words(schedule::placement_choices());
  object["movings"] = words(schedule::moving_choices());
  object["passes"] = words(schedule::pass_choices());
  object["hops"] = words(schedule::hops_choices());
  object["message_layouts"] = words(schedule::message_layout_choices());
  object["masks"] = words(std::array{problem::Mask::none, problem::Mask::causal});
  object["dtypes"] = words(problem::all_dtypes);
  object["softmax_rules"] = words(std::array{ring::SoftmaxRule::online, ring::SoftmaxRule::per_chunk});
  object["kernels"] = words(std::array{memory::KernelKind::streamed, memory::KernelKind::materialised});
  object["memory_models"] = words(memory::all_memory_models);
  return object;
}

/// Memory that can be taken without swapping; null where the system does not tell.
Json available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::int64_t kibibytes = 0;
  for (std::string unit; file >> key >> kibibytes; std::getline(file, unit)) {
    if (key == "MemAvailable:") {
      return kibibytes * 1024;
    }
  }
  return nullptr;
}

Json process_limit(int resource) {
  rlimit limit{};
  const bool limited = getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return limited ? Json(static_cast<std::uint64_t>(limit.rlim_cur)) : Json(nullptr);
}

Json limits() {
  Json object = Json::object();
  object["available_memory_bytes"] = available_memory();
  object["address_space_limit_bytes"] = process_limit(RLIMIT_AS);
  object["stack_limit_bytes"] = process_limit(RLIMIT_STACK);
  object["key_tile_tokens"] = kernels::key_tile_tokens;
  object["sweep_points"] = sweep::most_points;
  object["json_depth"] = report::most_json_depth;
  return object;
}

std::string plain(const Json &value) {
  return value.is_string() ? value.get<std::string>() : report::write_json(value, -1);
}

void say_object(Session &session, const std::string &title, const Json &object) {
  session.say(title);
  for (const auto &[key, value] : object.items()) {
    std::string line = "  ";
    line.append(key).append(": ");
    std::string list;
    if (value.is_array()) {
      for (const Json &item : value) {
        list.append(list.empty() ? "" : ", ").append(plain(item));
      }
    }
    session.say(line.append(value.is_array() ? list : value.is_null() ? "not known" : plain(value)));
  }
}

int show_info(Session &session) {
  session.start_kokkos(0);
  Json document = Json::object();
  document["schema"] = "ringscale.info";
  document["schema_version"] = 1;
  // Gathered on every rank: it may ask all of them.
  document["provenance"] = session.run_provenance();
  document["limits"] = limits();
  document["choices"] = choices();
  const Json &provenance = document["provenance"];
  for (const char *part : {"build", "runtime", "host"}) {
    say_object(session, part, provenance[part]);
  }
  say_object(session, "limits", document["limits"]);
  say_object(session, "choices", document["choices"]);
  session.print_document(document);
  return exit_valid;
}

} // namespace

void add_info_verb(CLI::App &program, Session &session) {
  CLI::App *verb = program.add_subcommand("info", "Show build, devices, limits and provenance");
  add_common_flags(*verb, session, {CommonFlag::json});
  verb->callback([&session] { session.action = [&session] { return show_info(session); }; });
}

} // namespace ringscale::drivers
