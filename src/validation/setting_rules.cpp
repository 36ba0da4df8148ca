// SPDX-License-Identifier: Apache-2.0
#include "validation/setting_rules.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <string_view>

#include "problem/invalid_input.hpp"
#include "report/json.hpp"
#include "validation/setting_names.hpp"
#include "validation/table_facts.hpp"
#include "validation/unit.hpp"

namespace ringscale::validation {

using problem::InvalidInput;
using report::Json;

namespace {

/// Names that the models read as counts, each between blanks.
constexpr std::string_view counts =
    " gpus devices world_size num_gpus ranks gpus_product devices_in_name cp sp tp pp dp tensor_parallel "
    "pipeline_parallel context_parallel data_parallel interleaved_stages virtual_stages ring_degree ring_size "
    "ulysses_degree all_to_all_degree ulysses_size query_heads heads num_heads head_num n_heads attention_heads "
    "kv_heads num_kv_heads key_value_heads kv_group group_num gqa_group head_dim head_size dim_head headdim "
    "hidden_size hidden embed_dim ffn_size feed_forward_size ffn_hidden_size layers num_layers vocabulary vocab_size "
    "batch_size batch bs micro_batch global_batch sequence_tokens tokens_total total_tokens seq_len seqlen "
    "sequence_length context_tokens tokens length_tokens tokens_per_gpu tokens_per_device chunk_tokens local_tokens "
    "block_tokens element_bytes ";
/// Further names that are read as numbers.
constexpr std::string_view numbers = " context_ktokens sequence_ktokens model_params_b parameters_b model_size_b ";

bool is_among(const std::string &name, std::string_view list) { return is_setting_among(name, list); }

/// What a column of other names counts, by its unit. An average of counts need not be whole.
bool counts_by_unit(const Column &column) {
  const bool average = has_word(column.words, "mean") || has_word(column.words, "average") ||
                       has_word(column.words, "avg") || has_word(column.words, "median");
  return !average && is_among(column.unit.dimension, " device head layer stage degree sequence token ");
}

/// A line that says what is wrong with a count in base units, or nothing.
std::string fault_of_count(double value) {
  const double rounding = 1e-9 + 1e-15 * value; // of a unit's factor: 8.192 in 1e3 tokens
  if (!(value <= most_of_a_count)) {
    return "is too large; counts go up to 2^50";
  }
  if (!(value >= 1.0) || !(std::abs(value - std::round(value)) <= rounding)) {
    return "must be a whole number of at least 1";
  }
  return "";
}

std::string shown(const Json &value) { return value.is_structured() ? "a list" : value.dump(); }

void check_count(double value, double scale, const std::string &where) {
  const std::string fault = fault_of_count(value * scale);
  if (!fault.empty()) {
    throw InvalidInput(where + " is " + Json(value).dump() + "; it " +
                       (fault.starts_with("is") ? fault : fault + (scale == 1.0 ? "" : " in base units")));
  }
}

void check_size(double value, const std::string &where) {
  constexpr double most = 1e60;
  if (!(std::abs(value) <= most) || (value != 0.0 && !(std::abs(value) >= 1.0 / most))) {
    throw InvalidInput(where + " is " + Json(value).dump() +
                       " in base units; magnitudes from 1e-60 to 1e60, and 0, can be computed with");
  }
}

/// Keys whose texts the models read word by word.
struct Vocabulary {
  std::string_view key;
  std::initializer_list<std::string_view> words;
  std::initializer_list<std::string_view> fillers; ///< that may stand beside a word
};

/// What changes the work of attention and no model knows: windows, sparsity, dilation. 0, 1, null, false and "none"
/// change nothing.
void check_not_modelled(const std::vector<std::string> &words, const Json &value, const std::string &where) {
  static constexpr std::array<std::string_view, 6> names{"window",  "sparsity", "sparse",
                                                         "density", "dilation", "dilated"};
  const bool is_named = std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    return has_word(words, name) && !has_word(words, "note");
  });
  const bool is_neutral = value.is_null() || value == false || value == 0 || value == 1 || value == 0.0 ||
                          value == 1.0 || value == "none" || value == "no" || value == "dense" || value == "full";
  if (is_named && !is_neutral) {
    throw InvalidInput(where + " is " + shown(value) + "; windows, sparsity and dilation are not modelled");
  }
}

const Vocabulary *vocabulary_of(std::string_view key) {
  static const std::array<Vocabulary, 5> list{
      {{"mask",
        {"causal", "non-causal", "noncausal", "none", "no", "full", "dense", "bidirectional", "no-causal",
         "without-causal"},
        {"mask", "attention"}},
       {"causal", {"causal", "non-causal", "noncausal", "yes", "no", "true", "false"}, {"mask", "attention"}},
       {"pass", {"fwd", "forward", "bwd", "backward"}, {"only", "and", "plus", "pass", "passes", "both"}},
       {"dtype",
        {"float32", "fp32", "tfloat32", "tf32", "bfloat16", "bf16", "float16", "fp16", "half", "float8", "fp8", "e4m3",
         "e5m2"},
        {}},
       {"sequence_is", {"global", "local"}, {}}}};
  const auto *found = std::find_if(list.begin(), list.end(), [&](const Vocabulary &entry) { return entry.key == key; });
  return found == list.end() ? nullptr : found;
}

