// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "drivers/attention/run.hpp"
#include "report/json.hpp"

namespace ringscale::drivers {

/// What was asked for, for the document's `config`.
report::Json attention_configuration(const AttentionOptions &options, int threads);

/// The result row of a run; docs/formats.md has its fields.
report::Json attention_row(const AttentionOptions &options, int threads, const AttentionRun &run);

/// Lines for people: the plan, the time, the errors.
std::string plan_line(const AttentionOptions &options, int threads);
std::vector<std::string> result_lines(const report::Json &row);

} // namespace ringscale::drivers
