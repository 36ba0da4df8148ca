// SPDX-License-Identifier: Apache-2.0
#include "drivers/pattern_flags.hpp"

#include <CLI/CLI.hpp>

#include <initializer_list>

#include "drivers/list_flags.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::drivers {

namespace {

bool given(const PatternFlags &flags, const std::string &name) {
  for (const auto &[option_name, option] : flags.options) {
    if (option_name == name) {
      return option->count() > 0;
    }
  }
  return false;
}

void refuse_flags_without_effect(const PatternFlags &flags, const problem::Pattern &pattern) {
  const auto refuse = [&](std::initializer_list<const char *> names, bool used, const std::string &needs) {
    for (const char *name : names) {
      if (!used && given(flags, name)) {
        throw problem::InvalidInput(std::string(name) + " has no effect " + needs);
      }
    }
  };
  using problem::BlockSparseKind;
  using problem::PatternKind;
  const bool dilated = pattern.kind == PatternKind::dilated;
  const bool sparse = pattern.kind == PatternKind::block_sparse;
  const BlockSparseKind kind = pattern.block_sparse.kind;
  refuse({"--segment-lengths", "--dilation-rates", "--dilation-convention"}, dilated, "without --pattern dilated");
  refuse({"--block-sparse", "--block-tokens"}, sparse, "without --pattern block_sparse");
  refuse({"--window-tokens"}, sparse && kind != BlockSparseKind::adaptive,
         "without --pattern block_sparse, and not with --block-sparse adaptive");
  refuse({"--stride-blocks"}, sparse && (kind == BlockSparseKind::dilated || kind == BlockSparseKind::hierarchical),
         "without --block-sparse dilated or hierarchical");
  refuse({"--kept-blocks"}, sparse && kind == BlockSparseKind::adaptive, "without --block-sparse adaptive");
}

} // namespace

void add_pattern_flags(CLI::App &verb, PatternFlags &flags, const std::string &group) {
  problem::DilatedPattern &dilated = flags.values.dilated;
  problem::BlockSparsePattern &sparse = flags.values.block_sparse;
  const auto keep = [&](const std::string &name, CLI::Option *option) {
    flags.options.emplace_back(name, option->group(group));
    return option;
  };
  const auto add = [&](const std::string &name, auto &value, const std::string &text) {
    return keep(name, verb.add_option(name, value, text));
  };
  const auto add_list = [&](const std::string &name, auto &values, const std::string &text) {
    keep(name, add_list_option(verb, name, values, text));
  };
  add("--pattern", flags.kind, "dense, dilated or block_sparse")->capture_default_str();
  add_list("--segment-lengths", dilated.segment_lengths, "dilated: tokens of a segment, one a group");
  add_list("--dilation-rates", dilated.dilation_rates, "dilated: every how many tokens, one a group");
  add("--dilation-convention", flags.dilation_convention, "dilated: split, longnet or longnet_blocked")
      ->capture_default_str();
  add("--block-sparse", flags.block_sparse, "block_sparse: local_window, dilated, hierarchical or adaptive")
      ->capture_default_str();
  add("--block-tokens", sparse.block_tokens, "block_sparse: tokens of a block")->capture_default_str();
  add("--window-tokens", sparse.window_tokens, "block_sparse: reach to either side of the own block")
      ->capture_default_str();
  add("--stride-blocks", sparse.stride_blocks, "block_sparse dilated, hierarchical: every how many blocks")
      ->capture_default_str();
  add("--kept-blocks", sparse.kept_blocks, "block_sparse adaptive: blocks kept of each row of blocks")
      ->capture_default_str();
}

problem::Pattern resolve(const PatternFlags &flags) {
  problem::Pattern pattern = flags.values;
  pattern.kind = problem::parse_pattern_kind(flags.kind);
  pattern.dilated.convention = problem::parse_dilation_convention(flags.dilation_convention);
  pattern.block_sparse.kind = problem::parse_block_sparse_kind(flags.block_sparse);
  refuse_flags_without_effect(flags, pattern);
  return pattern;
}

} // namespace ringscale::drivers
