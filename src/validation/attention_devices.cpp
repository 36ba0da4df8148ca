// SPDX-License-Identifier: Apache-2.0
#include "validation/attention_devices.hpp"

#include <algorithm>
#include <cmath>

#include "validation/device_words.hpp"
#include "validation/setting_rules.hpp"

namespace ringscale::validation {

std::optional<RingKind> ring_kind_in(const std::vector<std::string> &words) {
  for (const std::string &word : words) {
    if (word == "zigzag" || word == "burst" || word == "balanced" || word == "megatron") {
      return RingKind::zigzag;
    }
    if (word == "stripe" || word == "striped") {
      return RingKind::striped;
    }
    if (word == "gather" || word == "allgather" || word == "llama3") {
      return RingKind::all_gather;
    }
    if (word == "ring" || word == "basic" || word == "contiguous" || word == "naive") {
      return RingKind::contiguous;
    }
  }
  return std::nullopt;
}

bool is_all_to_all(const std::vector<std::string> &words) {
  return has_word(words, "ulysses") || has_word(words, "a2a") || has_word(words, "alltoall");
}

namespace {

std::int64_t whole(double value) { return std::llround(value); }

bool is_one_device(const std::vector<std::string> &words) {
  return has_word(words, "single") || has_word(words, "1gpu") || (!words.empty() && words.front() == "one");
}

/// Words that one device has no use for; "naive" and "basic" may be kernels.
bool names_many_devices(const std::vector<std::string> &words) {
  return is_all_to_all(words) || std::any_of(words.begin(), words.end(), [](const std::string &word) {
           return word != "naive" && word != "basic" && word != "gather" && word != "llama3" && word != "megatron" &&
                  word != "contiguous" && word != "balanced" && ring_kind_in({word}).has_value();
         });
}

/// Leaves the devices that divide one sequence: those of context parallelism where they are stated, else all over those
/// of tensor parallelism, which divide the heads.
bool divide_by_other_parallelism(const RowFacts &facts, std::optional<double> &devices, std::int64_t &tensor_degree,
                                 std::string &reason) {
  const auto context = facts.number({"cp", "sp", "context_parallel", "sequence_parallel"});
  const double tensor = facts.number({"tensor_parallel", "tp"}).value_or(1.0);
  const double others =
      facts.number({"pipeline_parallel", "pp"}).value_or(1.0) * facts.number({"data_parallel", "dp"}).value_or(1.0);
  if (others > 1.0) {
    reason = "attention alone beside pipeline or data parallelism is not modelled";
    return false;
  }
  const double divided = devices ? *devices / tensor : context.value_or(1.0);
  if (devices && context && divided != *context) {
    reason = "context x tensor parallel devices are not all devices of the row";
    return false;
  }
  if (devices && (divided < 1.0 || divided != std::floor(divided))) {
    reason = "tensor parallelism does not divide the devices";
    return false;
  }
  devices = devices ? std::optional(divided) : context;
  tensor_degree = whole(tensor);
  return true;
}

} // namespace

bool read_devices(const Table &table, const Column &column, const RowFacts &facts, AttentionCell &cell,
                  std::string &reason) {
  const bool one_by_name = is_one_device(column.words) || devices_in_name(column.words) == 1.0;
  const DeviceCount of_row = devices_of_row(table, cell.row);
  const auto named = devices_in_name(column.words);
  auto devices = named && !one_by_name ? named : of_row.devices;
  if (!divide_by_other_parallelism(facts, devices, cell.tensor_degree, reason)) {
    return false;
  }
  const auto ring = facts.number({"ring_degree", "ring_size"});
  const auto ulysses = facts.number({"ulysses_degree", "all_to_all_degree", "ulysses_size"});
  if (!devices && !ring && !ulysses) {
    devices =
        facts.setting("device", {"ulysses", "degree", "tensor", "pipeline", "data", "tp", "pp", "dp", "per", "node"});
  }
  std::vector<std::string> words = column.words;
  for (const std::string &word : facts.label_words()) {
    words.push_back(word);
  }
  const bool is_unsaid = !devices && !ring && !ulysses && !one_by_name;
  if (is_unsaid && of_row.is_unclear) {
    reason = std::string(unclear_devices);
    return false;
  }
  if (is_unsaid) {
    cell.assumed += ", one device";
  }
  if (is_unsaid && (names_many_devices(words) || names_many_devices(words_of(table.title)))) {
    reason = "the row and the setup give no number of devices";
    return false;
  }
  const double all = devices.value_or(ring.value_or(1.0) * ulysses.value_or(1.0));
  if (!(all <= most_of_a_count)) {
    reason = "ring degree x all-to-all degree is beyond 2^50 devices";
    return false;
  }
  cell.devices = whole(all);
  cell.one_device = one_by_name && cell.devices > 1;
  if (cell.one_device || cell.devices == 1) {
    cell.devices = 1;
    return true;
  }
  const bool all_to_all = is_all_to_all(column.words) || (!ulysses && !ring && is_all_to_all(words));
  cell.ulysses_degree = whole(ulysses.value_or(all_to_all ? static_cast<double>(cell.devices) : 1.0));
  cell.ring_degree = cell.devices / std::max<std::int64_t>(1, cell.ulysses_degree);
  if (cell.ulysses_degree < 1 || cell.ring_degree * cell.ulysses_degree != cell.devices) {
    reason = "ring and all-to-all degree do not multiply to the devices";
    return false;
  }
  cell.kind = ring_kind_in(column.words)
                  .value_or(ring_kind_in(words).value_or(
                      ring_kind_in(words_of(facts.text({"implementation", "method", "schedule"})))
                          .value_or(RingKind::contiguous)));
  return true;
}

} // namespace ringscale::validation
