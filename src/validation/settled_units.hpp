// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// Gives numbers to settings that are printed as texts, in columns of unit "-" and in the setup, and units to columns
/// of unit "-" whose names say the unit and that hold numbers, also printed ones. Each is said in the table's remarks.
void settle_settings(Table &table);

} // namespace ringscale::validation
