// SPDX-License-Identifier: Apache-2.0
#include "validation/training_cell.hpp"

#include <algorithm>
#include <cmath>

#include "validation/attention_cell.hpp"
#include "validation/device_words.hpp"
#include "validation/setting_rules.hpp"
#include "validation/table_facts.hpp"

namespace ringscale::validation {

namespace {

/// What the row or the setup say of recomputation, in words; empty where they say nothing.
std::string recompute_text(const RowFacts &facts) {
  const std::initializer_list<std::string_view> names{"recompute", "recomputation", "activation_checkpointing",
                                                      "gradient_checkpointing", "activation_recomputation"};
  const std::string text = facts.text(names);
  for (const std::string_view name : names) {
    if (const auto truth = facts.truth(name); truth && text.empty()) {
      return *truth ? "full" : "none";
    }
  }
  return text;
}

/// Nothing for words that are not known.
std::optional<Recompute> read_recompute(const std::string &text) {
  const std::vector<std::string> words = words_of(text);
  const auto any = [&](std::initializer_list<std::string_view> list) {
    return std::any_of(list.begin(), list.end(), [&](std::string_view word) { return has_word(words, word); });
  };
  if (any({"selective", "sel", "seqsel"})) {
    return Recompute::selective;
  }
  if (any({"full", "all", "every", "yes", "true", "on"})) {
    return Recompute::full;
  }
  return words.empty() || any({"none", "no", "off", "false", "without"}) ? std::optional(Recompute::none)
                                                                         : std::nullopt;
}

/// The context of a figure: the column of tokens that shares a word with its own (mfu_ring: context_ring_ktokens).
std::optional<double> tokens_of(const Table &table, std::size_t row, const Column &about, const RowFacts &facts) {
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    const Column &candidate = table.columns[column];
    if (candidate.unit.dimension != "token" || is_result(candidate)) {
      continue;
    }
    for (const std::string &word : parse_name(candidate.name).stem) {
      if (word != "context" && word != "sequence" && has_word(about.words, word)) {
        if (const auto value = table.number(row, column)) {
          return *value * candidate.unit.scale;
        }
      }
    }
  }
  const auto named = facts.number({"sequence_tokens", "context_tokens", "seq_len", "context_ktokens", "tokens"});
  return named ? named : facts.setting("token", {"per", "local", "chunk", "block", "batch", "window", "segment"});
}

/// What a table is about that is no training step: inference, or a run of many steps. Empty for a training step.
std::string other_than_a_step(const Table &table, const Column &about, const RowFacts &facts) {
  std::vector<std::string> words = about.words;
  for (const std::string &text : {about.meaning, table.title, facts.text({"phase"}), facts.text({"mode"}),
                                  facts.text({"workload"}), facts.text({"task"}), facts.text({"stage"})}) {
    for (std::string &word : words_of(text)) {
      words.push_back(std::move(word));
    }
  }
  for (const char *word : {"ttft", "tpot", "prefill", "inference", "decode", "decoding", "serving", "generation"}) {
    if (has_word(words, word)) {
      return std::string("it is about inference ('") + word + "'), which is not modelled";
    }
  }
  const std::vector<std::string> model = words_of(facts.text({"model", "model_name", "network"}));
  for (const std::string_view word : {"moe", "mixtral", "experts"}) {
    if (has_word(model, word) || has_word(about.words, word)) {
      return "it is about a mixture of experts, which is not modelled";
    }
  }
  constexpr double an_hour_s = 3600.0;
  if (about.unit.dimension == "s" && about.unit.scale >= an_hour_s) {
    return "it is the time of a whole run, of which the number of steps is not known";
  }
  return "";
}

bool read_model(const RowFacts &facts, const std::vector<ModelShape> &shapes, TrainingStep &step, std::string &reason) {
  const auto layers = facts.number({"layers", "num_layers"});
  const auto hidden = facts.number({"hidden_size", "hidden", "embed_dim"});
  if (layers && hidden) {
    step.layers = *layers;
    step.hidden = *hidden;
    step.heads = facts.number({"query_heads", "heads", "num_heads"}).value_or(*hidden / 128.0);
    const auto kv_heads = facts.number({"kv_heads"});
    step.kv_share = kv_heads ? *kv_heads / step.heads : 1.0;
    // A feed-forward width that is stated belongs to a gated network of three matrices.
    const auto width = facts.number({"ffn_size", "feed_forward_size", "ffn_hidden_size"});
    step.feed_forward_products = width ? 3.0 * *width / *hidden : 8.0;
    step.vocabulary = facts.number({"vocabulary", "vocab_size"}).value_or(0.0);
    return true;
  }
  const auto size = facts.model_billions();
  const ModelShape *shape = size ? find_shape(shapes, *size) : nullptr;
  if (shape == nullptr) {
    reason = size ? "no public shape is listed for a model of this size" : ""; // then it is about no whole model
    return false;
  }
  step.layers = static_cast<double>(shape->layers);
  step.hidden = static_cast<double>(shape->hidden_size);
  step.heads = static_cast<double>(shape->query_heads);
  step.kv_share = static_cast<double>(shape->kv_heads) / step.heads;
  step.feed_forward_products = 3.0 * static_cast<double>(shape->feed_forward_size) / step.hidden;
  return true;
}

bool read_layout(const Table &table, std::size_t row, const Column &about, const RowFacts &facts, TrainingStep &step,
                 std::string &reason) {
  step.tensor = facts.number({"tensor_parallel", "tp"}).value_or(1.0);
  step.pipeline = facts.number({"pipeline_parallel", "pp"}).value_or(1.0);
  const double ring = facts.number({"ring_degree", "ring_size"}).value_or(1.0);
  const double all_to_all = facts.number({"ulysses_degree", "all_to_all_degree", "ulysses_size"}).value_or(1.0);
  step.context = facts.number({"context_parallel", "cp", "sp"}).value_or(ring * all_to_all);
  const auto devices = devices_of(table, row, static_cast<std::size_t>(&about - table.columns.data()));
  if (!devices && devices_of_row(table, row).is_unclear) {
    reason = std::string(unclear_devices);
    return false;
  }
  const double without_data = step.tensor * step.pipeline * step.context;
  step.data = facts.number({"data_parallel", "dp"}).value_or(devices ? std::max(1.0, *devices / without_data) : 1.0);
  if ((devices && *devices != without_data * step.data) || step.data != std::floor(step.data)) {
    reason = "tensor x pipeline x data x context parallel devices are not all devices of the row";
    return false;
  }
  step.interleaved = facts.number({"interleaved_stages", "virtual_stages"}).value_or(1.0);
  auto batch = facts.number({"global_batch", "batch_size", "batch"});
  const auto batch_tokens = facts.tokens_of_a_batch();
  if (!batch && batch_tokens && step.tokens > 0.0) {
    batch = std::max(1.0, std::round(*batch_tokens / step.tokens));
  }
  const auto of_device = facts.number({"batch_per_gpu", "batch_size_per_gpu", "local_batch_size", "batch_per_device"});
  if (!batch && of_device) {
    batch = *of_device * step.data;
  }
  if (!batch) {
    reason = "the row and the setup give no global batch";
    return false;
  }
  step.global_batch = *batch;
  if (step.data > step.global_batch) {
    // More devices than sequences and no word about it: they divide the tokens.
    step.context *= step.data / step.global_batch;
    step.data = step.global_batch;
  }
  step.micro_batch = facts.number({"micro_batch"}).value_or(1.0);
  if (has_word(about.words, "without") && step.context > 1.0) {
    reason = "the parallel layout of the run without context parallelism is not given";
    return false;
  }
  return true;
}

} // namespace

