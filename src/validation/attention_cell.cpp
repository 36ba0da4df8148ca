// SPDX-License-Identifier: Apache-2.0
#include "validation/attention_cell.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "validation/attention_devices.hpp"
#include "validation/device_words.hpp"
#include "validation/row_scope.hpp"
#include "validation/setting_rules.hpp"
#include "validation/table_facts.hpp"

namespace ringscale::validation {

namespace {

std::int64_t whole(double value) { return std::llround(value); }

constexpr std::int64_t most_in_a_name = std::int64_t{1} << 40; // 2^50 with a k behind it

std::optional<std::int64_t> parse_whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value > 0 && value <= most_in_a_name
             ? std::optional(value)
             : std::nullopt;
}

/// A number that a column's name carries, such as d128, hdim64 or 16k.
std::optional<std::int64_t> head_dim_in(const std::vector<std::string> &words) {
  for (const std::string &word : words) {
    for (const std::string_view opening : {"d", "hd", "hdim", "dim"}) {
      if (word.starts_with(opening)) {
        if (const auto value = parse_whole(std::string_view(word).substr(opening.size()))) {
          return value;
        }
      }
    }
  }
  return std::nullopt;
}

std::optional<std::int64_t> tokens_in(const std::vector<std::string> &words) {
  for (std::size_t index = 0; index < words.size(); ++index) {
    const std::string &word = words[index];
    const bool counts_devices = (index + 1 < words.size() && is_unit_of_devices(words[index + 1])) ||
                                (index > 0 && is_unit_of_devices(words[index - 1]));
    if (counts_devices) {
      continue;
    }
    if (word.ends_with("k")) {
      if (const auto value = parse_whole(std::string_view(word).substr(0, word.size() - 1))) {
        return *value * 1024;
      }
    }
    if (const auto value = parse_whole(word); value && *value >= 256) {
      return value;
    }
  }
  return std::nullopt;
}

void read_passes(const Column &column, const RowFacts &facts, AttentionCell &cell) {
  std::string pass = pass_of(column.words);
  if (pass.empty()) {
    pass = pass_of(words_of(facts.text({"pass", "direction", "mode"})));
  }
  cell.assumed += pass.empty() ? ", forward" : "";
  cell.forward = pass != "bwd";
  cell.backward = pass == "bwd" || pass == "fwd_bwd";
}

/// Whether words name a causal mask: "causal mask", not "non-causal" or "without causal masking".
bool says_causal(const std::vector<std::string> &words) {
  for (std::size_t index = 0; index < words.size(); ++index) {
    const std::string before = index > 0 ? words[index - 1] : "";
    if (words[index] == "causal" && before != "non" && before != "no" && before != "not" && before != "without" &&
        before != "o") { // w/o
      return true;
    }
  }
  return false;
}

bool read_causal(const Table &table, const Column &column, const RowFacts &facts, std::string &assumed) {
  if (has_word(column.words, "causal") || has_word(column.words, "noncausal")) {
    return says_causal(column.words);
  }
  if (const auto stated = stated_mask(facts)) {
    return *stated == problem::Mask::causal;
  }
  for (const std::vector<std::string> &words : {facts.label_words(), words_of(table.title)}) {
    if (has_word(words, "causal") || has_word(words, "noncausal")) {
      return says_causal(words);
    }
  }
  assumed += ", no mask";
  return false;
}

/// Whether every byte count of the cell fits 62 bits, as problem::validate asks; one device is not simulated.
bool fits_integers(const AttentionCell &cell, std::string &reason) {
  const problem::AttentionProblem &attention = cell.attention;
  constexpr double most_bytes = 4611686018427387904.0; // 2^62
  const double bytes = static_cast<double>(attention.batch) * static_cast<double>(attention.tokens) *
                       static_cast<double>(std::max({attention.query_heads, attention.kv_heads, std::int64_t{1}})) *
                       static_cast<double>(attention.head_dim) * static_cast<double>(cell.element_bytes);
  if (bytes <= most_bytes) {
    return true;
  }
  reason = "batch x tokens x heads x head_dim needs more than 2^62 bytes";
  return false;
}

bool read_shape(const Table &table, const Column &column, const RowFacts &facts, AttentionCell &cell,
                std::string &reason) {
  auto heads = facts.number({"query_heads", "heads", "num_heads", "head_num", "n_heads", "attention_heads"});
  const auto group = facts.number({"kv_group", "group_num", "gqa_group"});
  const auto kv_heads = facts.number({"kv_heads", "num_kv_heads", "key_value_heads"});
  const auto hidden = facts.number({"hidden_size", "hidden", "embed_dim"});
  auto head_dim = facts.number({"head_dim", "head_size", "dim_head", "headdim"});
  heads = heads ? heads : facts.setting("head", {"kv", "key", "value", "group"});
  if (!head_dim && hidden && heads) {
    head_dim = *hidden / *heads;
  }
  if (!head_dim) {
    if (const auto named = head_dim_in(column.words)) {
      head_dim = static_cast<double>(*named);
    }
  }
  auto tokens = facts.number({"sequence_tokens", "tokens_total", "seq_len", "seqlen", "sequence_length",
                              "context_tokens", "context_ktokens", "sequence_ktokens", "tokens", "length_tokens"});
  auto local = facts.number({"tokens_per_gpu", "tokens_per_device", "chunk_tokens", "local_tokens", "block_tokens"});
  local = local ? local : facts.tokens_of_a_device();
  // A yardstick beside figures of many devices has one device's tokens where these are given.
  if (local && (cell.one_device || !tokens)) {
    tokens = *local * static_cast<double>(cell.devices);
  } else if (tokens && facts.text({"sequence_is"}) == "local") {
    *tokens *= static_cast<double>(cell.devices);
  }
  if (!tokens && !local) {
    tokens = facts.setting("token", {"per", "local", "chunk", "block", "total", "window", "segment", "batch"});
  }
  if (!tokens) {
    if (const auto named = tokens_in(column.words)) {
      tokens = static_cast<double>(*named);
    }
  }
  if (!tokens || !head_dim || !(*tokens >= 1.0) || !(*head_dim >= 1.0)) {
    reason = std::string("the row and the setup give no ") + (tokens ? "head_dim" : "tokens");
    return false;
  }
  // Settings are counts up to 2^50 each; what is computed from several of them is checked here, before it is rounded.
  if (!(*tokens <= most_of_a_count) || !(*head_dim <= most_of_a_count)) {
    reason = "the tokens of all devices are beyond 2^50";
    return false;
  }
  // Benchmarks of kernels on one device keep the tokens of all sequences at 16384 and heads x head_dim at 2048 where
  // they do not say (Dao 2023, section 4.1; Shah et al. 2024, section 4.1).
  const bool kernel = cell.devices == 1 && !cell.one_device && !heads;
  const double all_tokens =
      facts.number({"total_tokens"}).value_or(facts.tokens_of_a_batch().value_or(kernel ? 16384.0 : *tokens));
  const auto batch = facts.number({"batch_size", "batch", "bs", "micro_batch"});
  cell.attention.batch = std::max<std::int64_t>(
      1, whole(batch.value_or(facts.setting("sequence", {}).value_or(std::floor(all_tokens / *tokens)))));
  if (!batch && !facts.setting("sequence", {})) {
    cell.assumed += ", batch " + std::to_string(cell.attention.batch);
  }
  if (kernel) {
    cell.assumed += ", hidden size 2048";
    heads = std::max(1.0, 2048.0 / *head_dim);
  }
  cell.attention.tokens = whole(*tokens);
  cell.attention.head_dim = whole(*head_dim);
  cell.attention.query_heads = heads ? whole(*heads) : 0;
  cell.attention.kv_heads = kv_heads && heads ? whole(*kv_heads)
                            : heads && group  ? whole(*heads / *group)
                                              : cell.attention.query_heads;
  const double tensor = facts.number({"tensor_parallel", "tp"}).value_or(1.0);
  if (tensor > 1.0 && cell.attention.query_heads == 0) {
    reason = "the row and the setup give no heads for tensor parallelism to divide";
    return false;
  }
  if (tensor > 1.0) {
    cell.attention.query_heads = std::max<std::int64_t>(1, whole(*heads / tensor));
    cell.attention.kv_heads = std::max<std::int64_t>(1, whole(static_cast<double>(cell.attention.kv_heads) / tensor));
  }
  cell.attention.mask = read_causal(table, column, facts, cell.assumed) ? problem::Mask::causal : problem::Mask::none;
  const auto named_bytes = bytes_of_words(column.words);
  cell.element_bytes =
      whole(named_bytes ? *named_bytes
                        : facts.number({"element_bytes"}).value_or(bytes_of_dtype(facts.text({"dtype", "precision"}))));
  return fits_integers(cell, reason);
}

/// What is left of a column's name without unit, pass and kind of ring.
std::string variant_of(const Column &column) {
  std::string variant;
  for (const std::string &word : parse_name(column.name).stem) {
    static const std::vector<std::string> known{"fwd", "bwd",    "forward", "backward", "iter",
                                                "per", "time",   "time",    "gpu",      "device",
                                                "s",   "single", "latency", "non",      "causal"};
    if (!ring_kind_in({word}) && !is_all_to_all({word}) && !has_word(known, word)) {
      variant += word + " ";
    }
  }
  return variant;
}

} // namespace

