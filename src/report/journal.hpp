// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "report/folder_lock.hpp"
#include "report/json.hpp"
#include "report/posix_file.hpp"

namespace ringscale::report {

/// One finished point.
struct JournalEntry {
  std::string point;
  Json row;
};

/// FOLDER/journal.jsonl: JSON Lines, appended and fsynced point by point, so that a kill loses at most the point it
/// interrupts. First a line {schema, schema_version, identity}, then {run: provenance} for each start of a driver and
/// {point, row} for each finished point. A last line that a kill tore is cut off when the journal is opened; a line
/// damaged in the middle, or a point that stands twice, is an error. One driver at a time (FolderLock).
class Journal {
public:
  enum class Start { fresh, resume };

  /// `identity` names what is being run (a hash of the experiment). fresh refuses a folder that has a journal; resume
  /// takes one up, refuses another identity, and starts anew where there is none. Throws problem::InvalidInput.
  Journal(const std::filesystem::path &folder, const std::string &identity, Start start);

  /// Notes the start of a run, then finished points; each call returns once the line is on disk.
  void append_run(const Json &provenance);
  void append_point(const std::string &point, const Json &row);

  bool finished(const std::string &point) const { return places_.contains(point); }
  /// The row of a finished point; std::out_of_range for others.
  const Json &row(const std::string &point) const { return entries_[places_.at(point)].row; }
  /// In the order in which they finished.
  const std::vector<JournalEntry> &entries() const { return entries_; }
  /// Provenance of each run that wrote here, oldest first.
  const std::vector<Json> &runs() const { return runs_; }

  static std::filesystem::path file_in(const std::filesystem::path &folder) { return folder / "journal.jsonl"; }

private:
  void read_back(const std::string &identity);
  void take_line(const Json &line, const std::string &where);
  void write_line(const Json &line);

  std::filesystem::path path_;
  FolderLock lock_;
  PosixFile file_;
  std::vector<JournalEntry> entries_;
  std::vector<Json> runs_;
  std::map<std::string, std::size_t> places_;
};

} // namespace ringscale::report