bool is_memory(TrainingQuantity quantity) { return quantity >= TrainingQuantity::state_memory; }

double figure(const TrainingCell &cell, const machine::Machine &machine, const TrainingConstants &constants) {
  if (cell.quantity == TrainingQuantity::utilisation && !cell.has_layout) {
    return utilisation(cell.step, constants);
  }
  if (is_memory(cell.quantity)) {
    return (cell.quantity == TrainingQuantity::activation_memory ? 0.0 : state_bytes(cell.step)) +
           (cell.quantity == TrainingQuantity::state_memory ? 0.0 : activation_bytes(cell.step));
  }
  const double seconds = training_seconds(cell.step, machine, constants);
  const double devices = cell.per_device ? cell.step.devices() : 1.0;
  const double flop =
      3.0 * (product_flop(cell.step, cell.step.global_batch) + attention_flop(cell.step, cell.step.global_batch));
  switch (cell.quantity) {
  case TrainingQuantity::utilisation:
    return flop / (seconds * cell.step.devices() * peak_of_bytes(machine, cell.step.element_bytes));
  case TrainingQuantity::flop_rate:
    return flop / (seconds * devices);
  case TrainingQuantity::token_rate:
    return cell.step.global_batch * cell.step.tokens / (seconds * devices);
  default:
    return seconds;
  }
}

