// SPDX-License-Identifier: Apache-2.0
#include "sizing/calculator_differences.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "sizing/document_device.hpp"

namespace ringscale::sizing {

namespace {

std::int64_t integer(const NamedValues &values, const std::string &name) {
  return std::get<std::int64_t>(value_of(values, name));
}

std::string shown(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

std::string sentences(const std::vector<std::string> &parts) {
  std::string text;
  for (const std::string &part : parts) {
    text += (text.empty() ? "" : " ") + part;
  }
  return text.empty() ? "The same." : text;
}

/// Of a call that either of the two ends: what to say instead of comparing.
std::string of_failures(const Calculation &calculation, const std::string &cause) {
  if (!calculation.corrected.error.empty()) {
    return "The corrected one refuses: " + calculation.corrected.error + ".";
  }
  return calculation.as_printed.error.empty() ? "" : cause;
}

} // namespace

std::string ring_config_difference(const Calculation &calculation) {
  const std::string failure = of_failures(
      calculation, "More devices than tokens make a chunk of 0, by which it divides; corrected, a token has "
                   "at most one device and the others stay idle.");
  if (!failure.empty()) {
    return failure;
  }
  const NamedValues &printed = calculation.as_printed.values;
  const NamedValues &corrected = calculation.corrected.values;
  const std::int64_t tokens = integer(calculation.arguments, "target_tokens");
  const std::int64_t devices = integer(calculation.arguments, "available_devices");
  const std::int64_t ring_size = integer(printed, "ring_size");
  const std::int64_t left_out = tokens - ring_size * integer(printed, "chunk_size");
  const double printed_s = std::strtod(text_of(value_of(printed, "processing_time_estimate")).c_str(), nullptr);
  const double corrected_s = std::get<double>(value_of(corrected, "time_s"));
  std::vector<std::string> parts;
  if (ring_size > devices) {
    parts.push_back("It asks for " + std::to_string(ring_size) + " devices where there are " + std::to_string(devices) +
                    ", since a table of chunk lengths, not the memory, ends the chunk.");
  }
  if (left_out > 0) {
    parts.push_back("Dividing down leaves " + std::to_string(left_out) + " tokens on no device.");
  }
  const std::int64_t needed = integer(corrected, "devices_needed");
  parts.push_back(
      "Counted in tensors, " +
      (needed > 0 ? std::to_string(needed) + " devices hold the tokens" : "no number of devices holds them") +
      "; 3 ms a chunk leaves out that work grows with the square of the tokens: " + shown(corrected_s) +
      " s at the documents' own rate of a device, " + shown(corrected_s / printed_s) + " times as much.");
  return sentences(parts);
}

std::string optimal_ring_size_difference(const Calculation &calculation) {
  const std::string failure = of_failures(calculation, "A target of 0 GB divides by 0; corrected, nothing fits in it.");
  if (!failure.empty()) {
    return failure;
  }
  const std::int64_t printed = integer(calculation.as_printed.values, "ring_size");
  const std::int64_t needed = integer(calculation.corrected.values, "needed_ring_size");
  const std::int64_t gpus = integer(calculation.arguments, "num_gpus");
  std::vector<std::string> parts;
  if (printed != needed) {
    const bool capped = needed > gpus || needed == 0;
    parts.push_back("It divides down, at 4194 bytes a token, so devices may hold more than the target; divided up, at "
                    "the " +
                    shown(document_bytes_per_token()) + " bytes a token of a ring's tensors, " +
                    (needed > 0 ? std::to_string(needed) + " are needed." : "no number of devices is enough."));
    if (capped) {
      parts.push_back("The cap at " + std::to_string(gpus) + " devices is silent as printed.");
    }
  }
  return sentences(parts);
}

std::string block_size_difference(const Calculation &calculation) {
  const std::string failure = of_failures(calculation, "A ring of 0 divides by 0.");
  if (!failure.empty()) {
    return failure;
  }
  const std::int64_t printed = integer(calculation.as_printed.values, "block_size");
  const std::int64_t corrected = integer(calculation.corrected.values, "block_size");
  if (printed == corrected) {
    return "The same.";
  }
  return printed > corrected ? "The floor of 256 is longer than the " + std::to_string(corrected) +
                                   " tokens of a device; a block ends there."
                             : "The length of a device is divided up, not down.";
}

std::string segment_lengths_difference(const Calculation &calculation) {
  const std::string failure = of_failures(calculation, "A ring of 0 divides by 0.");
  if (!failure.empty()) {
    return failure;
  }
  const auto &printed = std::get<std::vector<std::int64_t>>(value_of(calculation.as_printed.values, "segment_lengths"));
  const auto &corrected =
      std::get<std::vector<std::int64_t>>(value_of(calculation.corrected.values, "segment_lengths"));
  const std::int64_t local = integer(calculation.arguments, "seq_len") / integer(calculation.arguments, "ring_size");
  const std::int64_t padding = integer(calculation.corrected.values, "padding_tokens");
  if (printed == corrected && padding == 0) {
    return "The same.";
  }
  std::vector<std::string> parts;
  if (!printed.empty() && printed.front() == 0) {
    parts.emplace_back("Fewer than 4 tokens a device make segments of 0 tokens.");
  } else {
    std::string rests;
    for (const std::int64_t length : printed) {
      rests += (rests.empty() ? "" : ", ") + std::to_string(local % length);
    }
    parts.push_back("The " + std::to_string(local) + " tokens of a device leave " + rests +
                    " over, so segments reach across devices; corrected lengths divide it.");
  }
  if (padding > 0) {
    parts.push_back("For that " + std::to_string(padding) + " tokens are added in all.");
  }
  return sentences(parts);
}

std::string ring_gpus_difference(const Calculation &calculation) {
  const std::string failure = of_failures(calculation, "");
  if (!failure.empty()) {
    return failure;
  }
  const std::int64_t printed = integer(calculation.as_printed.values, "ring_gpus_needed");
  const std::int64_t corrected = integer(calculation.corrected.values, "ring_gpus_needed");
  if (printed == corrected) {
    return "The same.";
  }
  return printed == 0 ? "Below 15 million tokens it divides down to no device at all."
                      : "15 million tokens do not fit 80 GB: one layer's tensors in a ring take " +
                            shown(15e6 * document_bytes_per_token() / 1e9) + " GB; and it divides down.";
}

std::string batch_size_difference(const Calculation &calculation) {
  const std::string failure = of_failures(calculation, "A length of 0 divides by 0.");
  if (!failure.empty()) {
    return failure;
  }
  const bool same =
      integer(calculation.as_printed.values, "batch_size") == integer(calculation.corrected.values, "batch_size");
  return same ? "The same."
              : "A sequence longer than max_tokens gets a batch of 0, which no loop can step by; corrected it is 1, "
                "over "
                "the budget, and says so.";
}

std::string accumulation_steps_difference(const Calculation &calculation) {
  const std::string failure = of_failures(calculation, "A batch of 0 divides by 0.");
  if (!failure.empty()) {
    return failure;
  }
  const bool same = integer(calculation.as_printed.values, "accumulation_steps") ==
                    integer(calculation.corrected.values, "accumulation_steps");
  return same ? "The same." : "Divided down, the steps stay below the batch asked for; corrected they are divided up.";
}

} // namespace ringscale::sizing
