// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ringscale::ring {

/// Errors put into a ring on purpose, so that tests can see each one refused. skip_hop: the rank keeps its old block
/// for one more step. corrupt_element: one float of the block it computes with changes. swap_halves: the two halves
/// of the block's payload change places. wrong_scale: scores of the step are scaled 1 % too high. late_rank: the rank
/// sleeps before the step. dead_rank: it is killed there. drop_result: the partial result that arrives in the step is
/// not added to the rank's own.
enum class FaultKind { none, skip_hop, corrupt_element, swap_halves, wrong_scale, late_rank, dead_rank, drop_result };

struct Fault {
  FaultKind kind = FaultKind::none;
  std::int64_t rank = 0;
  std::int64_t step = 0;
  double sleep_s = 0.0; ///< late_rank only

  bool strikes(FaultKind what, std::int64_t at_rank, std::int64_t at_step) const {
    return kind == what && rank == at_rank && step == at_step;
  }
};

std::string_view name(FaultKind kind);

/// "kind:rank:step" or "late_rank:rank:step:seconds"; throws InvalidInput for anything else.
Fault parse_fault(std::string_view text);

/// The fault that the environment variable RINGSCALE_FAULT asks for; always none unless the library was built with
/// RINGSCALE_ENABLE_FAULTS, which only test builds are.
Fault fault_from_environment();

} // namespace ringscale::ring
