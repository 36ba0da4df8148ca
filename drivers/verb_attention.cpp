// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <memory>
#include <string>

#include "drivers/attention/flags.hpp"
#include "drivers/attention/kernel_list.hpp"
#include "drivers/attention/row.hpp"
#include "drivers/attention/run.hpp"
#include "drivers/failure.hpp"
#include "drivers/session.hpp"
#include "problem/invalid_input.hpp"
#include "report/results_document.hpp"

namespace ringscale::drivers {

namespace {

using report::Json;

int list_kernels(Session &session) {
  if (session.options.json) {
    session.print_document(kernel_list_document(session.run_provenance()));
  } else {
    for (const std::string &line : kernel_list_lines()) {
      session.say(line);
    }
  }
  return exit_valid;
}

int show_attention(Session &session, const AttentionFlags &flags) {
  if (flags.list) {
    return list_kernels(session);
  }
  refuse_document_of_dry_run(session);
  AttentionOptions options = resolve(flags, session.options.seed);
  if (session.world_size() > 1) {
    throw problem::InvalidInput("attention runs on one device and was started on " +
                                std::to_string(session.world_size()) +
                                " ranks; start it without mpiexec, or use 'ringscale ring'");
  }
  validate_combination(options);
  const InputFiles inputs = options.files.given() ? read_input_files(options) : InputFiles{};
  validate(options);
  require_output_files(options);
  session.say(plan_line(options, flags.threads));
  if (session.options.dry_run) {
    return exit_valid;
  }
  session.start_kokkos(flags.threads);
  const AttentionRun run = run_attention(options, inputs);
  const Json row = attention_row(options, flags.threads, run);
  for (const std::string &line : result_lines(row)) {
    session.say(line);
  }
  for (const std::string &reason : run.verification.reasons) {
    session.say(reason);
  }
  const bool valid = run.verification.valid;
  const std::string verdict = valid ? "valid" : "invalid";
  session.say("verdict: " + verdict);
  for (const std::string &path : run.written) {
    session.say("wrote " + path);
  }
  session.print_document(report::results_document("attention", attention_configuration(options, flags.threads),
                                                  Json::array({row}), verdict, run.verification.reasons,
                                                  session.run_provenance()));
  return valid ? exit_valid : exit_invalid;
}

} // namespace

void add_attention_verb(CLI::App &program, Session &session) {
  CLI::App *verb = program.add_subcommand("attention", "Run, verify and time an attention kernel on one device");
  const auto flags = std::make_shared<AttentionFlags>();
  add_attention_flags(*verb, *flags);
  add_common_flags(*verb, session, {CommonFlag::json, CommonFlag::dry_run, CommonFlag::seed});
  verb->callback([flags, &session, verb] {
    for (const CLI::Option *option : verb->get_options()) {
      if (option->count() > 0) {
        flags->flags_given.push_back(option->get_name());
      }
    }
    session.action = [flags, &session] { return show_attention(session, *flags); };
  });
}

} // namespace ringscale::drivers
