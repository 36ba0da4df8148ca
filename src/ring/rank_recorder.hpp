// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "ring/deadline.hpp"
#include "schedule/timeline.hpp"

namespace ringscale::ring {

/// One end of a message as its rank saw it, by that rank's clock. Ranks are places in the ring.
struct MessageEnd {
  std::int64_t peer = 0;
  std::int64_t owner = 0;
  std::int64_t channel = 0;
  std::int64_t departure_step = 0;
  std::int64_t until_step = 0;
  bool sent = false;
  bool is_result = false;
  double bytes = 0.0;
  double at_s = 0.0; ///< sent: handed to the transport; received: the wait for it returned
};

/// What one rank of a real ring did when, by its own monotonic clock. Rank code holds a pointer to one that is null or
/// not recording outside of the traced repetition, so that nothing is spent on it there.
class RankRecorder {
public:
  explicit RankRecorder(schedule::TimelineSelection selection) : selection_(std::move(selection)) {}

  const schedule::TimelineSelection &selection() const { return selection_; }
  bool recording() const { return recording_; }
  /// Forgets everything and begins; keeps at most `most_polls` slices of polling and counts the rest.
  void start(std::int64_t most_polls);
  void stop() { recording_ = false; }

  void add(schedule::Activity activity, std::int64_t step, double begin_s, double end_s, std::int64_t owner = -1,
           double pairs = schedule::no_pairs);
  /// A message that leaves now, or one that will be received.
  void add(const MessageEnd &end);
  /// What was to be received by the end of `step` is there.
  void received(std::int64_t step, double at_s);

  const std::vector<schedule::TimelineSlice> &slices() const { return slices_; }
  const std::vector<MessageEnd> &messages() const { return messages_; }
  std::int64_t polls_left_out() const { return polls_left_out_; }

private:
  schedule::TimelineSelection selection_;
  bool recording_ = false;
  std::int64_t most_polls_ = 0;
  std::int64_t polls_ = 0;
  std::int64_t polls_left_out_ = 0;
  std::vector<schedule::TimelineSlice> slices_;
  std::vector<MessageEnd> messages_;
  std::vector<std::size_t> expected_; ///< messages not received yet
};

/// Times a piece of work into a recorder that is recording; else asks no clock.
class Recorded {
public:
  Recorded(RankRecorder *recorder, schedule::Activity activity, std::int64_t step, std::int64_t owner = -1,
           double pairs = schedule::no_pairs)
      : recorder_(recorder != nullptr && recorder->recording() ? recorder : nullptr), activity_(activity), step_(step),
        owner_(owner), pairs_(pairs), begin_s_(recorder_ != nullptr ? now_s() : 0.0) {}
  ~Recorded() {
    if (recorder_ != nullptr) {
      recorder_->add(activity_, step_, begin_s_, now_s(), owner_, pairs_);
    }
  }
  Recorded(const Recorded &) = delete;
  Recorded &operator=(const Recorded &) = delete;

private:
  RankRecorder *recorder_;
  schedule::Activity activity_;
  std::int64_t step_;
  std::int64_t owner_;
  double pairs_;
  double begin_s_;
};

} // namespace ringscale::ring
