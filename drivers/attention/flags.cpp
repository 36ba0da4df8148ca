// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/flags.hpp"

#include <CLI/CLI.hpp>

#include "drivers/flag_checks.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::drivers {

namespace {

void add_shape_flags(CLI::App &verb, AttentionFlags &flags) {
  problem::AttentionProblem &problem = flags.options.problem;
  const std::string group = "Shape of synthetic tensors";
  verb.add_option("--tokens", problem.tokens, "Query tokens")->group(group);
  verb.add_option("--key-tokens", flags.key_tokens, "Key tokens; as many as query tokens when not given")
      ->check(at_least_one)
      ->group(group);
  verb.add_option("--batch", problem.batch, "Batch entries")->capture_default_str()->group(group);
  verb.add_option("--query-heads", problem.query_heads, "Query heads")->capture_default_str()->group(group);
  verb.add_option("--kv-heads", flags.kv_heads, "Key/value heads; as many as query heads when not given")
      ->check(at_least_one)
      ->group(group);
  verb.add_option("--head-dim", problem.head_dim, "Elements of a head")->capture_default_str()->group(group);
  verb.add_option("--dtype", flags.dtype, "float32, tfloat32, bfloat16, float16, float8_e4m3 or float8_e5m2")
      ->capture_default_str()
      ->group(group);
}

void add_file_flags(CLI::App &verb, AttentionFlags &flags) {
  TensorFiles &files = flags.options.files;
  const std::string group = "Tensors of yours: .npy, [batch, tokens, heads, head_dim], float32, float16, or bfloat16 "
                            "as uint16";
  verb.add_option("--query", files.query, "Query")->group(group);
  verb.add_option("--key", files.key, "Key")->group(group);
  verb.add_option("--value", files.value, "Value")->group(group);
  verb.add_option("--boolean-mask", files.boolean_mask,
                  "Which keys each query sees, bool [query tokens, key tokens]; needs --kernel materialised")
      ->group(group);
  verb.add_option("--output", files.output, "Where the output goes; must not exist")->group(group);
  verb.add_option("--gradient", files.output_gradient, "Gradient of the output; asks for the backward pass")
      ->group(group);
  verb.add_option("--gradient-output-prefix", files.output_gradient_prefix,
                  "Gradients go to PREFIXq.npy, PREFIXk.npy and PREFIXv.npy")
      ->group(group);
}

bool given(const AttentionFlags &flags, const std::string &flag) {
  for (const std::string &each : flags.flags_given) {
    if (each == flag) {
      return true;
    }
  }
  return false;
}

/// A flag that would be ignored is an error: it would make a figure that is not what the command line says. Flags of
/// the pattern are refused by its own resolve.
void refuse_flags_without_effect(const AttentionFlags &flags) {
  const auto refuse = [&](std::initializer_list<const char *> names, bool used, const std::string &needs) {
    for (const char *name : names) {
      if (!used && given(flags, name)) {
        throw problem::InvalidInput(std::string(name) + " has no effect " + needs);
      }
    }
  };
  refuse({"--tokens", "--key-tokens", "--batch", "--query-heads", "--kv-heads", "--head-dim", "--dtype"},
         !flags.options.files.given(), "with --query: the files say shapes and dtype");
  refuse({"--repetitions"}, flags.options.benchmark, "without --benchmark");
  refuse({"--query-position-begin"}, flags.mask == "causal" || flags.options.dropout_probability > 0.0,
         "without --mask causal or --dropout");
}

} // namespace

void add_attention_flags(CLI::App &verb, AttentionFlags &flags) {
  verb.add_flag("--list", flags.list, "List the kernels with their work, references and controls, and end");
  add_shape_flags(verb, flags);
  add_file_flags(verb, flags);
  const std::string pattern_group = "Pattern";
  verb.add_option("--mask", flags.mask, "none or causal")->capture_default_str()->group(pattern_group);
  add_pattern_flags(verb, flags.pattern, pattern_group);
  verb.add_option("--query-position-begin", flags.options.query_position_begin,
                  "Position of the first query under a causal mask; keys begin at 0")
      ->capture_default_str();
  verb.add_option("--kernel", flags.kernel, "streamed or materialised")->capture_default_str();
  verb.add_option("--pass", flags.pass, "forward or backward")->capture_default_str();
  verb.add_option("--dropout", flags.options.dropout_probability, "Probability that a weight is dropped")
      ->capture_default_str();
  verb.add_option("--threads", flags.threads, "Host threads")->capture_default_str();
  verb.add_flag("--benchmark", flags.options.benchmark, "Time the pass and measure the multiply-add peak beside it");
  verb.add_option("--repetitions", flags.options.repetitions, "Timed samples of --benchmark")->capture_default_str();
}

AttentionOptions resolve(const AttentionFlags &flags, std::uint64_t seed) {
  AttentionOptions options = flags.options;
  options.seed = seed;
  options.problem.kv_heads = flags.kv_heads == 0 ? options.problem.query_heads : flags.kv_heads;
  options.key_tokens = flags.key_tokens == 0 ? options.problem.tokens : flags.key_tokens;
  options.problem.mask = problem::parse_mask(flags.mask);
  options.problem.dtype = problem::parse_dtype(flags.dtype);
  options.kernel = memory::parse_kernel(flags.kernel);
  options.pattern = resolve(flags.pattern);
  options.pass = options.files.output_gradient.empty() ? parse_pass(flags.pass) : Pass::backward;
  refuse_flags_without_effect(flags);
  if (!options.files.output_gradient.empty() && given(flags, "--pass") && parse_pass(flags.pass) == Pass::forward) {
    throw problem::InvalidInput("--gradient asks for the backward pass, --pass forward for the other");
  }
  for (const auto &[flag, file] : {std::pair{"--query", &options.files.query},
                                   {"--key", &options.files.key},
                                   {"--value", &options.files.value},
                                   {"--output", &options.files.output},
                                   {"--gradient", &options.files.output_gradient},
                                   {"--gradient-output-prefix", &options.files.output_gradient_prefix},
                                   {"--boolean-mask", &options.files.boolean_mask}}) {
    if (given(flags, flag) && file->empty()) {
      throw problem::InvalidInput(std::string(flag) + " is empty; name a file");
    }
  }
  if (!options.files.given() && !given(flags, "--tokens")) {
    throw problem::InvalidInput("--tokens is required, or --query, --key and --value");
  }
  constexpr int most_threads = 512; // as many as Kokkos' OpenMP back end takes
  if (flags.threads < 1 || flags.threads > most_threads) {
    throw problem::InvalidInput("--threads is " + std::to_string(flags.threads) + "; it must be between 1 and " +
                                std::to_string(most_threads));
  }
  return options;
}

} // namespace ringscale::drivers
