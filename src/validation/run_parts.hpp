// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "validation/attention_cell.hpp"
#include "validation/prediction.hpp"
#include "validation/published_tables.hpp"

namespace ringscale::validation {

/// Whether a column is about communication alone, by its name: comm, communication, hop, transfer.
bool is_communication(const std::vector<std::string> &words);

/// Bytes of the device of a ring that holds most (memory::closed_form), with the scores of a tile row or without.
/// Throws problem::InvalidInput for what is no ring.
double ring_memory_bytes(const AttentionCell &cell, bool keeps_scores);
/// Whether the words of a column or of a row's labels say that scores are kept.
bool keeps_scores(const std::vector<std::string> &column_words, const std::vector<std::string> &label_words);

/// Parts of attention on a ring, from the machine file alone (nothing fitted): seconds of a hop, or of the N - 1 hops
/// of a pass where the name does not say hop; and bytes of the device with the most (memory::closed_form), with scores
/// where name or labels say vanilla, standard or materialised.
void predict_run_parts(const Table &table, const std::vector<machine::Machine> &machines,
                       std::vector<Prediction> &predictions);

} // namespace ringscale::validation
