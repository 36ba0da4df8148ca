// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

namespace ringscale::schedule {

/// The words of each choice that a schedule has: those that parse_schedule and its neighbours take, in the order in
/// which they list them. From the same tables, so none can be missing.
std::vector<std::string_view> schedule_choices();
std::vector<std::string_view> placement_choices();
std::vector<std::string_view> moving_choices();
std::vector<std::string_view> pass_choices();
std::vector<std::string_view> hops_choices();
std::vector<std::string_view> message_layout_choices();

} // namespace ringscale::schedule
