// SPDX-License-Identifier: Apache-2.0
#include "schedule/timeline.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "problem/invalid_input.hpp"

namespace ringscale::schedule {

using problem::InvalidInput;

std::string_view name(Activity activity) {
  switch (activity) {
  case Activity::copy:
    return "copy";
  case Activity::post:
    return "post";
  case Activity::fixed:
    return "fixed";
  case Activity::compute:
    return "compute";
  case Activity::merge:
    return "merge";
  case Activity::poll:
    return "poll";
  case Activity::wait:
    return "wait";
  case Activity::exposed:
    return "exposed";
  case Activity::join:
    return "join";
  case Activity::exchange:
    return "exchange";
  }
  return "";
}

std::string_view category(Activity activity) {
  switch (activity) {
  case Activity::compute:
  case Activity::merge:
  case Activity::join:
    return "compute";
  case Activity::fixed:
    return "overhead";
  case Activity::wait:
    return "waiting";
  default:
    return "communication";
  }
}

bool TimelineSelection::shows_rank(std::int64_t rank) const {
  return std::binary_search(ranks.begin(), ranks.end(), rank);
}

bool TimelineSelection::shows(const TimelineMessage &message) const {
  return (shows_step(message.departure_step) || shows_step(message.until_step)) &&
         (shows_rank(message.from) || shows_rank(message.to));
}

std::int64_t TimelineSelection::events_of(const TimelineMessage &message) const {
  return shows_rank(message.from) && shows_rank(message.to) ? 4 : 2;
}

void TimelineSelection::require_room(std::int64_t events) const {
  if (events > most_events) {
    throw InvalidInput("the trace would have " + std::to_string(events) + " events and may have " +
                       std::to_string(most_events) +
                       "; choose fewer ranks or steps with --trace-ranks and "
                       "--trace-steps");
  }
}

namespace {

constexpr std::int64_t longest_list = 1'000'000;

/// The whole of `text` as a number 0..count-1, or -1.
std::int64_t number_below(std::string_view text, std::int64_t count) {
  std::int64_t value = -1;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc() && end == text.data() + text.size() && value >= 0 && value < count ? value : -1;
}

/// Numbers of one part, first and last; {-1, -1} for what is none.
std::pair<std::int64_t, std::int64_t> range_of(std::string_view part, std::int64_t count) {
  const std::size_t dash = part.find('-');
  const std::int64_t first = number_below(part.substr(0, dash), count);
  const std::int64_t last = dash == std::string_view::npos ? first : number_below(part.substr(dash + 1), count);
  return first >= 0 && last >= first ? std::pair(first, last) : std::pair<std::int64_t, std::int64_t>(-1, -1);
}

} // namespace

std::vector<std::int64_t> parse_number_list(std::string_view flag, std::string_view text, std::int64_t count) {
  std::vector<std::int64_t> numbers;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    const auto [first, last] = range_of(part, count);
    if (first < 0) {
      throw InvalidInput(std::string(flag) + ": '" + std::string(part) + "' is no number or range of 0 to " +
                         std::to_string(count - 1) + "; write them as 0-3,17");
    }
    if (last - first >= longest_list - static_cast<std::int64_t>(numbers.size())) {
      throw InvalidInput(std::string(flag) + ": more than " + std::to_string(longest_list) + " numbers; choose fewer");
    }
    for (std::int64_t number = first; number <= last; ++number) {
      numbers.push_back(number);
    }
    begin = end + 1;
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

} // namespace ringscale::schedule
