// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "problem/attention_problem.hpp"
#include "validation/published_tables.hpp"
#include "validation/table_facts.hpp"

namespace ringscale::validation {

/// How the tokens of a causal sequence lie on the devices and how keys and values get round.
enum class RingKind { contiguous, zigzag, striped, all_gather };

enum class Quantity { rate, time, flop_rate, token_rate };

/// A published figure about the time of one attention layer: what was run, in the words of this project.
struct AttentionCell {
  std::size_t row = 0;
  std::size_t column = 0;
  problem::AttentionProblem attention; ///< the whole sequence; query_heads 0: not published
  std::int64_t element_bytes = 2;
  bool forward = true;
  bool backward = false;
  std::int64_t devices = 1;       ///< that divide the sequence; the heads are those of one tensor-parallel rank
  std::int64_t tensor_degree = 1; ///< devices of the row over `devices`
  std::int64_t ring_degree = 1;
  std::int64_t ulysses_degree = 1;
  RingKind kind = RingKind::contiguous;
  bool one_device = false; ///< a yardstick on one device beside figures of many
  Quantity quantity = Quantity::time;
  bool is_rate_unstated = false; ///< FLOP/s of which neither unit nor name says whether of one device; taken as such
  double published = 0.0;        ///< in base units: 1/s, s, FLOP/s per device or token/s of all
  double scale = 1.0;            ///< base units of one unit of the column
  std::string assumed;           ///< what neither row nor setup say and was taken, for people
  std::string labels;            ///< of the row
  std::string variant;           ///< words of the column that say none of the above: an implementation of its own
};

/// The figure of a cell as one about attention, or nothing and why it is none.
std::optional<AttentionCell> read_attention_cell(const Table &table, std::size_t row, std::size_t column,
                                                 std::string &reason);

/// The same of a setting alone, for a figure in any unit: what was run, without what came out.
std::optional<AttentionCell> read_attention_setting(const Table &table, std::size_t row, std::size_t column,
                                                    std::string &reason);

/// The mask that row or setup state under `causal`, `mask` or, in words, `attention`.
std::optional<problem::Mask> stated_mask(const RowFacts &facts);

/// The kind of ring that words name, the first one; nothing when none does.
std::optional<RingKind> ring_kind_in(const std::vector<std::string> &words);

/// FLOPs of the passes of the cell over all devices: 4 pairs heads head_dim batch forward, 2.5 times that backward.
double flop_of(const AttentionCell &cell);

} // namespace ringscale::validation
