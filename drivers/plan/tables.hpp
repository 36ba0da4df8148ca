// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "drivers/session.hpp"
#include "sizing/calculators.hpp"
#include "sizing/diagnosis.hpp"
#include "sizing/fewest_devices.hpp"
#include "sizing/largest_context.hpp"
#include "sizing/ring_sizes.hpp"

namespace ringscale::drivers {

/// The answers of `plan` for people, line by line.
void say_machine(Session &session, const machine::Machine &machine, const sizing::Workload &workload);
void say_answer(Session &session, const sizing::LargestContext &answer, std::int64_t top);
void say_answer(Session &session, const sizing::FewestDevices &answer, std::int64_t top);
void say_answer(Session &session, const sizing::Ranking &answer, std::int64_t top);
void say_diagnosis(Session &session, const sizing::Diagnosis &diagnosis);
void say_calculation(Session &session, const sizing::Calculation &calculation);

} // namespace ringscale::drivers
