// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "drivers/attention/layer.hpp"

namespace ringscale::drivers {

/// One result compared with its definition in double precision.
struct ResultCheck {
  std::string name;       ///< output, log_sum_exp, query_gradient, key_gradient, value_gradient
  double max_error = 0.0; ///< NaN when any checked element is one
  double error_bound = 0.0;
  std::int64_t wrong_elements = 0; ///< checked elements beyond the bound
  bool valid() const { return max_error <= error_bound; }
};

struct Verification {
  std::vector<ResultCheck> results;
  std::int64_t checked_rows = 0; ///< query positions compared, in every batch entry and head
  std::int64_t checked_keys = 0; ///< key positions whose gradients were compared
  bool all_rows_checked = false;
  bool valid = false;
  std::vector<std::string> reasons;
};

/// Compares what `layer` left in `tensors` with the definition, over all rows or, where that would take too long, over
/// a seeded sample with the first and last ones.
Verification verify(const AttentionOptions &options, const AttentionTensors &tensors, const AttentionLayer &layer);

} // namespace ringscale::drivers
