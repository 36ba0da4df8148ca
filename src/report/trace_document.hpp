// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/json.hpp"

namespace ringscale::report {

/// A process of a trace, here a rank; `sort_index` orders processes where a viewer honours it.
struct TraceProcess {
  std::int64_t process = 0;
  std::string name;
  std::int64_t sort_index = 0;
};

/// Something a process did, in seconds from the trace's beginning.
struct TraceSlice {
  std::int64_t process = 0;
  std::string_view name;
  std::string_view category;
  double begin_s = 0.0;
  double end_s = 0.0;
};

/// A message from process to process. Its span is drawn at the sender where that is shown, else at the receiver; an
/// arrow joins the two where both are shown and the message takes a nanosecond or more.
struct TraceMessage {
  std::int64_t id = 0; ///< no two messages share it; a number, since Perfetto draws no arrow for other names
  std::string_view name;
  std::int64_t from = 0;
  std::int64_t to = 0;
  bool from_shown = true;
  bool to_shown = true;
  double begin_s = 0.0;
  double end_s = 0.0;
};

/// Trace events in the JSON form of the Trace Event Format that Perfetto and Chrome open: complete events (X) for
/// slices, asynchronous ones (b, e) for messages, flow events (s, f) for their arrows, metadata (M) for names. Times
/// are microseconds with three digits: whole nanoseconds, so that neighbours stay neighbours whatever a viewer rounds.
class TraceDocument {
public:
  void add(const TraceProcess &process);
  /// Throws std::logic_error for times that are negative, not finite or backwards. `arguments`: an object.
  void add(const TraceSlice &slice, const Json &arguments);
  void add(const TraceMessage &message, const Json &arguments);

  std::int64_t event_count() const { return static_cast<std::int64_t>(events_.size()); }

  /// The whole document, an event a line, in the order of time: {"traceEvents": [...], "otherData": other_data}. Some
  /// readers stop at the first key that they do not know, so events come first and there are no further keys.
  std::string text(const Json &other_data);

private:
  struct Event {
    std::int64_t time_ns = 0;
    std::int64_t order = 0; ///< at the same time
    std::string text;
  };
  void add_event(std::int64_t time_ns, std::int64_t order, const Json &head, const std::string &times);

  std::vector<std::string> names_;
  std::vector<Event> events_;
};

} // namespace ringscale::report
