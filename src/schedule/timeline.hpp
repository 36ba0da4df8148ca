// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

namespace ringscale::schedule {

/// What a rank does at a moment, in words that simulator and executor share. copy: a block into its message; post:
/// sends and receives are handed to the transport; fixed: a step's fixed term; compute and merge: a meeting; poll:
/// messages are moved on between slices of compute; wait: nothing to do until messages are there; exposed: what a
/// rank's own messages take beyond its work (simulated only, there apart from wait); join: results that arrived are
/// added; exchange: heads for tokens.
enum class Activity : std::uint8_t { copy, post, fixed, compute, merge, poll, wait, exposed, join, exchange };

/// The word of an activity, and what it is for: compute, communication, waiting or overhead.
std::string_view name(Activity activity);
std::string_view category(Activity activity);

inline constexpr double no_pairs = -1.0;

/// One activity of a rank, in seconds since the ring began. Slices of a rank do not overlap, but for a poll, which lies
/// within a compute slice.
struct TimelineSlice {
  std::int64_t rank = 0;
  std::int64_t step = 0;
  Activity activity = Activity::compute;
  double begin_s = 0.0;
  double end_s = 0.0;
  std::int64_t owner = -1; ///< of the block that is computed with; -1 for none
  double pairs = no_pairs; ///< admitted query-key pairs of all query heads; no_pairs where it is no meeting
};

/// One block or result from rank to rank.
struct TimelineMessage {
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::int64_t owner = 0;
  std::int64_t channel = 0;
  std::int64_t departure_step = 0;
  std::int64_t until_step = 0;
  bool is_result = false;
  double bytes = 0.0; ///< header included
  double begin_s = 0.0;
  double end_s = 0.0;
};

/// What some ranks did in some steps.
struct Timeline {
  std::vector<std::int64_t> ranks; ///< those that are shown, growing
  std::vector<TimelineSlice> slices;
  std::vector<TimelineMessage> messages;
};

/// Which ranks and steps a timeline shows, and how much of them at most.
struct TimelineSelection {
  std::vector<std::int64_t> ranks; ///< growing
  std::int64_t first_step = 0;
  std::int64_t last_step = std::numeric_limits<std::int64_t>::max();
  std::int64_t most_events = 1'000'000; ///< of a trace file: one a slice, up to four a message

  bool shows_rank(std::int64_t rank) const;
  bool shows_step(std::int64_t step) const { return first_step <= step && step <= last_step; }
  /// Messages that begin or end in a shown step at a shown rank.
  bool shows(const TimelineMessage &message) const;
  /// Events of a trace file that a message takes: its beginning and end, and an arrow where both ranks are shown.
  std::int64_t events_of(const TimelineMessage &message) const;
  /// Throws InvalidInput when `events` are more than most_events: the number, and what to choose instead.
  void require_room(std::int64_t events) const;
};

/// Ranks or steps as typed, "0-3,17", growing and without repeats. `flag` opens every message. Throws InvalidInput for
/// what is no list of numbers 0..count-1, or a list of more than a million.
std::vector<std::int64_t> parse_number_list(std::string_view flag, std::string_view text, std::int64_t count);

} // namespace ringscale::schedule
