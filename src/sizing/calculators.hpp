// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace ringscale::sizing {

/// The sizing functions that the documents on ring attention print, run as printed, faults included, and beside them
/// what they would have to return. docs/sizing.md has the formula of each.

using Value = std::variant<std::int64_t, double, bool, std::string, std::vector<std::int64_t>>;
using NamedValues = std::vector<std::pair<std::string, Value>>;

/// What a function returned, or the error that ended it.
struct Outcome {
  NamedValues values;
  std::string error; ///< "ZeroDivisionError: ..." as printed; a reason where the corrected one refuses
};

struct Calculation {
  std::string calculator;
  NamedValues arguments;
  Outcome as_printed;
  Outcome corrected;
  std::string difference;    ///< one sentence or two
  std::string document_says; ///< of the call in the document, if it is one
};

/// Names in the order of the documents.
std::vector<std::string> calculator_names();

/// Runs `calculator` on "name=value" texts; what is left out takes the document's default. Throws InvalidInput for an
/// unknown calculator or argument, a missing or repeated one, a word where a number belongs, or one out of range (0 is
/// allowed: it shows what is printed then).
Calculation calculate(const std::string &calculator, const std::vector<std::string> &arguments);

/// The calls that the documents show and those that show their faults, with what the documents say of them.
std::vector<Calculation> documented_calculations();

// As printed. Whole numbers are divided as Python's // does.
Outcome printed_ring_config(std::int64_t target_tokens, std::int64_t available_devices, double memory_per_device_gb);
Outcome printed_optimal_ring_size(std::int64_t seq_len, std::int64_t num_gpus, double target_memory_per_gpu_gb);
Outcome printed_block_size(std::int64_t ring_size, std::int64_t seq_len, const std::string &model_size);
Outcome printed_segment_lengths(std::int64_t seq_len, std::int64_t ring_size, std::int64_t num_segments);
Outcome printed_ring_gpus(std::int64_t seq_len);
Outcome printed_batch_size(std::int64_t seq_len, std::int64_t max_tokens, std::int64_t max_batch_size);
Outcome printed_accumulation_steps(std::int64_t target_batch_size, std::int64_t actual_batch_size);

// Corrected.
Outcome corrected_ring_config(std::int64_t target_tokens, std::int64_t available_devices, double memory_per_device_gb);
Outcome corrected_optimal_ring_size(std::int64_t seq_len, std::int64_t num_gpus, double target_memory_per_gpu_gb);
Outcome corrected_block_size(std::int64_t ring_size, std::int64_t seq_len, const std::string &model_size);
Outcome corrected_segment_lengths(std::int64_t seq_len, std::int64_t ring_size, std::int64_t num_segments);
Outcome corrected_ring_gpus(std::int64_t seq_len);
Outcome corrected_batch_size(std::int64_t seq_len, std::int64_t max_tokens, std::int64_t max_batch_size);
Outcome corrected_accumulation_steps(std::int64_t target_batch_size, std::int64_t actual_batch_size);

/// Base of optimize_block_size by the document's name of a model's size; throws InvalidInput listing the three.
std::int64_t base_block_tokens(const std::string &model_size);

/// Whether a result has this name, and its value; throws InvalidInput when it has none such.
const Value &value_of(const NamedValues &values, const std::string &name);

/// "4000", "2.00GB", "[2048, 4096]".
std::string text_of(const Value &value);

} // namespace ringscale::sizing
