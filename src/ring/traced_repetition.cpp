// SPDX-License-Identifier: Apache-2.0
#include "ring/traced_repetition.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <tuple>

#include "problem/invalid_input.hpp"
#include "ring/clock_offsets.hpp"
#include "ring/rank_recorder.hpp"
#include "ring/sampling.hpp"

namespace ringscale::ring {

using schedule::Activity;
using schedule::TimelineMessage;
using schedule::TimelineSelection;
using schedule::TimelineSlice;

namespace {

/// Numbers of one rank in one row of doubles, written and read in the same order.
class Row {
public:
  Row() = default;
  explicit Row(std::span<const double> numbers) : numbers_(numbers.begin(), numbers.end()) {}

  void put(double value) { numbers_.push_back(value); }
  void put(std::int64_t value) { numbers_.push_back(static_cast<double>(value)); } // below 2^53: exact
  double take() { return numbers_.at(next_++); }
  std::int64_t take_integer() { return static_cast<std::int64_t>(take()); }
  std::vector<double> &numbers() { return numbers_; }

private:
  std::vector<double> numbers_;
  std::size_t next_ = 0;
};

Row row_of(const RankRecorder &recorder, std::int64_t ring_rank, double begin_s, double end_s, bool shown) {
  Row row;
  row.put(begin_s);
  row.put(end_s);
  row.put(recorder.polls_left_out());
  row.put(ring_rank);
  row.put(static_cast<std::int64_t>(shown ? recorder.slices().size() : 0));
  row.put(static_cast<std::int64_t>(shown ? recorder.messages().size() : 0));
  if (!shown) {
    return row;
  }
  for (const TimelineSlice &slice : recorder.slices()) {
    row.put(slice.step);
    row.put(static_cast<std::int64_t>(slice.activity));
    row.put(slice.begin_s);
    row.put(slice.end_s);
    row.put(slice.owner);
    row.put(slice.pairs);
  }
  for (const MessageEnd &end : recorder.messages()) {
    for (const std::int64_t value : {end.peer, end.owner, end.channel, end.departure_step, end.until_step}) {
      row.put(value);
    }
    row.put(std::int64_t{end.sent});
    row.put(std::int64_t{end.is_result});
    row.put(end.bytes);
    row.put(end.at_s);
  }
  return row;
}

/// Every rank's row.
std::vector<Row> gather(const Communicator &communicator, Row mine) {
  const auto longest = static_cast<std::size_t>(communicator.max(static_cast<std::int64_t>(mine.numbers().size())));
  mine.numbers().resize(longest, 0.0);
  const std::vector<double> all = communicator.all_gather(mine.numbers());
  std::vector<Row> rows;
  for (std::size_t rank = 0; rank < static_cast<std::size_t>(communicator.size()); ++rank) {
    rows.emplace_back(std::span(all).subspan(rank * longest, longest));
  }
  return rows;
}

/// Puts the rows of all ranks on rank 0's clock and joins the two ends of each message.
class Assembly {
public:
  Assembly(const TimelineSelection &selection, std::int64_t ring_stride, const std::vector<ClockOffset> &offsets)
      : selection_(selection), ring_stride_(ring_stride), offsets_(offsets) {
    result_.timeline.ranks = selection.ranks;
  }

  MeasuredTimeline assemble(std::vector<Row> rows) {
    double origin_s = std::numeric_limits<double>::infinity();
    for (const std::int64_t rank : selection_.ranks) {
      origin_s = std::min(origin_s, Row(rows[at(rank)]).take() - offset_s(rank));
    }
    for (const std::int64_t rank : selection_.ranks) {
      take_rank(rank, origin_s, rows[at(rank)]);
    }
    for (auto &[key, message] : messages_) {
      if (!(message.begin_s >= 0.0 && message.end_s >= 0.0)) {
        continue; // one end was at a rank that is not shown
      }
      result_.reversed_messages += message.end_s < message.begin_s ? 1 : 0;
      message.end_s = std::max(message.end_s, message.begin_s);
      result_.timeline.messages.push_back(message);
    }
    return std::move(result_);
  }

private:
  using Key = std::tuple<std::int64_t, std::int64_t, bool, std::int64_t, std::int64_t, std::int64_t>;

  static std::size_t at(std::int64_t rank) { return static_cast<std::size_t>(rank); }
  double offset_s(std::int64_t rank) const { return offsets_[at(rank)].offset_s; }

