// SPDX-License-Identifier: Apache-2.0
#include "validation/run_parts.hpp"

#include "machine/links.hpp"
#include "memory/closed_form.hpp"
#include "problem/invalid_input.hpp"
#include "validation/attention_cell.hpp"
#include "validation/attention_time.hpp"
#include "validation/device_words.hpp"
#include "validation/reading.hpp"
#include "validation/table_facts.hpp"

namespace ringscale::validation {

namespace {

/// Keys and values of one device's share of the tokens, and of its heads beside an all-to-all, over the link to its
/// neighbour.
double hop_seconds(const AttentionCell &cell, const machine::Machine &machine) {
  const problem::AttentionProblem attention = ring_problem(cell).attention;
  const double bytes = 2.0 * static_cast<double>(attention.batch * attention.tokens) /
                       static_cast<double>(cell.ring_degree) *
                       static_cast<double>(attention.kv_heads * attention.head_dim * cell.element_bytes);
  return machine::message_time(machine::link_between(machine, 0, cell.ulysses_degree), bytes, 1);
}

bool says_scores(const std::vector<std::string> &words) {
  return has_word(words, "vanilla") || has_word(words, "standard") || has_word(words, "materialised") ||
         has_word(words, "materialized");
}

} // namespace

double ring_memory_bytes(const AttentionCell &cell, bool keeps_scores) {
  const schedule::RingProblem problem = ring_problem(cell);
  schedule::validate(problem);
  const memory::KernelKind kernel = keeps_scores ? memory::KernelKind::materialised : memory::KernelKind::streamed;
  return static_cast<double>(memory::closed_form(problem, memory::rank_with_most_memory(problem), {}, kernel).total());
}

bool keeps_scores(const std::vector<std::string> &column_words, const std::vector<std::string> &label_words) {
  return says_scores(column_words) || says_scores(label_words);
}

bool is_communication(const std::vector<std::string> &words) {
  return has_word(words, "comm") || has_word(words, "communication") || has_word(words, "hop") ||
         has_word(words, "transfer");
}

void predict_run_parts(const Table &table, const std::vector<machine::Machine> &machines,
                       std::vector<Prediction> &predictions) {
  for (Prediction &prediction : predictions) {
    const Column &column = table.columns[prediction.column];
    const bool communication = column.unit.dimension == "s" && is_communication(column.words);
    const bool memory = column.unit.dimension == "byte";
    if (!communication && !memory) {
      continue;
    }
    const auto cell = read_attention_setting(table, prediction.row, prediction.column, prediction.reason);
    if (!cell || cell->attention.query_heads == 0) {
      continue;
    }
    const RowFacts facts(table, prediction.row);
    const MachineChoice choice = machine_of(table, prediction.row, prediction.column, machines);
    const machine::Machine *machine = choice.machine;
    if (communication && (machine == nullptr || cell->ring_degree < 2)) {
      prediction.reason = machine == nullptr ? choice.reason : "one device sends nothing";
      continue;
    }
    if (communication && cell->backward) {
      prediction.reason = "what the backward pass sends beside keys and values is not modelled";
      continue;
    }
    try {
      if (communication) {
        const bool one = has_word(column.words, "hop");
        const double hops = one ? 1.0 : static_cast<double>(cell->ring_degree - 1);
        prediction.value = hops * hop_seconds(*cell, *machine) / column.unit.scale;
        prediction.method = "messages of keys and values on " + machine->name + ", nothing fitted";
      } else {
        const bool scores = keeps_scores(column.words, facts.label_words());
        prediction.value = ring_memory_bytes(*cell, scores) / column.unit.scale;
        prediction.method = "bytes of a ring's tensors and buffers";
      }
    } catch (const problem::InvalidInput &failure) {
      prediction.value.reset();
      prediction.reason = std::string("cannot be computed: ") + failure.what();
      continue;
    }
    if (machine != nullptr) {
      prediction.read_as = reading_of(*cell, *machine);
    }
    prediction.role = Role::predicted;
    prediction.kind = "analytic";
  }
}

} // namespace ringscale::validation
