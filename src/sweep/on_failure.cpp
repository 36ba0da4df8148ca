// SPDX-License-Identifier: Apache-2.0
#include "sweep/on_failure.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "problem/invalid_input.hpp"
#include "problem/words.hpp"

namespace ringscale::sweep {

namespace {

using report::Journal;
using report::JournalFailure;

constexpr std::array<std::pair<std::string_view, OnFailure>, 3> policy_words{
    {{"retry", OnFailure::retry}, {"stop", OnFailure::stop}, {"shrink", OnFailure::shrink}}};

/// The failure of this point on the smallest ring, null when it never failed.
const JournalFailure *smallest_failure(const Point &point, const Journal &journal) {
  const JournalFailure *smallest = nullptr;
  for (const JournalFailure &failure : journal.failures()) {
    if (failure.point == point.id && (smallest == nullptr || failure.ring_size <= smallest->ring_size)) {
      smallest = &failure;
    }
  }
  return smallest;
}

std::string describe_failure(const JournalFailure &failure) {
  return "failed on " + std::to_string(failure.ring_size) + " ranks (" + failure.reason + ")";
}

} // namespace

std::string_view name(OnFailure policy) { return problem::word_of(policy_words, policy); }
OnFailure parse_on_failure(std::string_view word) { return problem::parse_word("--on-failure", policy_words, word); }

std::optional<JournalFailure> note_interrupted(Journal &journal, const LastEnd &last_end) {
  if (!journal.interrupted()) {
    return std::nullopt;
  }
  JournalFailure failure{journal.interrupted()->point, journal.interrupted()->ring_size, last_end.words,
                         last_end.exit_code};
  if (failure.reason.empty()) {
    failure.reason = "the job ended while this point ran";
  }
  journal.append_failed(failure);
  return failure;
}

std::optional<Point> shrunk(const Point &point, std::int64_t most_ranks) {
  report::Json settings = point.settings;
  // As many tokens as before: chunk_tokens would make a smaller problem of it.
  settings.erase("chunk_tokens");
  settings["tokens"] = point.problem().attention.tokens;
  for (std::int64_t ranks = std::min(most_ranks, point.problem().ring_size); ranks >= 1; --ranks) {
    settings["ring_size"] = ranks;
    try {
      Point smaller = read_point(point.kind, point.grid, settings, point.id, "$");
      smaller.id = point.id;
      return smaller;
    } catch (const problem::InvalidInput &) {
      continue; // this placement or schedule has no ring of that size
    }
  }
  return std::nullopt;
}

Decision decide(const Point &point, const Journal &journal, OnFailure policy, std::int64_t ranks) {
  if (point.kind != PointKind::measured || policy == OnFailure::retry) {
    return {point, {}};
  }
  const JournalFailure *failure = smallest_failure(point, journal);
  if (policy == OnFailure::stop) {
    return failure == nullptr ? Decision{point, {}} : Decision{std::nullopt, describe_failure(*failure)};
  }
  const std::int64_t wanted = point.problem().ring_size;
  std::int64_t most = failure == nullptr ? wanted : std::min(wanted, failure->ring_size - 1);
  most = journal.failures().empty() ? most : std::min(most, ranks);
  if (most == wanted) {
    return {point, {}};
  }
  std::string why =
      failure == nullptr ? "only " + std::to_string(ranks) + " ranks are left" : describe_failure(*failure);
  Decision decision{shrunk(point, most), {}};
  decision.why = decision.attempt ? why + "; runs on " + std::to_string(decision.attempt->problem().ring_size) +
                                        " instead of " + std::to_string(wanted)
                                  : why + "; no smaller ring can run it";
  return decision;
}

} // namespace ringscale::sweep
