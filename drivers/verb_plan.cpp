// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>
#include <string>

#include "drivers/failure.hpp"
#include "drivers/plan/document.hpp"
#include "drivers/plan/flags.hpp"
#include "drivers/plan/tables.hpp"
#include "drivers/session.hpp"
#include "problem/invalid_input.hpp"
#include "report/machine_document.hpp"
#include "report/output_file.hpp"

namespace ringscale::drivers {

namespace {

using report::Json;

/// What a question came to: the parts of its document, and whether anything does what was asked.
struct Answer {
  Json body = Json::object();
  bool answered = true;
};

Answer answer_calculators(Session &session, const PlanFlags &flags) {
  if (flags.calculator == "all" && !flags.arguments.empty()) {
    throw problem::InvalidInput("--arguments has no effect with --calculator all, the documents' own calls");
  }
  const std::vector<sizing::Calculation> calculations =
      flags.calculator == "all"
          ? sizing::documented_calculations()
          : std::vector<sizing::Calculation>{sizing::calculate(flags.calculator, flags.arguments)};
  Answer answer;
  answer.body["calculations"] = Json::array();
  for (const sizing::Calculation &calculation : calculations) {
    say_calculation(session, calculation);
    answer.body["calculations"].push_back(calculation_part(calculation));
  }
  return answer;
}

Answer answer_sizing(Session &session, const PlanFlags &flags, Question question, const machine::Machine &machine,
                     const sizing::Workload &workload, const sizing::Allowed &allowed) {
  Answer answer;
  answer.body["machine"] = machine_part(machine, workload);
  answer.body["workload"] = workload_part(workload);
  say_machine(session, machine, workload);
  switch (question) {
  case Question::largest_context: {
    const sizing::LargestContext found = sizing::find_largest_context(machine, workload, allowed, flags.devices);
    say_answer(session, found, flags.top);
    answer.answered = found.tokens > 0;
    answer.body["answer"] = answer_part(found, workload, flags.devices, flags.top);
    answer.body["ranked"] = rows(workload, found.ranked, flags.top);
    break;
  }
  case Question::fewest_devices: {
    const sizing::FewestDevices found =
        sizing::find_fewest_devices(machine, workload, allowed, flags.tokens, 3600.0 * flags.hours, flags.most_devices);
    say_answer(session, found, flags.top);
    answer.answered = found.devices > 0;
    answer.body["answer"] = answer_part(found, flags.tokens);
    answer.body["ranked"] = rows(workload, found.ranked, flags.top);
    break;
  }
  case Question::best_configuration: {
    const sizing::Ranking found = sizing::rank_configurations(machine, workload, allowed, flags.tokens, flags.devices);
    say_answer(session, found, flags.top);
    answer.answered = found.fitting > 0;
    answer.body["answer"] = answer_part(found, workload);
    answer.body["ranked"] = rows(workload, found.ranked, flags.top);
    answer.body["by_ring_size"] =
        rows(workload, found.by_ring_size, static_cast<std::int64_t>(found.by_ring_size.size()));
    const sizing::Evaluation &nearest = found.ranked.front();
    if (!answer.answered && nearest.memory) {
      const sizing::Diagnosis diagnosis = sizing::diagnose(machine, workload, nearest.configuration, flags.tokens);
      say_diagnosis(session, diagnosis);
      answer.body["diagnosis"] = diagnosis_part(diagnosis);
    }
    break;
  }
  default: {
    const sizing::Diagnosis diagnosis =
        sizing::diagnose(machine, workload, diagnosed_configuration(flags, machine), flags.tokens);
    say_diagnosis(session, diagnosis);
    answer.answered = diagnosis.fits || (!diagnosis.remedy.empty() && diagnosis.remedy.back().fits);
    answer.body["diagnosis"] = diagnosis_part(diagnosis);
    break;
  }
  }
  return answer;
}

std::string summary(const PlanFlags &flags, Question question) {
  const auto number = [](const char *flag, std::int64_t value) {
    return value > 0 ? std::string(", ") + flag + " " + std::to_string(value) : std::string();
  };
  if (question == Question::calculators) {
    return "plan: calculator " + flags.calculator;
  }
  return "plan: " + name(question) + number("devices", flags.devices) + number("tokens", flags.tokens) + ", batch " +
         std::to_string(flags.batch) + ", " + std::to_string(flags.query_heads) + " x " +
         std::to_string(flags.head_dim) + " heads (" +
         std::to_string(flags.kv_heads > 0 ? flags.kv_heads : flags.query_heads) + " key/value), mask " + flags.mask +
         ", pass " + flags.pass + ", schedule " + flags.schedule + ", placement " + flags.placement + ", moving " +
         flags.moving;
}

/// Name of the result file: question, machine and the numbers given.
std::string file_name(const PlanFlags &flags, Question question, const std::string &machine) {
  std::string text = "plan-" + name(question);
  text += machine.empty() ? "-" + flags.calculator : "-" + machine;
  text += flags.devices > 0 ? "-" + std::to_string(flags.devices) + "-devices" : "";
  text += flags.tokens > 0 ? "-" + std::to_string(flags.tokens) + "-tokens" : "";
  return text + ".json";
}

int run(Session &session, const PlanFlags &flags) {
  refuse_document_of_dry_run(session);
  if (!session.is_root()) {
    return exit_valid; // one process plans; further ranks have nothing to add
  }
  const Question question = question_of(flags);
  machine::Machine machine;
  sizing::Workload workload;
  sizing::Allowed allowed;
  if (question != Question::calculators) {
    machine = report::read_machine_file(flags.machine);
    workload = workload_of(flags, machine);
    allowed = allowed_of(flags);
  }
  session.say(summary(flags, question));
  if (session.options.dry_run) {
    return exit_valid;
  }
  const std::filesystem::path folder = session.options.output;
  if (!folder.empty()) {
    report::require_writable_folder(folder);
  }
  const Answer answer = question == Question::calculators
                            ? answer_calculators(session, flags)
                            : answer_sizing(session, flags, question, machine, workload, allowed);
  const Json document = sizing_document(question, answer.answered, answer.body, session.run_provenance());
  if (!folder.empty()) {
    const std::filesystem::path file = folder / file_name(flags, question, machine.name);
    report::write_file_exclusive(file, report::write_json(document, 2) + "\n");
    session.say("wrote " + file.string());
  }
  session.print_document(document);
  return answer.answered ? exit_valid : exit_invalid;
}

} // namespace

void add_plan_verb(CLI::App &program, Session &session) {
  auto flags = std::make_shared<PlanFlags>();
  CLI::App *verb = program.add_subcommand(
      "plan", "Sizing: largest context, fewest devices, best ring and schedule, what to change when nothing fits");
  add_plan_flags(*verb, *flags);
  verb->footer("Exit code 1: the question is answered, but nothing does what it asks for.");
  add_common_flags(*verb, session, {CommonFlag::json, CommonFlag::dry_run, CommonFlag::output});
  verb->callback([flags, verb, &session] {
    note_given_flags(*verb, *flags);
    session.action = [flags, &session] { return run(session, *flags); };
  });
}

} // namespace ringscale::drivers