/// Masks are one phrase ("non-causal"), the others sets of words.
bool is_in_vocabulary(const Vocabulary &vocabulary, const std::string &text) {
  const auto among = [](const std::string &word, std::initializer_list<std::string_view> list) {
    return std::find(list.begin(), list.end(), word) != list.end();
  };
  std::vector<std::string> words;
  for (std::string &word : words_of(text)) {
    if (!among(word, vocabulary.fillers)) {
      words.push_back(std::move(word));
    }
  }
  if (vocabulary.key == "mask" || vocabulary.key == "causal") {
    const std::string phrase = words.size() == 2 ? words[0] + "-" + words[1] : words.size() == 1 ? words[0] : "";
    return among(phrase, vocabulary.words);
  }
  return !words.empty() && std::all_of(words.begin(), words.end(),
                                       [&](const std::string &word) { return among(word, vocabulary.words); });
}

void check_word(const Vocabulary &vocabulary, const Json &value, const std::string &where) {
  const bool truth = vocabulary.key == "causal" && value.is_boolean();
  if (value.is_null() || truth || (value.is_string() && is_in_vocabulary(vocabulary, value.get<std::string>()))) {
    return;
  }
  std::string allowed;
  for (const std::string_view word : vocabulary.words) {
    allowed += (allowed.empty() ? "" : ", ") + std::string(word);
  }
  throw InvalidInput(where + " is " + shown(value) + "; known words: " + allowed);
}

void check_setup(const Table &table) {
  for (const auto &[key, value] : table.setup.items()) {
    const std::string where = table.where + ".setup." + key;
    check_not_modelled(words_of(key), value, where);
    const bool counted = is_among(key, counts);
    if (value.is_number() && counted) {
      check_count(value.get<double>(), 1.0, where);
    } else if (value.is_number()) {
      continue;
    } else if ((counted || is_among(key, numbers)) && !value.is_null()) {
      throw InvalidInput(where + " is " + shown(value) + "; it must be a number or null");
    }
    if (const Vocabulary *vocabulary = vocabulary_of(key)) {
      check_word(*vocabulary, value, where);
    }
  }
}

Json as_json(const Value &value) {
  return std::visit(
      [](const auto &held) -> Json {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::monostate>) {
          return nullptr;
        } else {
          return held;
        }
      },
      value);
}

void check_column(const Table &table, std::size_t index) {
  const Column &column = table.columns[index];
  const bool counted = !is_result(column) && (is_among(column.name, counts) || counts_by_unit(column));
  const Vocabulary *vocabulary = column.unit.dimension == "text" ? vocabulary_of(column.name) : nullptr;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const std::string where = table.where + ".rows[" + std::to_string(row) + "]." + column.name;
    if (const auto number = table.number(row, index); number && counted) {
      check_count(*number, column.unit.scale, where);
    }
    if (!is_result(column) || column.unit.dimension == "text") {
      check_not_modelled(column.words, as_json(table.rows[row].values[index]), where);
    }
    if (vocabulary != nullptr) {
      check_word(*vocabulary, as_json(table.rows[row].values[index]), where);
    }
  }
}

} // namespace

void check_sizes(const Table &table) {
  for (const auto &[key, value] : table.setup.items()) {
    if (value.is_number()) {
      check_size(value.get<double>(), table.where + ".setup." + key);
    }
  }
  for (std::size_t index = 0; index < table.columns.size(); ++index) {
    const Column &column = table.columns[index];
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      if (const auto number = table.number(row, index)) {
        check_size(*number * column.unit.scale, table.where + ".rows[" + std::to_string(row) + "]." + column.name);
      }
    }
  }
}

std::string unclear_setting(const Table &table) {
  try {
    check_setup(table);
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      check_column(table, column);
    }
  } catch (const InvalidInput &fault) {
    return fault.what();
  }
  return "";
}

void require_plain_text(const std::string &text, const std::string &where) {
  for (std::size_t place = 0; place < text.size(); ++place) {
    const auto letter = static_cast<unsigned char>(text[place]);
    const auto next = static_cast<unsigned char>(place + 1 < text.size() ? text[place + 1] : 0);
    // U+0080 to U+009F are C2 80 to C2 9F in UTF-8.
    if (letter < 0x20 || letter == 0x7f || (letter == 0xc2 && next >= 0x80 && next <= 0x9f)) {
      throw InvalidInput(where + " has a line break or another control character at letter " +
                         std::to_string(place + 1) + "; it must be one line of plain text");
    }
  }
}

double bytes_of_dtype(const std::string &dtype) {
  constexpr double of_half_precision = 2.0;
  return bytes_of_words(words_of(dtype)).value_or(of_half_precision);
}

std::optional<double> bytes_of_words(const std::vector<std::string> &words) {
  const auto any = [&](std::initializer_list<std::string_view> list) {
    return std::any_of(list.begin(), list.end(), [&](std::string_view word) { return has_word(words, word); });
  };
  if (any({"fp32", "float32", "tf32", "tfloat32"})) {
    return 4.0;
  }
  if (any({"fp8", "float8", "e4m3", "e5m2"})) {
    return 1.0;
  }
  return any({"fp16", "float16", "half", "bf16", "bfloat16"}) ? std::optional(2.0) : std::nullopt;
}

} // namespace ringscale::validation
