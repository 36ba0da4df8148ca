// SPDX-License-Identifier: Apache-2.0
#include "report/trace_document.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace ringscale::report {
namespace {

TraceSlice slice(std::int64_t process, double begin_s, double end_s, std::string_view name = "compute") {
  return {process, name, "compute", begin_s, end_s};
}

TEST(TraceDocument, WritesEventsInTheOrderOfTimeWithWholeNanoseconds) {
  TraceDocument document;
  Json arguments = Json::object();
  arguments["kind"] = "simulated";
  document.add(slice(7, 1.0, 2.5), arguments);
  document.add(slice(7, 0.25e-6, 1.0, "fixed"), arguments);
  document.add(TraceProcess{7, "rank 6 (simulated)", 3});
  Json other = Json::object();
  other["schema"] = "ringscale.trace";
  const Json read = parse_json(document.text(other), "trace");
  EXPECT_EQ(read.begin().key(), "traceEvents");
  EXPECT_EQ(read.size(), 2U);
  EXPECT_EQ(read.at("otherData"), other);
  const Json &events = read.at("traceEvents");
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(events[0].at("args").at("name"), "rank 6 (simulated)");
  EXPECT_EQ(events[3].at("name"), "fixed");
  EXPECT_EQ(events[3].at("ts"), 0.25);
  EXPECT_EQ(events[4].at("ts"), 1e6);
  EXPECT_EQ(events[4].at("dur"), 1.5e6);
  EXPECT_EQ(events[4].at("args").at("kind"), "simulated");
  EXPECT_EQ(document.event_count(), 2);
}

TEST(TraceDocument, NeighboursTouchAfterRounding) {
  TraceDocument document;
  double begin_s = 0.0;
  for (int place = 1; place <= 1000; ++place) {
    const double end_s = place * 1.23456789123e-7;
    document.add(slice(1, begin_s, end_s), Json::object());
    begin_s = end_s;
  }
  const Json read = parse_json(document.text(Json::object()), "trace");
  double end_ns = 0.0;
  for (const Json &event : read.at("traceEvents")) {
    EXPECT_EQ(std::llround(event.at("ts").get<double>() * 1000.0), std::llround(end_ns));
    end_ns += event.at("dur").get<double>() * 1000.0;
  }
}

TEST(TraceDocument, AMessageIsASpanAndAnArrowBetweenRanksThatAreShown) {
  TraceDocument document;
  document.add(slice(1, 0.0, 1.0), Json::object());
  document.add(slice(2, 0.0, 1.0, "wait"), Json::object());
  document.add(slice(2, 1.0, 2.0), Json::object());
  document.add(TraceMessage{0, "block", 1, 2, true, true, 0.0, 1.0}, Json::object());
  document.add(TraceMessage{1, "block", 1, 2, false, true, 0.5, 1.5}, Json::object());
  document.add(TraceMessage{2, "block", 1, 2, true, true, 0.5, 0.5}, Json::object());
  const Json read = parse_json(document.text(Json::object()), "trace");
  std::string phases;
  for (const Json &event : read.at("traceEvents")) {
    phases += event.at("ph").get<std::string>() + event.at("pid").dump() + " ";
  }
  // The arrow starts and ends in slices that have begun.
  EXPECT_EQ(phases, "X1 X2 b1 s1 b2 b1 e1 X2 e1 f2 e2 ");
}

TEST(TraceDocument, NestedSlicesFollowTheOneAroundThem) {
  TraceDocument document;
  document.add(slice(1, 0.0, 0.5, "poll"), Json::object());
  document.add(slice(1, 0.0, 1.0, "compute"), Json::object());
  const Json read = parse_json(document.text(Json::object()), "trace");
  EXPECT_EQ(read.at("traceEvents")[0].at("name"), "compute");
}

TEST(TraceDocument, RefusesTimesThatAreNone) {
  TraceDocument document;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto &[begin_s, end_s] :
       {std::pair(-1.0, 1.0), std::pair(2.0, 1.0), std::pair(nan, 1.0), std::pair(0.0, nan), std::pair(0.0, 1e7)}) {
    EXPECT_THROW(document.add(slice(1, begin_s, end_s), Json::object()), std::logic_error);
    EXPECT_THROW(document.add(TraceMessage{1, "block", 1, 2, true, true, begin_s, end_s}, Json::object()),
                 std::logic_error);
  }
  EXPECT_EQ(document.event_count(), 0);
}

} // namespace
} // namespace ringscale::report
