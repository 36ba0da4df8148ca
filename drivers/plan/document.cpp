// SPDX-License-Identifier: Apache-2.0
#include "drivers/plan/document.hpp"

#include <algorithm>

#include "sweep/row_parts.hpp"

namespace ringscale::drivers {

using report::Json;
using sweep::finite_or_null;

namespace {

void add_configuration(Json &fields, const sizing::Configuration &configuration) {
  fields["rings"] = configuration.rings;
  fields["ring_size"] = configuration.ring_size;
  fields["devices"] = configuration.devices();
  fields["schedule"] = schedule::name(configuration.schedule);
  if (configuration.schedule == schedule::Schedule::double_ring) {
    fields["inner_ring_size"] = configuration.inner_ring_size;
  }
  fields["placement"] = schedule::name(configuration.placement);
  fields["moving"] = schedule::name(configuration.moving);
}

Json pass_part(schedule::Pass pass, const simulator::Simulation &simulation) {
  Json part = Json::object();
  part["pass"] = schedule::name(pass);
  part["kind"] = "simulated";
  part["time_s"] = finite_or_null(simulation.time_s);
  part["time_s_interval"] = sweep::interval(simulation.time_low_s, simulation.time_high_s, simulation.time_confidence);
  part["time_source"] = simulation.time_source;
  part["efficiency"] = finite_or_null(simulation.efficiency);
  part["bound"] = simulation.bound;
  part["work_s"] = finite_or_null(simulation.work_s);
  part["hop_s"] = finite_or_null(simulation.hop_s);
  part["hop_bytes"] = finite_or_null(simulation.hop_bytes);
  part["exposed_communication_s"] = finite_or_null(simulation.slowest.exposed_communication_s);
  part["waiting_s"] = finite_or_null(simulation.slowest.waiting_s);
  part["engine"] = simulation.engine;
  return part;
}

Json value_json(const sizing::Value &value) {
  return std::visit([](const auto &held) { return Json(held); }, value);
}

Json values_part(const sizing::NamedValues &values) {
  Json part = Json::object();
  for (const auto &[name, value] : values) {
    part[name] = value_json(value);
  }
  return part;
}

Json outcome_part(const sizing::Outcome &outcome) {
  Json part = Json::object();
  part["values"] = values_part(outcome.values);
  part["error"] = outcome.error.empty() ? Json(nullptr) : Json(outcome.error);
  return part;
}

} // namespace

Json machine_part(const machine::Machine &machine, const sizing::Workload &workload) {
  Json part = Json::object();
  part["name"] = machine.name;
  part["kind"] = machine.kind;
  part["dtype"] = problem::name(workload.attention.dtype);
  part["device_memory_bytes"] = static_cast<std::int64_t>(machine.device.memory_bytes.value);
  part["reserve_bytes"] = workload.reserve_bytes;
  part["budget_bytes"] = sizing::budget_bytes(machine, workload);
  part["hold_out_points"] = static_cast<std::int64_t>(machine.hold_out.size());
  part["hold_out_median_relative_error"] = finite_or_null(machine.hold_out_median_relative_error);
  return part;
}

Json workload_part(const sizing::Workload &workload) {
  const problem::AttentionProblem &attention = workload.attention;
  Json part = Json::object();
  part["batch"] = attention.batch;
  part["query_heads"] = attention.query_heads;
  part["kv_heads"] = attention.kv_heads;
  part["head_dim"] = attention.head_dim;
  part["mask"] = problem::name(attention.mask);
  part["passes"] = Json::array();
  for (const schedule::Pass pass : workload.passes) {
    part["passes"].push_back(schedule::name(pass));
  }
  part["ranks_on_node"] = workload.ranks_on_node;
  part["most_steps"] = workload.most_steps;
  return part;
}

Json row(const sizing::Workload &workload, const sizing::Evaluation &evaluation) {
  Json fields = Json::object();
  fields["kind"] = evaluation.simulated ? "simulated" : "analytic";
  add_configuration(fields, evaluation.configuration);
  fields["tokens"] = evaluation.tokens;
  fields["chunk_tokens"] = evaluation.chunk_tokens;
  fields["memory_kind"] = "analytic";
  fields["fits_memory"] = evaluation.fits;
  fields["memory_peak_bytes"] = evaluation.memory ? Json(evaluation.memory->total_bytes) : Json(nullptr);
  if (evaluation.memory) {
    fields["memory_pass"] = schedule::name(evaluation.memory->pass);
    fields["memory_bytes"] = sweep::by_purpose(evaluation.memory->by_purpose);
  }
  if (!evaluation.simulated) {
    fields["time_s"] = nullptr;
    fields["not_simulated"] = evaluation.not_simulated;
    return fields;
  }
  fields["simulated_tokens"] = evaluation.simulated_tokens;
  fields["time_s"] = finite_or_null(evaluation.time_s);
  fields["time_s_interval"] =
      sweep::interval(evaluation.time_low_s, evaluation.time_high_s, evaluation.time_confidence);
  fields["tokens_per_s"] = finite_or_null(evaluation.tokens_per_s);
  fields["efficiency"] = finite_or_null(evaluation.efficiency);
  fields["bound"] = evaluation.bound;
  fields["bound_explained"] = sizing::explain_bound(evaluation);
  fields["extrapolated"] = !evaluation.extrapolation.empty();
  fields["extrapolation"] = evaluation.extrapolation;
  fields["passes"] = Json::array();
  for (std::size_t place = 0; place < evaluation.passes.size(); ++place) {
    fields["passes"].push_back(pass_part(workload.passes[place], evaluation.passes[place]));
  }
  return fields;
}

Json rows(const sizing::Workload &workload, const std::vector<sizing::Evaluation> &evaluations, std::int64_t most) {
  Json list = Json::array();
  for (const sizing::Evaluation &evaluation : evaluations) {
    if (static_cast<std::int64_t>(list.size()) == most) {
      break;
    }
    list.push_back(row(workload, evaluation));
  }
  return list;
}

Json answer_part(const sizing::LargestContext &answer, const sizing::Workload &workload, std::int64_t devices,
                 std::int64_t top) {
  Json part = Json::object();
  part["kind"] = "analytic";
  part["devices"] = devices;
  part["tokens"] = answer.tokens;
  part["limited_by"] = answer.tokens == 0 ? "nothing fits" : answer.at_limit ? "2^50 tokens or 2^61 bytes" : "memory";
  part["memory_peak_bytes"] = answer.memory_bytes;
  part["next_token_memory_bytes"] = answer.next_memory_bytes > 0 ? Json(answer.next_memory_bytes) : Json(nullptr);
  part["largest_purpose"] = memory::name(answer.largest_purpose);
  part["configurations"] = static_cast<std::int64_t>(answer.by_configuration.size());
  part["by_configuration"] = Json::array();
  for (const sizing::ContextOfConfiguration &one : answer.by_configuration) {
    if (static_cast<std::int64_t>(part["by_configuration"].size()) == top) {
      break;
    }
    Json fields = Json::object();
    add_configuration(fields, one.configuration);
    fields["tokens"] = one.tokens;
    part["by_configuration"].push_back(fields);
  }
  part["stateable_tokens"] = sizing::stateable_tokens(workload);
  return part;
}

Json answer_part(const sizing::FewestDevices &answer, std::int64_t tokens) {
  Json part = Json::object();
  part["kind"] = answer.time_limit_s > 0.0 ? "simulated" : "analytic";
  part["tokens"] = tokens;
  part["devices"] = answer.devices;
  part["memory_devices"] = answer.memory_devices;
  part["time_limit_s"] = answer.time_limit_s > 0.0 ? Json(answer.time_limit_s) : Json(nullptr);
  part["limited_by"] = answer.memory_devices == 0 ? "nothing fits"
                       : answer.devices == 0      ? "nothing is as fast"
                       : answer.limited_by_time   ? "time"
                                                  : "memory";
  part["smaller_numbers_simulated"] = answer.smaller_checked;
  part["all_smaller_numbers_excluded"] = answer.all_smaller;
  part["schedules_left_out"] = answer.left_out;
  part["fastest_simulated_s"] =
      answer.devices == 0 && answer.fastest ? finite_or_null(answer.fastest->time_s) : Json(nullptr);
  part["fastest_simulated_devices"] =
      answer.devices == 0 && answer.fastest ? Json(answer.fastest->configuration.devices()) : Json(nullptr);
  return part;
}

Json answer_part(const sizing::Ranking &answer, const sizing::Workload &workload) {
  Json part = Json::object();
  const bool simulated = answer.simulated > 0;
  part["kind"] = simulated ? "simulated" : "analytic";
  part["configurations"] = static_cast<std::int64_t>(answer.ranked.size());
  part["fitting"] = answer.fitting;
  part["simulated"] = answer.simulated;
  part["ring_size"] = answer.fitting > 0 ? Json(answer.ranked.front().configuration.ring_size) : Json(nullptr);
  part["chunk_tokens"] = answer.fitting > 0 ? Json(answer.ranked.front().chunk_tokens) : Json(nullptr);
  part["within_one_percent_of_the_best"] = answer.near_the_best;
  part["leanest_of_these"] = answer.leanest ? row(workload, *answer.leanest) : Json(nullptr);
  return part;
}

Json diagnosis_part(const sizing::Diagnosis &diagnosis) {
  Json part = Json::object();
  part["kind"] = "analytic";
  add_configuration(part, diagnosis.configuration);
  part["kernel"] = memory::name(diagnosis.configuration.kernel);
  part["message_layout"] = schedule::name(diagnosis.configuration.layout);
  part["tokens"] = diagnosis.tokens;
  part["budget_bytes"] = diagnosis.budget_bytes;
  part["memory_peak_bytes"] = diagnosis.need.total_bytes;
  part["memory_bytes"] = sweep::by_purpose(diagnosis.need.by_purpose);
  part["fits_memory"] = diagnosis.fits;
  part["fitting_ring_size"] = diagnosis.fitting_ring_size;
  part["savings"] = Json::array();
  for (const sizing::Saving &saving : diagnosis.savings) {
    Json fields = Json::object();
    fields["setting"] = saving.setting;
    fields["from"] = saving.from;
    fields["to"] = saving.to;
    fields["same_result"] = saving.same_result;
    fields["saved_bytes"] = saving.saved_bytes;
    fields["memory_peak_bytes"] = saving.memory_bytes;
    fields["fits_memory"] = saving.fits;
    part["savings"].push_back(fields);
  }
  part["remedy"] = Json::array();
  for (const sizing::Remedy &step : diagnosis.remedy) {
    Json fields = Json::object();
    fields["setting"] = step.setting;
    fields["to"] = step.to;
    fields["memory_peak_bytes"] = step.memory_bytes;
    fields["fits_memory"] = step.fits;
    part["remedy"].push_back(fields);
  }
  return part;
}

Json calculation_part(const sizing::Calculation &calculation) {
  Json part = Json::object();
  part["kind"] = "analytic";
  part["calculator"] = calculation.calculator;
  part["arguments"] = values_part(calculation.arguments);
  part["as_printed"] = outcome_part(calculation.as_printed);
  part["corrected"] = outcome_part(calculation.corrected);
  part["difference"] = calculation.difference;
  if (!calculation.document_says.empty()) {
    part["document_says"] = calculation.document_says;
  }
  return part;
}

Json sizing_document(Question question, bool answered, const Json &body, const Json &provenance) {
  Json document = Json::object();
  document["schema"] = "ringscale.sizing";
  document["schema_version"] = 1;
  document["verb"] = "plan";
  document["question"] = name(question);
  document["answered"] = answered;
  for (const auto &[key, value] : body.items()) {
    document[key] = value;
  }
  document["provenance"] = provenance;
  return document;
}

} // namespace ringscale::drivers
