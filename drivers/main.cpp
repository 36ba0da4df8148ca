// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "drivers/failure.hpp"
#include "drivers/session.hpp"

namespace {

using ringscale::drivers::Session;

/// CLI11's own words, made into one line that says where to look further.
int report_usage_error(const CLI::App &program, const CLI::ParseError &error) {
  std::string where = "ringscale";
  for (const CLI::App *verb : program.get_subcommands()) {
    where += " " + verb->get_name();
  }
  std::string what = error.what();
  // A mistyped flag would otherwise be answered with the one that it was meant to be and now misses.
  for (const std::string &unread : program.remaining(true)) {
    if (dynamic_cast<const CLI::RequiredError *>(&error) != nullptr && unread.starts_with("--")) {
      what = "there is no flag " + unread;
      break;
    }
  }
  if (const auto unread = program.remaining(); program.get_subcommands().empty() && !unread.empty()) {
    what = "there is no verb '" + unread.front() + "'";
  }
  ringscale::drivers::print_failure(where, what + " (see " + where + " --help)");
  return ringscale::drivers::exit_usage;
}

/// The first flag of the verb that was given an empty text, as "$UNSET" in a script is: it would be read as a flag not
/// given. Empty where there is none. For CLI11 a flag that may stand alone and does has one empty text too, so for such
/// the command line itself is asked.
std::string empty_flag(const CLI::App &verb, const std::vector<std::string> &arguments) {
  for (const CLI::Option *option : verb.get_options()) {
    const std::vector<std::string> &texts = option->results();
    const bool may_stand_alone = option->get_items_expected_min() == 0 && texts.size() < 2;
    const std::string name = option->get_name();
    for (std::size_t index = 0; index < arguments.size() && may_stand_alone && option->count() > 0; ++index) {
      const bool is_followed = index + 1 < arguments.size();
      if (arguments[index] == name + "=" || (arguments[index] == name && is_followed && arguments[index + 1].empty())) {
        return name;
      }
    }
    if (!may_stand_alone && std::find(texts.begin(), texts.end(), "") != texts.end()) {
      return name;
    }
  }
  return {};
}

} // namespace

int main(int argc, char **argv) {
  Session session(argc, argv);
  CLI::App program("ringscale runs ring attention on MPI ranks, calibrates a simulator on those runs, and judges\n"
                   "published scaling claims with evidence.",
                   "ringscale");
  program.set_version_flag("--version", ringscale::drivers::version_line());
  program.require_subcommand(1);
  program.footer("Exit codes: 0 done and valid, 1 done and invalid, 2 usage or bad input, 75 incomplete (run again "
                 "with --resume), 124 watchdog.\nRanks: mpiexec -n P ringscale VERB ...");
  ringscale::drivers::add_attention_verb(program, session);
  ringscale::drivers::add_ring_verb(program, session);
  ringscale::drivers::add_calibrate_verb(program, session);
  ringscale::drivers::add_simulate_verb(program, session);
  ringscale::drivers::add_sweep_verb(program, session);
  ringscale::drivers::add_check_verb(program, session);
  ringscale::drivers::add_validate_verb(program, session);
  ringscale::drivers::add_plan_verb(program, session);
  ringscale::drivers::add_info_verb(program, session);

  try {
    program.parse(argc, argv);
  } catch (const CLI::Success &success) {
    // --help and --version: once, however many ranks were started.
    return ringscale::drivers::launched_rank() == 0 ? program.exit(success) : 0;
  } catch (const CLI::ParseError &error) {
    return report_usage_error(program, error);
  }
  const CLI::App &verb = *program.get_subcommands().front();
  if (const std::string flag = empty_flag(verb, {argv, argv + argc}); !flag.empty()) {
    ringscale::drivers::print_failure("ringscale " + verb.get_name(),
                                      flag + " is empty; give it a value or leave it out");
    return ringscale::drivers::exit_usage;
  }
  return ringscale::drivers::run_guarded(session, verb.get_name());
}
