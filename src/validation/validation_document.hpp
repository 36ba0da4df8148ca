// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "report/json.hpp"
#include "validation/validate_tables.hpp"

namespace ringscale::validation {

std::string name(Role role);

/// A row for every published figure: table, cell, unit, published, predicted, relative_error, role, and how or why not.
report::Json published_rows(const std::vector<TableResult> &results);

/// One object a table: counts and errors. And one a fitted constant: name, value, unit, cells.
report::Json table_summaries(const std::vector<TableResult> &results);
report::Json fit_rows(const std::vector<TableResult> &results);

/// The same for people: one line a table.
std::vector<std::string> summary_lines(const std::vector<TableResult> &results);

} // namespace ringscale::validation
