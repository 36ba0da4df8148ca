// SPDX-License-Identifier: Apache-2.0
#include "validation/training_step.hpp"

#include <algorithm>
#include <cmath>

namespace ringscale::validation {

double peak_of_bytes(const machine::Machine &machine, double element_bytes) {
  for (const machine::Arithmetic &arithmetic : machine.roofline.arithmetic) {
    if (static_cast<double>(arithmetic.element_bytes) == element_bytes) {
      return arithmetic.peak_flop_per_s.value;
    }
  }
  return machine.device.peak_flop_per_s.value * (element_bytes < 2.0 ? 2.0 : 1.0);
}

double product_flop(const TrainingStep &step, double sequences) {
  const double layer = step.hidden * step.hidden * (2.0 + 2.0 * step.kv_share + step.feed_forward_products);
  return 2.0 * sequences * step.tokens * (step.layers * layer + step.hidden * step.vocabulary);
}

double attention_flop(const TrainingStep &step, double sequences) {
  const double share = step.causal && !step.scores_materialised ? 0.5 : 1.0;
  return 4.0 * share * sequences * step.tokens * step.tokens * step.hidden * step.layers;
}

double training_seconds(const TrainingStep &step, const machine::Machine &machine, const TrainingConstants &constants) {
  const double bandwidth = machine.roofline.memory_bandwidth_bytes_per_s.value;
  const double products_per_s = peak_of_bytes(machine, step.element_bytes) * constants.product_share;
  const double attention_per_s = peak_of_bytes(machine, 2.0) * constants.attention_share;
  const double split = step.tensor * step.context;
  const double stages = step.pipeline;
  // A stage's share of one micro-batch, forward.
  const double logits_flop = 2.0 * step.micro_batch * step.tokens * step.hidden * step.vocabulary;
  const double layers_flop = product_flop(step, step.micro_batch) - logits_flop;
  const double products_s = layers_flop / (split * stages * products_per_s);
  // Logits are computed once and not recomputed; stages with few layers are taken to make room for them.
  const double logits_s = 3.0 * logits_flop / (split * stages * products_per_s);
  const double attention_s = attention_flop(step, step.micro_batch) / (split * stages * attention_per_s);
  const double elements = step.micro_batch * step.tokens / step.context * step.hidden * step.layers / stages;
  const double undivided = step.sequence_parallel ? 10.0 / step.tensor : 10.0;
  const double scores = step.scores_materialised ? 5.0 * step.heads * step.tokens / (step.hidden * step.tensor) : 0.0;
  // Bytes stored for the backward pass are written once and read once; those of scores among them.
  const double stored_s = 2.0 * elements * (undivided + 24.0 / step.tensor) / bandwidth;
  const double scores_s = 2.0 * elements * scores / bandwidth;
  // Two all-reduces a layer forward, two backward, each 2 (t - 1) / t of the hidden state.
  const double message_bytes = 2.0 * 2.0 * (step.tensor - 1.0) / step.tensor * step.element_bytes * elements;
  const machine::Link &link = machine.links.front();
  const double messages_s = constants.exposed_share * message_bytes / link.bandwidth_bytes_per_s.value;
  const double again = step.recompute == Recompute::full ? 1.0 : 0.0;
  const double core_again = step.recompute == Recompute::none ? 0.0 : 1.0;
  const double gathered_again = step.sequence_parallel ? 0.25 : again;
  const double micro_s = (3.0 + again) * products_s + (3.0 + core_again) * attention_s + (2.0 + again) * stored_s +
                         (2.0 + core_again) * scores_s + (2.0 + gathered_again) * messages_s;
  const double micro_batches = std::max(1.0, step.global_batch / (step.data * step.micro_batch));
  const double parameters = product_flop(step, 1.0) / (2.0 * step.tokens);
  constexpr double bytes_of_parameter = 18.0;
  const double optimiser_s = 2.0 * bytes_of_parameter * parameters / (step.tensor * stages * bandwidth);
  const double bubble = (step.pipeline - 1.0) / step.interleaved;
  return micro_batches * (micro_s + logits_s) + bubble * micro_s + optimiser_s;
}

double state_bytes(const TrainingStep &step) {
  constexpr double bytes_of_parameter = 18.0; // weights, gradients, master weights and two moments
  const double parameters =
      step.layers * step.hidden * step.hidden * (2.0 + 2.0 * step.kv_share + step.feed_forward_products);
  return bytes_of_parameter * parameters / (step.tensor * step.pipeline);
}

double activation_bytes(const TrainingStep &step) {
  const double elements = step.tokens / step.context * step.micro_batch * step.hidden * step.layers;
  const double interleaving =
      step.interleaved > 1.0 ? 1.0 + (step.pipeline - 1.0) / (step.pipeline * step.interleaved) : 1.0;
  if (step.recompute == Recompute::full) {
    return 2.0 * elements / (step.sequence_parallel ? step.tensor : 1.0) * interleaving;
  }
  const double undivided = step.sequence_parallel ? 10.0 / step.tensor : 10.0;
  const bool keeps_scores = step.scores_materialised && step.recompute == Recompute::none;
  const double scores = keeps_scores ? 5.0 * step.heads * step.tokens / (step.hidden * step.tensor) : 0.0;
  return elements * (undivided + 24.0 / step.tensor + scores) * interleaving;
}

double utilisation(const TrainingStep &step, const TrainingConstants &constants) {
  const double products = product_flop(step, 1.0);
  const double attention = attention_flop(step, 1.0);
  return (products + attention) / (products / constants.product_share + attention / constants.attention_share);
}

} // namespace ringscale::validation
