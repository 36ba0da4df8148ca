// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <memory>

#include "drivers/failure.hpp"
#include "drivers/session.hpp"
#include "drivers/validate/measured.hpp"
#include "drivers/validate/published.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::drivers {

namespace {

struct ValidateFlags {
  PublishedFlags published;
  MeasuredFlags measured;
};

int run(Session &session, const ValidateFlags &flags) {
  if (flags.measured.measured != flags.published.files.empty()) {
    throw problem::InvalidInput("validate needs one of --published FILE and --measured");
  }
  if (flags.measured.measured && !flags.published.machines.empty()) {
    throw problem::InvalidInput(
        "--machines has no effect with --measured, whose one machine is --machine FILE or a new "
        "calibration");
  }
  refuse_document_of_dry_run(session);
  return flags.measured.measured ? run_measured(session, flags.measured) : run_published(session, flags.published);
}

} // namespace

void add_validate_verb(CLI::App &program, Session &session) {
  auto flags = std::make_shared<ValidateFlags>();
  CLI::App *verb = program.add_subcommand(
      "validate", "The simulator against published tables, and against real rings that it has not seen");
  add_published_flags(*verb, flags->published);
  add_measured_flags(*verb, flags->measured);
  add_common_flags(*verb, session, {CommonFlag::json, CommonFlag::dry_run, CommonFlag::output});
  verb->callback([flags, &session] { session.action = [flags, &session] { return run(session, *flags); }; });
}

} // namespace ringscale::drivers
