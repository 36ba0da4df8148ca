// SPDX-License-Identifier: Apache-2.0
#include "ring/ring_options.hpp"

#include <array>
#include <string>
#include <utility>

#include "problem/invalid_input.hpp"
#include "problem/words.hpp"
#include "ring/checkpointed_run.hpp"

namespace ringscale::ring {

using problem::InvalidInput;

namespace {

constexpr std::array<std::pair<std::string_view, SoftmaxRule>, 2> softmax_words{
    {{"online", SoftmaxRule::online}, {"per_chunk", SoftmaxRule::per_chunk}}};

void require(bool right, const char *text) {
  if (!right) {
    throw InvalidInput(text);
  }
}

} // namespace

std::string_view name(SoftmaxRule rule) { return problem::word_of(softmax_words, rule); }
SoftmaxRule parse_softmax(std::string_view word) { return problem::parse_word("softmax", softmax_words, word); }

schedule::ProcessGrid process_grid(const RingOptions &options) {
  schedule::ProcessGrid grid = options.grid;
  if (grid.size() == 1) {
    grid.ring = options.problem.ring_size;
  }
  return grid;
}

std::string bfloat16_obstacle(const RingOptions &options) {
  const schedule::RingProblem &problem = options.problem;
  if (problem.pass == schedule::Pass::backward) {
    return "pass backward is computed in float32 only";
  }
  if (problem.pattern.kind != problem::PatternKind::dense) {
    return "pattern " + std::string(problem::name(problem.pattern.kind)) + " is computed in float32 only";
  }
  if (options.kernel == memory::KernelKind::materialised) {
    return "kernel materialised is computed in float32 only";
  }
  if (problem.layout == schedule::MessageLayout::separate) {
    return "message layout separate goes with float32 only; use stored_packed or copied";
  }
  if (process_grid(options).sequence > 1 && problem.attention.head_dim % 2 != 0) {
    return "a sequence level (ulysses) exchanges pairs of two-byte elements, so head_dim must be even";
  }
  return {};
}

void require_supported(const RingOptions &options) {
  const problem::DType dtype = options.problem.attention.dtype;
  const std::string obstacle = dtype == problem::DType::bfloat16  ? bfloat16_obstacle(options)
                               : dtype == problem::DType::float32 ? std::string()
                                                                  : "the ring runs on float32, and forward on bfloat16";
  if (!obstacle.empty()) {
    throw InvalidInput("dtype is " + std::string(problem::name(dtype)) + "; " + obstacle);
  }
}

void validate(const RingOptions &options) {
  const schedule::RingProblem &problem = options.problem;
  validate(process_grid(options), problem);
  require_supported(options);
  require(options.repetitions >= 1 && options.warmup >= 0, "repetitions must be at least 1 and warmup at least 0");
  if (!(options.deadline_s > 0.0)) {
    throw InvalidInput("deadline is " + std::to_string(options.deadline_s) + " s; it must be greater than 0");
  }
  const bool plain = problem.pattern.kind == problem::PatternKind::dense && !has_results(problem);
  require(options.softmax == SoftmaxRule::online || (plain && options.kernel == memory::KernelKind::streamed),
          "softmax per_chunk is a control of the dense forward pass with moving key_value and the streamed kernel");
  require(!options.collective ||
              (problem.schedule == schedule::Schedule::all_gather && problem.hops == schedule::Hops::all &&
               problem.layout == schedule::MessageLayout::stored_packed),
          "collective goes with schedule all_gather, hops all and message layout stored_packed");
  const bool apart = problem.layout == schedule::MessageLayout::separate;
  require(options.kernel == memory::KernelKind::streamed || (plain && !apart),
          "kernel materialised goes with pattern dense, pass forward, moving key_value and packed messages only");
  if (options.checkpoint != nullptr) {
    validate_checkpoints(*options.checkpoint, options);
  }
}

} // namespace ringscale::ring