std::optional<problem::Mask> stated_mask(const RowFacts &facts) {
  const auto mask = [](bool causal) { return causal ? problem::Mask::causal : problem::Mask::none; };
  if (const auto value = facts.truth("causal")) {
    return mask(*value);
  }
  const std::vector<std::string> yes_or_no = words_of(facts.text({"causal"}));
  if (!yes_or_no.empty()) {
    return mask(says_causal(yes_or_no) || has_word(yes_or_no, "yes") || has_word(yes_or_no, "true"));
  }
  const std::vector<std::string> words = words_of(facts.text({"mask"}));
  if (!words.empty()) {
    return mask(says_causal(words));
  }
  const std::vector<std::string> attention = words_of(facts.text({"attention"}));
  const bool is_said = has_word(attention, "causal") || has_word(attention, "noncausal");
  return is_said ? std::optional(mask(says_causal(attention))) : std::nullopt;
}

std::optional<AttentionCell> read_attention_setting(const Table &table, std::size_t row, std::size_t column,
                                                    std::string &reason) {
  const Column &about = table.columns[column];
  const RowFacts facts(table, row);
  AttentionCell cell;
  cell.row = row;
  cell.column = column;
  if (facts.number({"layers", "num_layers", "model_params_b"})) {
    reason = "it is about a whole model";
    return std::nullopt;
  }
  cell.labels = facts.labels();
  cell.variant = variant_of(about);
  if (!read_devices(table, about, facts, cell, reason) || !read_shape(table, about, facts, cell, reason)) {
    return std::nullopt;
  }
  if (cell.devices == 1 && !cell.one_device) {
    // Kernels that a column of labels tells apart.
    for (const std::string &word : words_of(facts.text({"kernel", "implementation", "library", "backend", "method"}))) {
      cell.variant += word + " ";
    }
  }
  read_passes(about, facts, cell);
  return cell;
}

