// SPDX-License-Identifier: Apache-2.0
#include "report/trace_document.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace ringscale::report {

namespace {

/// At one moment slices begin (the longest first, so that they nest), then messages begin, then they end. An arrow ends
/// in the slice that begins then, as Perfetto draws it, or in the last one.
constexpr std::int64_t message_begins = 1;
constexpr std::int64_t arrow_begins = 2;
constexpr std::int64_t message_ends = 3;
constexpr std::int64_t arrow_ends = 4;

std::pair<std::int64_t, std::int64_t> nanoseconds(double begin_s, double end_s) {
  constexpr double longest_s = 4.0e6; // in nanoseconds a double still counts one by one
  if (!(begin_s >= 0.0 && begin_s <= end_s && end_s <= longest_s)) {
    throw std::logic_error("a trace event from " + std::to_string(begin_s) + " s to " + std::to_string(end_s) +
                           " s; times are 0 to 4e6 s and go forward");
  }
  return {std::llround(begin_s * 1e9), std::llround(end_s * 1e9)};
}

/// Microseconds with three digits.
std::string microseconds(std::int64_t time_ns) {
  const std::string digits = std::to_string(1000 + time_ns % 1000);
  return std::to_string(time_ns / 1000) + "." + digits.substr(1);
}

Json head(const char *phase, std::string_view name, std::string_view category, std::int64_t process) {
  Json event = Json::object();
  event["ph"] = phase;
  event["name"] = name;
  if (!category.empty()) {
    event["cat"] = category;
  }
  event["pid"] = process;
  event["tid"] = process;
  return event;
}

} // namespace

void TraceDocument::add(const TraceProcess &process) {
  const auto name = [&](const char *what, const char *key, const Json &value) {
    Json event = head("M", what, "", process.process);
    event["args"] = Json::object();
    event["args"][key] = value;
    names_.push_back(write_json(event, -1));
  };
  name("process_name", "name", process.name);
  name("process_sort_index", "sort_index", process.sort_index);
  name("thread_name", "name", "steps");
}

void TraceDocument::add_event(std::int64_t time_ns, std::int64_t order, const Json &head, const std::string &times) {
  std::string text = write_json(head, -1);
  text.pop_back();
  text += "," + times + "}";
  events_.push_back({time_ns, order, std::move(text)});
}

void TraceDocument::add(const TraceSlice &slice, const Json &arguments) {
  const auto [begin_ns, end_ns] = nanoseconds(slice.begin_s, slice.end_s);
  Json event = head("X", slice.name, slice.category, slice.process);
  event["args"] = arguments;
  add_event(begin_ns, begin_ns - end_ns, event,
            "\"ts\":" + microseconds(begin_ns) + ",\"dur\":" + microseconds(end_ns - begin_ns));
}

void TraceDocument::add(const TraceMessage &message, const Json &arguments) {
  const auto [begin_ns, end_ns] = nanoseconds(message.begin_s, message.end_s);
  const auto event = [&](const char *phase, std::int64_t process) {
    Json result = head(phase, message.name, "message", process);
    result["id"] = message.id;
    return result;
  };
  const std::int64_t drawn_at = message.from_shown ? message.from : message.to;
  Json begin = event("b", drawn_at);
  begin["args"] = arguments;
  add_event(begin_ns, message_begins, begin, "\"ts\":" + microseconds(begin_ns));
  add_event(end_ns, message_ends, event("e", drawn_at), "\"ts\":" + microseconds(end_ns));
  if (message.from_shown && message.to_shown && begin_ns < end_ns) {
    add_event(begin_ns, arrow_begins, event("s", message.from), "\"ts\":" + microseconds(begin_ns));
    Json arrow = event("f", message.to);
    arrow["bp"] = "e"; // ends in the slice that is open there, not in the next one of the process
    add_event(end_ns, arrow_ends, arrow, "\"ts\":" + microseconds(end_ns));
  }
}

std::string TraceDocument::text(const Json &other_data) {
  std::stable_sort(events_.begin(), events_.end(), [](const Event &left, const Event &right) {
    return std::pair(left.time_ns, left.order) < std::pair(right.time_ns, right.order);
  });
  std::string text = "{\"traceEvents\":[\n";
  const char *between = "";
  const auto line = [&](const std::string &event) {
    text += between + event;
    between = ",\n";
  };
  for (const std::string &name : names_) {
    line(name);
  }
  for (const Event &event : events_) {
    line(event.text);
  }
  return text + "\n],\"otherData\":" + write_json(other_data, -1) + "}\n";
}

} // namespace ringscale::report