std::optional<TrainingStep> read_training_step(const Table &table, const std::vector<ModelShape> &shapes,
                                               std::size_t row, std::size_t column, bool needs_division,
                                               std::string &reason, bool needs_layout) {
  const Column &about = table.columns[column];
  const RowFacts facts(table, row);
  TrainingStep step;
  if (!read_model(facts, shapes, step, reason)) {
    return std::nullopt;
  }
  if (const std::string other = other_than_a_step(table, about, facts); !other.empty()) {
    reason = other;
    return std::nullopt;
  }
  const auto tokens = tokens_of(table, row, about, facts);
  if (!tokens) {
    reason = "the row and the setup give no tokens";
    return std::nullopt;
  }
  step.tokens = *tokens;
  if (needs_layout && !read_layout(table, row, about, facts, step, reason)) {
    return std::nullopt;
  }
  if (needs_division && !facts.number({"tensor_parallel", "tp", "pipeline_parallel", "pp"})) {
    reason = "the row and the setup do not say how weights and activations are divided";
    return std::nullopt;
  }
  const std::string attention = facts.text({"attention"});
  step.scores_materialised = attention.find("materialised") != std::string::npos;
  step.causal = stated_mask(facts) == problem::Mask::causal;
  const std::string recompute = recompute_text(facts);
  const auto recomputed = read_recompute(recompute);
  if (!recomputed) {
    reason = "what is recomputed is said as '" + recompute + "'; known words: none, selective, full";
    return std::nullopt;
  }
  step.recompute = *recomputed;
  step.sequence_parallel = recompute.find("seq") != std::string::npos || attention.empty();
  const std::vector<std::string> precision = words_of(facts.text({"precision", "dtype"}));
  const auto named_bytes = bytes_of_words(about.words);
  step.element_bytes =
      named_bytes ? *named_bytes : facts.number({"element_bytes"}).value_or(has_word(precision, "fp8") ? 1.0 : 2.0);
  return step;
}

std::optional<TrainingCell> read_training_cell(const Table &table, const std::vector<ModelShape> &shapes,
                                               const Prediction &open, std::string &reason) {
  const Column &about = table.columns[open.column];
  TrainingCell cell;
  cell.row = open.row;
  cell.column = open.column;
  cell.scale = about.unit.scale;
  const auto per_device = says_per_device(about);
  cell.per_device = per_device.value_or(about.unit.dimension == "FLOP/s"); // as papers print FLOP/s
  const std::string &dimension = about.unit.dimension;
  const bool share =
      (dimension == "%" || dimension == "1") &&
      (has_word(about.words, "mfu") || has_word(about.words, "utilization") || has_word(about.words, "utilisation"));
  if (share) {
    cell.quantity = TrainingQuantity::utilisation;
    cell.scale = dimension == "%" ? 0.01 : 1.0;
  } else if (dimension == "s" || dimension == "FLOP/s" || dimension == "token/s" || dimension == "sequence/s") {
    cell.quantity = dimension == "s"        ? TrainingQuantity::time
                    : dimension == "FLOP/s" ? TrainingQuantity::flop_rate
                                            : TrainingQuantity::token_rate;
  } else if (dimension == "byte") {
    const bool activations = has_word(about.words, "activations") || has_word(about.words, "activation");
    const bool state = has_word(about.words, "optimizer") || has_word(about.words, "params") ||
                       has_word(about.words, "state") || has_word(about.words, "weights");
    cell.quantity = activations ? TrainingQuantity::activation_memory
                    : state     ? TrainingQuantity::state_memory
                                : TrainingQuantity::memory;
  } else {
    return std::nullopt;
  }
  const bool needs_division = is_memory(cell.quantity);
  auto step = read_training_step(table, shapes, open.row, open.column, needs_division || share, reason);
  if (share && !step) { // of products and attention alone
    reason.clear();
    step = read_training_step(table, shapes, open.row, open.column, false, reason, false);
    cell.has_layout = false;
  }
  if (!step) {
    return std::nullopt;
  }
  cell.step = *step;
  const RowFacts facts(table, open.row);
  if (cell.has_layout && step->pipeline > 1.0 && !facts.number({"interleaved_stages", "virtual_stages"})) {
    cell.assumed += ", one chunk of layers a stage";
  }
  if (cell.has_layout && !facts.number({"micro_batch"})) {
    cell.assumed += ", micro-batch 1";
  }
  if (cell.has_layout && recompute_text(facts).empty()) {
    cell.assumed += ", nothing recomputed";
  }
  const bool says_context = facts.number({"context_parallel", "cp", "sp"}) ||
                            facts.number({"ring_degree", "ring_size"}) ||
                            facts.number({"ulysses_degree", "all_to_all_degree", "ulysses_size"});
  if (cell.has_layout && !says_context && step->context > 1.0) {
    cell.assumed += ", devices beyond the batch share its sequences";
  }
  if (cell.has_layout && !facts.number({"data_parallel", "dp"}) && !devices_of(table, open.row, open.column)) {
    cell.assumed += ", no data parallelism";
  }
  cell.is_rate_unstated = dimension == "FLOP/s" && !per_device && step->devices() > 1.0;
  if (dimension == "sequence/s") {
    cell.scale *= step->tokens; // kept in tokens/s
  }
  cell.published = table.number(open.row, open.column).value_or(0.0) * cell.scale;
  return cell.published > 0.0 ? std::optional(cell) : std::nullopt;
}

} // namespace ringscale::validation
