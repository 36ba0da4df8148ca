// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "validation/attention_cell.hpp"
#include "validation/table_facts.hpp"

namespace ringscale::validation {

/// Whether words name an all-to-all over the heads.
bool is_all_to_all(const std::vector<std::string> &words);

/// Devices of a figure, their division among ring and all-to-all, and the kind of ring. Where the row says nothing and
/// no word needs several devices it is one. False and `reason` where the degrees do not fit, or the division is not
/// modelled.
bool read_devices(const Table &table, const Column &column, const RowFacts &facts, AttentionCell &cell,
                  std::string &reason);

} // namespace ringscale::validation
