// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
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

/// A point that was begun on `ring_size` ranks, which may be fewer than it asks for.
struct JournalStart {
  std::string point;
  std::int64_t ring_size = 1;
};

/// An attempt at a point that came to nothing. `reason` is what is known: an exception's message, which names rank,
/// step and peer of a failed message; the watchdog's line that a restart script passed on; or that the job ended.
struct JournalFailure {
  std::string point;
  std::int64_t ring_size = 1;
  std::string reason;
  std::optional<int> exit_code; ///< of the job, where it is known
};

/// FOLDER/journal.jsonl: JSON Lines, appended and fsynced point by point, so that a kill loses at most the point it
/// interrupts. First a line {schema, schema_version, identity}, then {run: provenance} for each start of a driver,
/// {started, ring_size} before a point that may take the job down with it, {failed, ring_size, reason, exit_code} after
/// it did, and {point, row} for each finished point. A last line that a kill tore is cut off when the journal is
/// opened; a line damaged in the middle, or a point that stands twice, is an error. One driver at a time (FolderLock).
class Journal {
public:
  enum class Start { fresh, resume };

  /// `identity` names what is being run (a hash of the experiment). fresh refuses a folder that has a journal; resume
  /// takes one up, refuses another identity, and starts anew where there is none. Throws problem::InvalidInput.
  Journal(const std::filesystem::path &folder, const std::string &identity, Start start);

  /// Notes the start of a run, then finished points; each call returns once the line is on disk.
  void append_run(const Json &provenance);
  void append_point(const std::string &point, const Json &row);
  /// Notes that a point begins, and that an attempt failed.
  void append_started(const JournalStart &start);
  void append_failed(const JournalFailure &failure);

  bool finished(const std::string &point) const { return places_.contains(point); }
  /// The row of a finished point; std::out_of_range for others.
  const Json &row(const std::string &point) const { return entries_[places_.at(point)].row; }
  /// In the order in which they finished.
  const std::vector<JournalEntry> &entries() const { return entries_; }
  /// The point that was begun last if it neither finished nor failed: the job ended while it ran.
  const std::optional<JournalStart> &interrupted() const { return started_; }
  /// Attempts that failed, oldest first.
  const std::vector<JournalFailure> &failures() const { return failures_; }
  /// Provenance of each run that wrote here, oldest first.
  const std::vector<Json> &runs() const { return runs_; }

  static std::filesystem::path file_in(const std::filesystem::path &folder) { return folder / "journal.jsonl"; }

private:
  void read_back(const std::string &identity);
  void take_line(const Json &line, const std::string &where);
  void end_attempt(const std::string &point);
  void write_line(const Json &line);

  std::filesystem::path path_;
  FolderLock lock_;
  PosixFile file_;
  std::vector<JournalEntry> entries_;
  std::vector<Json> runs_;
  std::optional<JournalStart> started_;
  std::vector<JournalFailure> failures_;
  std::map<std::string, std::size_t> places_;
};

} // namespace ringscale::report