std::optional<AttentionCell> read_attention_cell(const Table &table, std::size_t row, std::size_t column,
                                                 std::string &reason) {
  const Column &about = table.columns[column];
  const std::string &dimension = about.unit.dimension;
  if (dimension != "1/s" && dimension != "s" && dimension != "FLOP/s" && dimension != "token/s") {
    return std::nullopt;
  }
  for (const char *word : {"ideal", "perfect", "theoretical", "bound"}) {
    if (has_word(about.words, word)) {
      reason = "an ideal and no run, and the table gives no formula for it";
      return std::nullopt;
    }
  }
  constexpr double an_hour_s = 3600.0;
  if (dimension == "s" && about.unit.scale >= an_hour_s) {
    reason = "it is the time of a whole run, of which the number of calls is not known";
    return std::nullopt;
  }
  for (const char *word : {"comm", "communication", "hop", "transfer", "overhead", "exposed"}) {
    if (has_word(about.words, word)) {
      return std::nullopt; // a part of a run
    }
  }
  auto cell = read_attention_setting(table, row, column, reason);
  if (!cell) {
    return std::nullopt;
  }
  cell->quantity = dimension == "1/s"      ? Quantity::rate
                   : dimension == "s"      ? Quantity::time
                   : dimension == "FLOP/s" ? Quantity::flop_rate
                                           : Quantity::token_rate;
  cell->scale = about.unit.scale;
  cell->published = table.number(row, column).value_or(0.0) * cell->scale;
  // FLOP/s are kept per device, tokens/s of all devices.
  const auto devices = static_cast<double>(cell->devices * cell->tensor_degree);
  const auto per_device = says_per_device(about);
  cell->is_rate_unstated = !per_device && devices > 1.0 && cell->quantity == Quantity::flop_rate;
  const double share = cell->quantity == Quantity::flop_rate && !per_device.value_or(true)    ? 1.0 / devices
                       : cell->quantity == Quantity::token_rate && per_device.value_or(false) ? devices
                                                                                              : 1.0;
  cell->published *= share;
  cell->scale *= share;
  if (!(cell->published > 0.0)) {
    reason = "the figure is not above 0";
    return std::nullopt;
  }
  return cell;
}

double flop_of(const AttentionCell &cell) {
  const double passes = (cell.forward ? 1.0 : 0.0) + (cell.backward ? 2.5 : 0.0);
  return passes * problem::forward_flop(cell.attention);
}

} // namespace ringscale::validation