  void take_rank(std::int64_t rank, double origin_s, Row &row) {
    const double shift_s = offset_s(rank) + origin_s;
    const auto moment = [&] { return std::max(0.0, row.take() - shift_s); };
    TracedRank traced;
    traced.rank = rank;
    traced.begin_s = moment();
    traced.end_s = moment();
    traced.clock_offset_s = offset_s(rank);
    traced.clock_uncertainty_s = offsets_[at(rank)].uncertainty_s;
    traced.polls_left_out = row.take_integer();
    result_.ranks.push_back(traced);
    const std::int64_t ring_rank = row.take_integer();
    const std::int64_t slices = row.take_integer();
    const std::int64_t ends = row.take_integer();
    for (std::int64_t index = 0; index < slices; ++index) {
      TimelineSlice slice;
      slice.rank = rank;
      slice.step = row.take_integer();
      slice.activity = static_cast<Activity>(row.take_integer());
      slice.begin_s = moment();
      slice.end_s = std::max(slice.begin_s, moment());
      slice.owner = row.take_integer();
      slice.pairs = row.take();
      result_.timeline.slices.push_back(slice);
    }
    for (std::int64_t index = 0; index < ends; ++index) {
      MessageEnd end;
      for (std::int64_t *value : {&end.peer, &end.owner, &end.channel, &end.departure_step, &end.until_step}) {
        *value = row.take_integer();
      }
      end.sent = row.take_integer() != 0;
      end.is_result = row.take_integer() != 0;
      end.bytes = row.take();
      end.at_s = moment();
      // Ranks of one ring lie as far apart in the communicator as their sequence groups are wide.
      add_end(rank, rank + (end.peer - ring_rank) * ring_stride_, end);
    }
  }

  void add_end(std::int64_t rank, std::int64_t peer, const MessageEnd &end) {
    const std::int64_t from = end.sent ? rank : peer;
    const std::int64_t to = end.sent ? peer : rank;
    const auto [place, is_new] =
        messages_.try_emplace(Key{from, to, end.is_result, end.owner, end.channel, end.departure_step});
    TimelineMessage &message = place->second;
    if (is_new) {
      message = {from,          to,        end.owner, end.channel, end.departure_step, end.until_step,
                 end.is_result, end.bytes, -1.0,      -1.0};
    }
    (end.sent ? message.begin_s : message.end_s) = end.at_s;
  }

  const TimelineSelection &selection_;
  std::int64_t ring_stride_;
  const std::vector<ClockOffset> &offsets_;
  std::map<Key, TimelineMessage> messages_;
  MeasuredTimeline result_;
};

/// Events of one rank without its polls.
std::int64_t foreseen_events(const TimelineSelection &selection, const schedule::RingPlan &plan) {
  std::int64_t events = 2 * 5; // exchanges of heads
  for (std::size_t step = 0; step < plan.steps.size(); ++step) {
    const schedule::RankStep &one = plan.steps[step];
    const std::size_t slices = 3 + one.meetings.size(); // post, wait, join
    const std::size_t sent = one.sends.size() + one.result_sends.size();
    events += selection.shows_step(static_cast<std::int64_t>(step)) ? static_cast<std::int64_t>(slices + 4 * sent) : 0;
  }
  return events;
}

} // namespace

std::int64_t require_trace_room(const Communicator &communicator, const RingOptions &options, const GridRank &rank) {
  const TimelineSelection &selection = options.recorder->selection();
  if (selection.ranks.empty() || selection.ranks.front() < 0 || selection.ranks.back() >= communicator.size()) {
    throw problem::InvalidInput("the trace must show ranks of 0 to " + std::to_string(communicator.size() - 1));
  }
  const std::int64_t mine =
      selection.shows_rank(communicator.rank()) ? foreseen_events(selection, rank.ring().plan()) : 0;
  const std::int64_t events = communicator.sum(mine);
  selection.require_room(events);
  return (selection.most_events - events) / static_cast<std::int64_t>(selection.ranks.size());
}

MeasuredTimeline trace_repetition(const Communicator &communicator, const RingOptions &options, GridRank &rank) {
  RankRecorder &recorder = *options.recorder;
  const bool shown = recorder.selection().shows_rank(communicator.rank());
  const std::int64_t most_polls = require_trace_room(communicator, options, rank);
  const std::vector<ClockOffset> before = clock_offsets(communicator, now_s);
  rank.begin(false);
  communicator.barrier("before the traced repetition");
  if (shown) {
    recorder.start(most_polls);
  }
  const double begin_s = now_s();
  rank.run();
  const double end_s = now_s();
  recorder.stop();
  const std::vector<ClockOffset> after = clock_offsets(communicator, now_s);
  const double time_s = communicator.max(end_s - begin_s);
  std::vector<Row> rows = gather(communicator, row_of(recorder, rank.share().place.ring, begin_s, end_s, shown));
  if (communicator.rank() != 0) {
    return {};
  }
  const std::vector<ClockOffset> offsets = between(before, after);
  MeasuredTimeline result =
      Assembly(recorder.selection(), process_grid(options).sequence, offsets).assemble(std::move(rows));
  result.time_s = time_s;
  return result;
}

} // namespace ringscale::ring
