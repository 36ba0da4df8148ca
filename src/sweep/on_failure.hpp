// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "report/journal.hpp"
#include "sweep/point.hpp"

namespace ringscale::sweep {

/// What the next start of a sweep does about a measured point that failed, as its journal tells. retry: runs it again
/// as it is. stop: leaves it out; the sweep ends incomplete. shrink: runs it on fewer ranks, and its row says so.
enum class OnFailure { retry, stop, shrink };

std::string_view name(OnFailure policy);
OnFailure parse_on_failure(std::string_view word);

/// How the job before ended, as far as whoever restarts it knows.
struct LastEnd {
  std::optional<int> exit_code;
  std::string words; ///< its last line, such as the watchdog's: rank, step and peer
};

/// If the job ended while a point ran, writes that to the journal as a failure, which is returned.
std::optional<report::JournalFailure> note_interrupted(report::Journal &journal, const LastEnd &last_end);

/// The same computation, all its tokens, on the largest ring of at most `most_ranks` ranks that its schedule and
/// placement allow; it keeps its id. Nothing when there is no such ring.
std::optional<Point> shrunk(const Point &point, std::int64_t most_ranks);

/// What becomes of a point in a job of `ranks` ranks. Only failures make a point shrink: below every ring it failed on,
/// and, once any point of the journal failed, to the ranks that are left.
struct Decision {
  std::optional<Point> attempt; ///< nothing: it is left out
  std::string why;              ///< one line when it is left out or shrunk
};
Decision decide(const Point &point, const report::Journal &journal, OnFailure policy, std::int64_t ranks);

} // namespace ringscale::sweep
