// SPDX-License-Identifier: Apache-2.0
#include "schedule/timeline.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "problem/invalid_input.hpp"

namespace ringscale::schedule {
namespace {

TEST(Activity, EveryOneHasANameOfItsOwnAndACategory) {
  std::set<std::string_view> names;
  for (const Activity activity :
       {Activity::copy, Activity::post, Activity::fixed, Activity::compute, Activity::merge, Activity::poll,
        Activity::wait, Activity::exposed, Activity::join, Activity::exchange}) {
    EXPECT_TRUE(names.insert(name(activity)).second);
    const std::set<std::string_view> categories{"compute", "communication", "waiting", "overhead"};
    EXPECT_TRUE(categories.contains(category(activity))) << name(activity);
  }
  EXPECT_EQ(names.size(), 10U);
}

TEST(TimelineSelection, ShowsMessagesWithAnEndInIt) {
  TimelineSelection selection;
  selection.ranks = {1, 2};
  selection.first_step = 3;
  selection.last_step = 4;
  TimelineMessage message;
  message.from = 1;
  message.to = 2;
  message.departure_step = message.until_step = 3;
  EXPECT_TRUE(selection.shows(message));
  EXPECT_EQ(selection.events_of(message), 4);
  message.to = 5;
  EXPECT_TRUE(selection.shows(message));
  EXPECT_EQ(selection.events_of(message), 2);
  message.from = 0;
  EXPECT_FALSE(selection.shows(message));
  message.from = 1;
  message.departure_step = 0; // an outer hop that is due in a shown step
  EXPECT_TRUE(selection.shows(message));
  message.until_step = 2;
  EXPECT_FALSE(selection.shows(message));
  selection.most_events = 7;
  EXPECT_NO_THROW(selection.require_room(7));
  EXPECT_THROW(selection.require_room(8), problem::InvalidInput);
}

TEST(NumberList, ReadsNumbersAndRanges) {
  using List = std::vector<std::int64_t>;
  EXPECT_EQ(parse_number_list("--trace-ranks", "0-3,17", 18), (List{0, 1, 2, 3, 17}));
  EXPECT_EQ(parse_number_list("--trace-ranks", "5,2-3,2", 6), (List{2, 3, 5}));
  for (const char *bad : {"", "a", "1,", "3-1", "-1", "1-", "18", "0-18", "1 ", "1.5", "99999999999999999999"}) {
    EXPECT_THROW(parse_number_list("--trace-ranks", bad, 18), problem::InvalidInput) << bad;
  }
  EXPECT_THROW(parse_number_list("--trace-ranks", "0-2000000", 1 << 22), problem::InvalidInput);
}

} // namespace
} // namespace ringscale::schedule
