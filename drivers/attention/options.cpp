// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/options.hpp"

#include <cmath>
#include <limits>

#include "problem/invalid_input.hpp"
#include "problem/words.hpp"

namespace ringscale::drivers {

namespace {

constexpr std::pair<std::string_view, Pass> pass_words[] = {{"forward", Pass::forward}, {"backward", Pass::backward}};

void require_range(const char *flag, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high) {
    throw problem::InvalidInput(std::string(flag) + " is " + std::to_string(value) + "; it must be between " +
                                std::to_string(low) + " and " + std::to_string(high));
  }
}

void validate_files(const AttentionOptions &options) {
  const TensorFiles &files = options.files;
  if (files.query.empty() != files.key.empty() || files.query.empty() != files.value.empty()) {
    throw problem::InvalidInput("--query, --key and --value must be given together");
  }
  if (!files.given() && (!files.output_gradient.empty() || !files.boolean_mask.empty())) {
    throw problem::InvalidInput(std::string(files.boolean_mask.empty() ? "--gradient" : "--boolean-mask") +
                                " needs --query, --key and --value");
  }
  if (files.given() && files.output_gradient.empty() && options.pass == Pass::backward) {
    throw problem::InvalidInput("--pass backward on tensors of yours needs --gradient: the gradient of the output");
  }
  if (!files.output_gradient_prefix.empty() && options.pass != Pass::backward) {
    throw problem::InvalidInput("--gradient-output-prefix needs --gradient or --pass backward");
  }
}

} // namespace

std::string_view name(Pass pass) { return problem::word_of(pass_words, pass); }
Pass parse_pass(std::string_view word) { return problem::parse_word("pass", pass_words, word); }

void validate(const AttentionOptions &options) {
  problem::validate(options.problem);
  validate_combination(options);
}

void validate_combination(const AttentionOptions &options) {
  problem::validate(options.pattern);
  require_range("--query-position-begin", options.query_position_begin, 0, std::numeric_limits<std::int32_t>::max());
  require_range("--repetitions", options.repetitions, 1, 1'000'000);
  // The kernels take it in single precision.
  if (!(options.dropout_probability >= 0.0 && static_cast<float>(options.dropout_probability) < 1.0F)) {
    throw problem::InvalidInput("--dropout is " + std::to_string(options.dropout_probability) +
                                "; it must be at least 0 and below 1");
  }
  validate_files(options);
  const bool dense = options.pattern.kind == problem::PatternKind::dense;
  const bool materialised = options.kernel == memory::KernelKind::materialised;
  if (!dense && materialised) {
    throw problem::InvalidInput("--kernel materialised computes dense attention; --pattern " +
                                std::string(problem::name(options.pattern.kind)) + " needs --kernel streamed");
  }
  if (!dense && options.query_position_begin != 0) {
    throw problem::InvalidInput("--query-position-begin goes with --pattern dense only");
  }
  if (!dense && options.dropout_probability > 0.0) {
    throw problem::InvalidInput("--dropout goes with --pattern dense only");
  }
  if (!options.files.boolean_mask.empty() && !materialised) {
    throw problem::InvalidInput("--boolean-mask needs --kernel materialised");
  }
  if (problem::storage_bytes(options.problem.dtype) == 2 && (materialised || !dense)) {
    throw problem::InvalidInput("--dtype " + std::string(problem::name(options.problem.dtype)) +
                                " goes with --pattern dense and --kernel streamed only; convert to float32 first");
  }
  if (problem::storage_bytes(options.problem.dtype) == 2 && options.dropout_probability > 0.0) {
    throw problem::InvalidInput("--dropout goes with --dtype float32 only");
  }
  // Dropped weights replace the kept ones in memory, so that a second call would drop them again.
  if (materialised && options.dropout_probability > 0.0 && options.pass == Pass::backward && options.benchmark) {
    throw problem::InvalidInput("--benchmark --pass backward of the materialised kernel goes without --dropout");
  }
}

} // namespace ringscale::drivers
