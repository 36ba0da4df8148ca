// SPDX-License-Identifier: Apache-2.0
#include "validation/setting_names.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace ringscale::validation {

namespace {

using Names = std::vector<std::string_view>;

/// The names that the models ask for, each with further ones that mean the same.
const std::vector<Names> &settings() {
  static const std::vector<Names> list{
      {"sequence_tokens", "seq", "seqlen", "sequence", "seq_length", "sequence_len", "context", "context_length",
       "ctx_len", "context_len"},
      {"seq_len", "max_seq_len", "max_sequence_length"},
      {"query_heads", "heads", "num_heads", "num_attention_heads", "nheads", "n_head", "num_query_heads", "q_heads"},
      {"kv_heads", "num_key_value_heads", "n_kv_heads", "num_query_groups"},
      {"head_dim", "headdim", "head_size", "head_dimension", "d_head", "hdim"},
      {"hidden_size", "hidden_dim", "d_model", "model_dim"},
      {"layers", "n_layers", "num_hidden_layers", "n_layer"},
      {"ffn_size", "intermediate_size", "d_ff"},
      {"gpus", "gpu_count", "gpu_num", "n_gpu", "number_of_gpus", "num_gpu", "total_gpus"},
      {"tensor_parallel", "tp", "tp_size", "tp_degree", "tensor_parallel_size", "tensor_model_parallel_size"},
      {"pipeline_parallel", "pp", "pp_size", "pp_degree", "pipeline_parallel_size", "pipeline_model_parallel_size"},
      {"data_parallel", "dp", "dp_size", "dp_degree", "data_parallel_size"},
      {"context_parallel", "cp", "cp_size", "cp_degree", "sp_size", "sp_degree", "context_parallel_size"},
      {"ring_degree", "ring_parallel"},
      {"ulysses_degree", "hp_size"},
      {"batch_size", "batch", "bsz", "batchsize"},
      {"micro_batch", "micro_batch_size", "mbs"},
      {"global_batch", "global_batch_size", "gbs"}};
  return list;
}

/// Symbols of the field, lower case, as they stand before "=" in a text.
const Names &symbols_of(std::string_view name) {
  static const std::vector<std::pair<std::string_view, Names>> list{{"sequence_tokens", {"s", "n", "l"}},
                                                                    {"query_heads", {"h", "nh"}},
                                                                    {"head_dim", {"d", "hd"}},
                                                                    {"batch_size", {"b", "bs"}}};
  static const Names none;
  const auto found = std::find_if(list.begin(), list.end(), [&](const auto &entry) { return entry.first == name; });
  return found == list.end() ? none : found->second;
}

} // namespace

const std::vector<std::string_view> &names_of_setting(std::string_view name) {
  for (const Names &names : settings()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      return names;
    }
  }
  static thread_local Names alone;
  alone = {name};
  return alone;
}

bool is_setting_among(std::string_view name, std::string_view list) {
  const auto &names = names_of_setting(name);
  const auto is_listed = [&](std::string_view one) {
    std::string needle(1, ' ');
    needle.append(one).push_back(' ');
    return list.find(needle) != std::string_view::npos;
  };
  return !name.empty() && (is_listed(name) || std::any_of(names.begin(), names.end(), is_listed));
}

std::optional<double> setting_in_text(std::string_view text, std::string_view name) {
  const auto &names = names_of_setting(name);
  const auto is_name = [&](std::string word, bool is_equation) {
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    if (is_equation && std::find(symbols_of(names.front()).begin(), symbols_of(names.front()).end(), word) !=
                           symbols_of(names.front()).end()) {
      return true;
    }
    const bool is_short = word.size() < 2;
    return !is_short && (word == name || std::find(names.begin(), names.end(), word) != names.end());
  };
  std::optional<double> found;
  std::string before;
  bool is_equation = false;
  for (std::size_t place = 0; place < text.size();) {
    const std::size_t end = std::min(text.find_first_of(" ,;()=:", place), text.size());
    const std::string word(text.substr(place, end - place));
    if (!word.empty()) {
      const auto count = count_in_text(word);
      if (count && !before.empty() && is_name(before, is_equation)) {
        if (found && *found != *count) {
          return std::nullopt;
        }
        found = count;
      }
      before = word;
      is_equation = false;
    }
    is_equation = is_equation || (end < text.size() && (text[end] == '=' || text[end] == ':'));
    if (end < text.size() && (text[end] == ',' || text[end] == ';')) {
      before.clear();
    }
    place = end + 1;
  }
  return found;
}

std::optional<double> count_in_text(std::string_view text) {
  std::string digits;
  std::size_t place = 0;
  for (; place < text.size(); ++place) {
    const char letter = text[place];
    const bool groups = letter == ',' && !digits.empty() && place + 3 < text.size() &&
                        std::all_of(text.begin() + static_cast<std::ptrdiff_t>(place) + 1,
                                    text.begin() + static_cast<std::ptrdiff_t>(place) + 4,
                                    [](char digit) { return digit >= '0' && digit <= '9'; });
    if ((letter >= '0' && letter <= '9') || (letter == '.' && !digits.empty())) {
      digits.push_back(letter);
    } else if (!groups) {
      break;
    }
  }
  double value = 0.0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty()) {
    return std::nullopt;
  }
  std::string_view rest = text.substr(place);
  while (rest.starts_with(' ')) {
    rest.remove_prefix(1);
  }
  const bool is_power = value >= 1.0 && std::exp2(std::round(std::log2(value))) == value;
  constexpr double eighths = 8.0;
  if (rest.starts_with("K") || rest.starts_with("k")) {
    value *= is_power || std::fmod(value, eighths) == 0.0 || value < 1.0 ? 1024.0 : 1e3;
    rest.remove_prefix(1);
  } else if (rest.starts_with("M")) {
    value *= is_power ? 1048576.0 : 1e6;
    rest.remove_prefix(1);
  }
  while (rest.starts_with(' ')) {
    rest.remove_prefix(1);
  }
  return rest.empty() || rest == "tokens" || rest == "tok" ? std::optional(value) : std::nullopt;
}

} // namespace ringscale::validation
