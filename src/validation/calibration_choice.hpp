// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace ringscale::validation {

/// Figures to fit constants on: `count` of them, each as unlike those taken before it as can be. Figures are told by
/// their features (kind of ring, pass, tokens, ...), all lists of one length; the first is the one in the middle. The
/// choice depends on what was run, never on what was published. Places in rising order.
std::vector<std::size_t> choose_calibration(const std::vector<std::vector<std::string>> &features, std::size_t count);

} // namespace ringscale::validation
