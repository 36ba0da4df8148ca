// SPDX-License-Identifier: Apache-2.0
#include "claims/result_rows.hpp"

#include <algorithm>
#include <system_error>

#include "problem/invalid_input.hpp"
#include "statistics/summary.hpp"

namespace ringscale::claims {

using problem::InvalidInput;
using report::Json;

namespace {

constexpr int results_version = 1;

ResultRow read_row(const Json &row, const std::string &file, std::size_t index) {
  const std::string where = file + ": $.rows[" + std::to_string(index) + "]";
  for (const char *key : {"kind", "verb"}) {
    if (!row.is_object() || !row.contains(key) || !row[key].is_string()) {
      throw InvalidInput(where + "." + key + " is missing or no text");
    }
  }
  ResultRow read;
  read.row = row;
  try {
    read.kind = parse_evidence_kind(row["kind"].get<std::string>());
  } catch (const InvalidInput &error) {
    throw InvalidInput(where + "." + error.what());
  }
  const bool named = row.contains("point") && row["point"].is_string();
  read.source = file + "#" + (named ? row["point"].get<std::string>() : std::to_string(index));
  read.valid = !row.contains("verdict") || row["verdict"] == "valid";
  return read;
}

/// Machine files keep raw samples; a row has the interval of their median too.
void add_interval(Json &row) {
  if (row.contains("time_s_interval") || !row.contains("samples_s") || !row["samples_s"].is_array()) {
    return;
  }
  std::vector<double> samples;
  for (const Json &sample : row["samples_s"]) {
    if (!sample.is_number()) {
      return;
    }
    samples.push_back(sample.get<double>());
  }
  if (!samples.empty()) {
    const statistics::Interval interval = statistics::median_interval(samples);
    row["time_s_interval"] = {{"low", interval.low}, {"high", interval.high}, {"confidence", interval.confidence}};
  }
}

/// The message samples of a calibrated machine, as rows of the calibration that took them.
void add_message_rows(ResultRows &rows, const Json &machine, const std::string &file) {
  if (!machine.contains("kind") || !machine["kind"].is_string()) {
    throw InvalidInput(file + ": $.kind is missing or no text; a machine file has measured, published or the like");
  }
  if (machine["kind"] != "measured" || !machine.contains("messages")) {
    return;
  }
  const std::string where = file + ": $.messages.samples";
  const Json samples = machine["messages"].is_object() ? machine["messages"].value("samples", Json()) : Json();
  if (!samples.is_array()) {
    throw InvalidInput(where + " must be an array");
  }
  for (std::size_t index = 0; index < samples.size(); ++index) {
    if (!samples[index].is_object()) {
      throw InvalidInput(where + "[" + std::to_string(index) + "] must be an object");
    }
    ResultRow row;
    row.row = samples[index];
    row.row["kind"] = "measured";
    row.row["verb"] = "calibrate";
    add_interval(row.row);
    row.source = file + "#messages.samples[" + std::to_string(index) + "]";
    rows.rows.push_back(std::move(row));
  }
}

} // namespace

bool add_results_document(ResultRows &rows, const Json &document, const std::string &file) {
  if (!document.is_object() || !document.contains("schema") || !document["schema"].is_string()) {
    throw InvalidInput(file + ": $.schema is missing; a results folder holds ringscale documents only");
  }
  const auto schema = document["schema"].get<std::string>();
  if (schema != "ringscale.results") {
    if (!schema.starts_with("ringscale.")) {
      throw InvalidInput(file + ": $.schema is '" + schema + "'; it must be ringscale.results");
    }
    if (schema == "ringscale.machine") {
      add_message_rows(rows, document, file);
    }
    return false;
  }
  if (!document.contains("schema_version") || document["schema_version"] != results_version) {
    throw InvalidInput(file + ": $.schema_version must be " + std::to_string(results_version));
  }
  if (!document.contains("rows") || !document["rows"].is_array()) {
    throw InvalidInput(file + ": $.rows is missing or no array");
  }
  const Json &array = document["rows"];
  for (std::size_t index = 0; index < array.size(); ++index) {
    rows.rows.push_back(read_row(array[index], file, index));
  }
  rows.files.push_back(file);
  return true;
}

ResultRows read_results(const std::filesystem::path &folder) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    throw InvalidInput(folder.string() + ": no such folder; --results takes the folder that a sweep wrote");
  }
  std::vector<std::filesystem::path> paths;
  std::filesystem::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::end(entry); entry.increment(error)) {
    if (entry->path().extension() == ".json" && entry->is_regular_file(error)) {
      paths.push_back(entry->path());
    }
  }
  if (error) {
    throw InvalidInput(folder.string() + ": cannot be read: " + error.message());
  }
  std::sort(paths.begin(), paths.end());
  ResultRows rows;
  for (const auto &path : paths) {
    add_results_document(rows, report::read_json_file(path), path.lexically_relative(folder).string());
  }
  if (rows.files.empty()) {
    throw InvalidInput(folder.string() + ": holds no document of schema ringscale.results; run a sweep first");
  }
  return rows;
}

} // namespace ringscale::claims
