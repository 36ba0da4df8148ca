// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "report/json.hpp"
#include "ring/multihead_run.hpp"

namespace ringscale::sweep {

/// A multihead layer around a ring, measured on real ranks: a row of verb `ring` whose `layer` is "multihead".
/// docs/gradients.md names each field with its unit.
report::Json multihead_row(const std::string &point, const ring::MultiheadOptions &options,
                           const ring::MultiheadRun &run);

} // namespace ringscale::sweep
