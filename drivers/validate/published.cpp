// SPDX-License-Identifier: Apache-2.0
#include "drivers/validate/published.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "drivers/failure.hpp"
#include "drivers/session.hpp"
#include "problem/invalid_input.hpp"
#include "report/json.hpp"
#include "report/machine_document.hpp"
#include "report/output_file.hpp"
#include "report/results_document.hpp"
#include "validation/model_shapes.hpp"
#include "validation/published_tables.hpp"
#include "validation/validate_tables.hpp"
#include "validation/validation_document.hpp"

namespace ringscale::drivers {

namespace {

namespace fs = std::filesystem;
using problem::InvalidInput;
using report::Json;

/// The experiments folder: below the current folder, beside an installed program, or in the source tree it was built
/// of.
fs::path experiments_folder() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  const std::array<fs::path, 3> candidates{fs::path("experiments"),
                                           program.parent_path().parent_path() / "share" / "ringscale" / "experiments",
                                           fs::path(RINGSCALE_SOURCE_DIR) / "experiments"};
  for (const fs::path &candidate : candidates) {
    if (fs::is_directory(candidate / "machines", ignored) && fs::is_directory(candidate / "published", ignored)) {
      return candidate;
    }
  }
  throw InvalidInput(
      "no folder experiments/ with machines and published tables; give --machines, or start in the source "
      "tree");
}

std::vector<machine::Machine> read_machines(const fs::path &folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".json") {
      files.push_back(entry.path());
    }
  }
  if (error || files.empty()) {
    throw InvalidInput(folder.string() + ": " +
                       (error ? "cannot be read as a folder" : "holds no machine file (.json)"));
  }
  std::sort(files.begin(), files.end());
  std::vector<machine::Machine> machines;
  for (const fs::path &file : files) {
    machines.push_back(report::read_machine_file(file));
  }
  return machines;
}

/// The files asked for; --published without a file means the tables that ship.
std::vector<std::string> resolve_files(const std::vector<std::string> &files, const fs::path &experiments) {
  const bool none =
      std::all_of(files.begin(), files.end(), [](const std::string &file) { return file.empty() || file == "{}"; });
  return none ? std::vector<std::string>{(experiments / "published" / "tables.json").string()} : files;
}

std::vector<validation::Table> read_tables(const std::vector<std::string> &files) {
  std::vector<validation::Table> tables;
  std::set<std::string> ids;
  for (const std::string &file : files) {
    for (validation::Table &table : validation::read_published_tables(fs::path(file))) {
      if (!ids.insert(table.id).second) {
        throw InvalidInput(table.where + ".id is '" + table.id + "', which another file has too");
      }
      tables.push_back(std::move(table));
    }
  }
  return tables;
}

void print_results(Session &session, const std::vector<validation::TableResult> &results) {
  for (const std::string &line : validation::summary_lines(results)) {
    session.say(line);
  }
  session.say("errors are |predicted / published - 1| of predicted cells, fitted ones do not count; formulas are the "
              "table's own, "
              "models know the settings alone");
  for (const validation::TableResult &result : results) {
    for (const std::string &remark : result.table->remarks) {
      session.say("note " + result.table->id + ": " + remark);
    }
    for (const validation::Fit &fit : result.fits) {
      std::array<char, 64> value{};
      std::snprintf(value.data(), value.size(), " = %.4g ", fit.value);
      session.say("fit " + result.table->id + ": " + fit.name + value.data() + fit.unit + ", from " +
                  std::to_string(fit.cells.size()) + (fit.cells.size() == 1 ? " cell" : " cells"));
    }
  }
}

} // namespace

void add_published_flags(CLI::App &verb, PublishedFlags &flags) {
  verb.add_option("--published", flags.files,
                  "Files of published tables (JSON of schema ringscale.published-tables); without one: those that ship")
      ->expected(0, CLI::detail::expected_max_vector_size);
  verb.add_option("--machines", flags.machines, "Folder of machine files; default: experiments/machines");
}

int run_published(Session &session, const PublishedFlags &flags) {
  if (!session.is_root()) {
    return exit_valid; // one process computes; further ranks have nothing to add
  }
  const fs::path experiments = experiments_folder();
  const std::vector<std::string> files = resolve_files(flags.files, experiments);
  const std::vector<validation::Table> tables = read_tables(files);
  const fs::path machine_folder = flags.machines.empty() ? experiments / "machines" : fs::path(flags.machines);
  const std::vector<machine::Machine> machines = read_machines(machine_folder);
  const fs::path shapes_file = experiments / "published" / "models.json";
  const auto shapes = validation::read_model_shapes(report::read_json_file(shapes_file), shapes_file.string());
  session.say("validate: " + std::to_string(tables.size()) + " published tables with " +
              std::to_string(machines.size()) + " machine files");
  if (session.options.dry_run) {
    return exit_valid;
  }
  const fs::path folder = session.options.output;
  const fs::path target = folder / "published.json";
  if (!folder.empty()) {
    report::require_writable_folder(folder);
    report::require_new_file(target);
  }
  const std::vector<validation::TableResult> results = validation::validate_tables(tables, machines, shapes);
  Json config = Json::object();
  config["published"] = files;
  config["machines"] = Json::array();
  for (const machine::Machine &machine : machines) {
    config["machines"].push_back(machine.name);
  }
  Json document = report::results_document("validate", config, validation::published_rows(results), "valid", {},
                                           session.run_provenance());
  document["tables"] = validation::table_summaries(results);
  document["fits"] = validation::fit_rows(results);
  print_results(session, results);
  session.say("verdict: valid, every published cell is predicted, fitted or listed as not predicted");
  if (!folder.empty()) {
    report::write_file_exclusive(target, report::write_json(document, 2) + "\n");
    session.say("wrote " + target.string());
  }
  session.print_document(document);
  return exit_valid;
}

} // namespace ringscale::drivers
