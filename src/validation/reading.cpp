// SPDX-License-Identifier: Apache-2.0
#include "validation/reading.hpp"

#include <array>
#include <cstdio>

namespace ringscale::validation {

namespace {

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.12g", value);
  return text.data();
}

std::string number(std::int64_t value) { return std::to_string(value); }

const char *name_of(RingKind kind) {
  switch (kind) {
  case RingKind::zigzag:
    return "zigzag ring";
  case RingKind::striped:
    return "striped ring";
  case RingKind::all_gather:
    return "all-gather";
  default:
    return "contiguous ring";
  }
}

} // namespace

std::string reading_of(const AttentionCell &cell, const machine::Machine &machine) {
  const problem::AttentionProblem &attention = cell.attention;
  std::string text = number(cell.devices) + " x " + machine.name;
  if (cell.ring_degree > 1) {
    text += std::string(", ") + name_of(cell.kind) + " of " + number(cell.ring_degree);
  }
  if (cell.ulysses_degree > 1) {
    text += ", all-to-all of " + number(cell.ulysses_degree);
  }
  text += ", batch " + number(attention.batch) + ", " + number(attention.tokens) + " tokens in all, " +
          number(attention.query_heads) + "/" + number(attention.kv_heads) + " heads of " + number(attention.head_dim) +
          ", " + number(cell.element_bytes) + " bytes, " +
          (attention.mask == problem::Mask::causal ? "causal" : "no mask") +
          (cell.forward && cell.backward ? ", forward and backward"
           : cell.backward               ? ", backward"
                                         : ", forward");
  return text + (cell.assumed.empty() ? "" : "; not said and assumed: " + cell.assumed.substr(2));
}

std::string reading_of(const TrainingStep &step, const machine::Machine &machine) {
  const std::string mask = step.causal ? ", causal" : ", no mask";
  if (!(step.global_batch > 0.0)) { // a utilisation asks for no layout
    return machine.name + ": " + number(step.layers) + " layers of " + number(step.hidden) + ", " +
           number(step.tokens) + " tokens" + mask;
  }
  return number(step.devices()) + " x " + machine.name + ": tensor " + number(step.tensor) + ", pipeline " +
         number(step.pipeline) + ", data " + number(step.data) + ", context " + number(step.context) + "; " +
         number(step.layers) + " layers of " + number(step.hidden) + ", " + number(step.tokens) + " tokens, batch " +
         number(step.global_batch) + " (micro " + number(step.micro_batch) + "), " + number(step.element_bytes) +
         " bytes" + mask +
         (step.recompute == Recompute::full        ? ", all recomputed"
          : step.recompute == Recompute::selective ? ", attention recomputed"
                                                   : "");
}

std::string doubt_of(double flop_per_s, const machine::Machine &machine, double element_bytes) {
  const double peak = peak_of_bytes(machine, element_bytes);
  if (flop_per_s <= peak) {
    return "";
  }
  std::array<char, 200> text{};
  std::snprintf(
      text.data(), text.size(),
      "the published figure means %.4g TFLOP/s of a device, beyond its peak of %.4g: the row is read otherwise "
      "than it was meant",
      flop_per_s / 1e12, peak / 1e12);
  return text.data();
}

} // namespace ringscale::validation
