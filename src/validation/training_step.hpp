// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "machine/machine.hpp"

namespace ringscale::validation {

/// What a training step recomputes in its backward pass: nothing, the attention core, or every layer.
enum class Recompute { none, selective, full };

/// One training step of a decoder-only transformer on tensor x pipeline x data x context parallel devices.
struct TrainingStep {
  double layers = 1.0;
  double hidden = 0.0;
  double heads = 1.0;
  double kv_share = 1.0;              ///< key/value heads over query heads
  double feed_forward_products = 8.0; ///< numbers in the feed-forward matrices over hidden^2
  double vocabulary = 0.0;
  double tokens = 0.0;       ///< of a sequence
  double global_batch = 0.0; ///< sequences
  double micro_batch = 1.0;
  double tensor = 1.0, pipeline = 1.0, data = 1.0, context = 1.0;
  double interleaved = 1.0; ///< chunks of layers a stage
  double element_bytes = 2.0;
  Recompute recompute = Recompute::none;
  bool sequence_parallel = false; ///< norms and dropout divided among the tensor-parallel devices
  bool scores_materialised = false;
  bool causal = true;

  double devices() const { return tensor * pipeline * data * context; }
  bool operator==(const TrainingStep &) const = default;
};

/// Shares of what the machine file states that a training framework reaches.
struct TrainingConstants {
  double product_share = 0.6;   ///< of the peak, matrix products of weights
  double attention_share = 0.5; ///< of the peak of 2-byte elements, attention
  double exposed_share = 0.7;   ///< wait for messages of tensor parallelism over their time at the full bandwidth
};

/// FLOPs of one forward pass of `sequences`: 2 for each weight and token, and 4 tokens hidden a token and layer for
/// attention, half of it under a causal mask that kernels skip. Backward is twice that.
double product_flop(const TrainingStep &step, double sequences);
double attention_flop(const TrainingStep &step, double sequences);

/// Seconds of a step: micro-batches and the bubble (p - 1) / m of Narayanan et al. 2021, each with products, attention,
/// memory traffic of what is stored (Korthikanti et al. 2022, section 4) and tensor-parallel messages, three times the
/// forward pass and what is recomputed; then the optimiser's traffic.
double training_seconds(const TrainingStep &step, const machine::Machine &machine, const TrainingConstants &constants);

/// Bytes of a device of the first pipeline stage: 18 a parameter of its layers (Korthikanti et al. 2022, figure 1: 12 L
/// h^2 of them), and what is stored for the backward pass, s b h L (10 + 24 / t + 5 a s / (h t)) without recomputation,
/// s b h L 34 / t with sequence parallelism and selective recomputation, 2 s b h L / t with all recomputed, times
/// 1 + (p - 1) / (p m) for interleaved stages; scores only where they are stored.
double state_bytes(const TrainingStep &step);
double activation_bytes(const TrainingStep &step);

/// Model FLOPs (forward and backward, no recomputation) over peak, of a step whose time is its products and attention
/// alone: what is left of a table that gives context and model size and no layout.
double utilisation(const TrainingStep &step, const TrainingConstants &constants);

/// Peak for products of elements of this size: that of the machine, twice the 2-byte one for 1 byte without an entry.
double peak_of_bytes(const machine::Machine &machine, double element_bytes);

} // namespace ringscale::validation
