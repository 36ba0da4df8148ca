// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "drivers/plan/flags.hpp"
#include "report/json.hpp"
#include "sizing/calculators.hpp"
#include "sizing/diagnosis.hpp"
#include "sizing/fewest_devices.hpp"
#include "sizing/largest_context.hpp"
#include "sizing/ring_sizes.hpp"

namespace ringscale::drivers {

/// Parts of the document ringscale.sizing (experiments/schema/sizing.schema.json). Every row says its kind: `simulated`
/// for one with a time, `analytic` for one with memory alone; memory_kind is always analytic.

report::Json machine_part(const machine::Machine &machine, const sizing::Workload &workload);
report::Json workload_part(const sizing::Workload &workload);
report::Json row(const sizing::Workload &workload, const sizing::Evaluation &evaluation);
/// The first `most` rows.
report::Json rows(const sizing::Workload &workload, const std::vector<sizing::Evaluation> &evaluations,
                  std::int64_t most);

report::Json answer_part(const sizing::LargestContext &answer, const sizing::Workload &workload, std::int64_t devices,
                         std::int64_t top);
report::Json answer_part(const sizing::FewestDevices &answer, std::int64_t tokens);
report::Json answer_part(const sizing::Ranking &answer, const sizing::Workload &workload);
report::Json diagnosis_part(const sizing::Diagnosis &diagnosis);
report::Json calculation_part(const sizing::Calculation &calculation);

/// The document around `body`, whose keys follow question and machine.
report::Json sizing_document(Question question, bool answered, const report::Json &body,
                             const report::Json &provenance);

} // namespace ringscale::drivers
