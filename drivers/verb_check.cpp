// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "claims/ledger.hpp"
#include "claims/result_rows.hpp"
#include "claims/verdict.hpp"
#include "drivers/session.hpp"
#include "report/output_file.hpp"

namespace ringscale::drivers {

namespace {

struct CheckOptions {
  std::string claims;
  std::string results;
};

std::string table_line(const std::string &id, const std::string &verdict, const std::string &margin,
                       const std::string &why) {
  std::array<char, 96> columns{};
  std::snprintf(columns.data(), columns.size(), "%-38s %-18s %8s  ", id.c_str(), verdict.c_str(), margin.c_str());
  return columns.data() + why;
}

/// The summary, cut to a line that a terminal shows whole; the document has every reason in full.
std::string short_reason(const claims::Verdict &verdict) {
  constexpr std::size_t width = 130;
  std::string reason = verdict.summary;
  if (reason.size() > width) {
    reason = reason.substr(0, width) + "...";
  }
  return reason;
}

void print_table(Session &session, const std::vector<claims::Verdict> &verdicts) {
  session.say(table_line("claim", "verdict", "margin", "why"));
  for (const claims::Verdict &verdict : verdicts) {
    std::array<char, 16> margin{'-'};
    if (verdict.margin) {
      std::snprintf(margin.data(), margin.size(), "%+.2f", *verdict.margin);
    }
    session.say(
        table_line(verdict.id, std::string(claims::name(verdict.judgement)), margin.data(), short_reason(verdict)));
  }
  session.say("margin: decades (powers of ten) inside (+) or outside (-) what the claim needs");
}

/// --output names a folder (verdicts.json is put there) or the file itself.
std::filesystem::path output_path(const std::string &output) {
  const std::filesystem::path path(output);
  return path.extension() == ".json" ? path : path / "verdicts.json";
}

int run_check(Session &session, const CheckOptions &options) {
  if (!session.is_root()) {
    return 0;
  }
  const claims::Ledger ledger = claims::read_ledger(std::filesystem::path(options.claims));
  const claims::ResultRows rows = claims::read_results(options.results);
  std::filesystem::path target;
  if (!session.options.output.empty()) {
    target = output_path(session.options.output);
    const std::filesystem::path folder = target.parent_path().empty() ? "." : target.parent_path();
    report::require_writable_folder(folder);
  }
  const std::vector<claims::Verdict> verdicts = claims::judge(ledger, rows);
  const report::Json document = claims::verdicts_document(verdicts, ledger, rows, session.run_provenance());
  print_table(session, verdicts);
  if (!target.empty()) {
    report::write_file_exclusive(target, report::write_json(document, 2) + "\n");
  }
  const bool valid = document["verdict"] == "valid";
  session.say(std::string("verdict: ") +
              (valid ? "valid" : "invalid: a check asked for rows of runs that were invalid") + ", " +
              std::to_string(verdicts.size()) + " claims against " + std::to_string(rows.rows.size()) + " rows");
  if (!target.empty()) {
    session.say("wrote " + target.string());
  }
  if (session.options.json) {
    session.print_document(document);
  }
  return valid ? 0 : 1;
}

} // namespace

void add_check_verb(CLI::App &program, Session &session) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App *verb = program.add_subcommand("check", "judge the claims of a ledger against results");
  verb->add_option("--claims", options->claims, "claim ledger (JSON of schema ringscale.claims)")->required();
  verb->add_option("--results", options->results, "folder with results documents")->required();
  add_common_flags(*verb, session, {CommonFlag::json, CommonFlag::output});
  verb->callback(
      [&session, options] { session.action = [&session, options] { return run_check(session, *options); }; });
}

} // namespace ringscale::drivers
