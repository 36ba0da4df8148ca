// SPDX-License-Identifier: Apache-2.0
#include "ring/rank_recorder.hpp"

namespace ringscale::ring {

using schedule::Activity;

void RankRecorder::start(std::int64_t most_polls) {
  recording_ = true;
  most_polls_ = most_polls;
  polls_ = 0;
  polls_left_out_ = 0;
  slices_.clear();
  messages_.clear();
  expected_.clear();
}

void RankRecorder::add(Activity activity, std::int64_t step, double begin_s, double end_s, std::int64_t owner,
                       double pairs) {
  if (!recording_ || !selection_.shows_step(step)) {
    return;
  }
  if (activity == Activity::poll && ++polls_ > most_polls_) {
    ++polls_left_out_;
    return;
  }
  slices_.push_back({0, step, activity, begin_s, end_s, owner, pairs});
}

void RankRecorder::add(const MessageEnd &end) {
  if (!recording_ || !(selection_.shows_step(end.departure_step) || selection_.shows_step(end.until_step))) {
    return;
  }
  if (!end.sent) {
    expected_.push_back(messages_.size());
  }
  messages_.push_back(end);
}

void RankRecorder::received(std::int64_t step, double at_s) {
  std::erase_if(expected_, [&](std::size_t place) {
    MessageEnd &message = messages_[place];
    if (message.until_step > step) {
      return false;
    }
    message.at_s = at_s;
    return true;
  });
}

} // namespace ringscale::ring
