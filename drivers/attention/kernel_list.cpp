// SPDX-License-Identifier: Apache-2.0
#include "drivers/attention/kernel_list.hpp"

namespace ringscale::drivers {

const std::vector<KernelEntry> &kernel_entries() {
  static const std::vector<KernelEntry> entries{
      {"attention_block",
       "kernels/attention_block.hpp",
       "dense attention with streamed softmax, merged into the partial held",
       "--kernel streamed",
       "4 pairs query_heads head_dim batch",
       "Q, packed K and V once; O and log-sum-exp once",
       "reference_attention",
       {"test_kernels_attention_block", "*", 22},
       {"test_kernels_negative_controls", "*", 10},
       "attention_streamed"},
      {"attention_backward",
       "kernels/attention_backward.hpp",
       "gradients of dense attention, weights recomputed from the log-sum-exp",
       "--pass backward",
       "10 pairs query_heads head_dim batch",
       "Q, K, V, dO, log-sum-exp, D once; dQ, dK, dV once",
       "reference_attention_backward, itself against finite differences",
       {"test_kernels_attention_backward", "*", 21},
       {"test_kernels_gradient_controls", "GradientControl.*", 9},
       "attention_backward"},
      {"dropout",
       "kernels/dropout.hpp",
       "counter-based dropout of weights, one mask forward and backward",
       "--dropout P",
       "none counted",
       "none: the mask is computed, not stored",
       "reference_attention_backward with the same mask",
       {"test_kernels_dropout", "*", 9},
       {"test_kernels_dropout", "*NegativeControl*", 1},
       ""},
      {"attention_block_materialised",
       "kernels/attention_materialised.hpp",
       "dense attention that keeps the score matrix; boolean masks",
       "--kernel materialised",
       "4 pairs query_heads head_dim batch",
       "as attention_block, and the scores three times written, four times read",
       "reference_attention",
       {"test_kernels_attention_block", "*", 22},
       {"test_kernels_negative_controls", "*", 10},
       "attention_materialised"},
      {"attention_materialised_backward",
       "kernels/attention_materialised_backward.hpp",
       "gradients from stored weights; boolean masks",
       "--kernel materialised --pass backward",
       "8 pairs query_heads head_dim batch",
       "as attention_backward, and the weights twice read, their gradients once written, twice read",
       "reference_attention_backward",
       {"test_kernels_materialised_gradients", "*", 6},
       {"test_kernels_materialised_gradients", "*NegativeControl*", 1},
       "attention_materialised_backward"},
      {"dilated_attention",
       "kernels/dilated_attention.hpp",
       "dilated attention, strided access, three conventions",
       "--pattern dilated --segment-lengths .. --dilation-rates ..",
       "4 pairs head_dim batch, pairs of all heads, repeats counted",
       "each group's strided Q, K, V once, O and log-sum-exp read and written",
       "reference_dilated_attention, the formula with multiplicities",
       {"test_kernels_dilated_attention", "*", 12},
       {"test_kernels_pattern_controls", "DilatedNegativeControl.*", 8},
       "dilated/"},
      {"dilated_attention_backward",
       "kernels/dilated_backward.hpp",
       "gradients of dilated attention",
       "--pattern dilated --pass backward",
       "10 pairs head_dim batch",
       "each group's strided Q, K, V, dO once, gradients read and written",
       "reference_dilated_gradient and central differences",
       {"test_kernels_pattern_backward", "DilatedBackward.*", 7},
       {"test_kernels_pattern_backward", "DilatedBackward.MistakesAreRefused", 1},
       "dilated_backward"},
      {"dilated_variants",
       "kernels/dilated_variants.hpp",
       "dilation by index lists, computed or cached; zeroed or filled output; joins in place or by copy",
       "",
       "as dilated_attention",
       "as dilated_attention, and index lists and copies",
       "reference_dilated_attention",
       {"test_kernels_dilated_variants", "*", 5},
       {"test_kernels_dilated_variants", "*StaleIndexList*", 1},
       "dilated_variant"},
      {"block_sparse_attention",
       "kernels/block_sparse_attention.hpp",
       "block-sparse attention: local window, dilated, hierarchical, adaptive blocks",
       "--pattern block_sparse --block-sparse ..",
       "4 pairs head_dim batch, pairs of all heads",
       "as attention_block, and the lists of the mask",
       "reference_masked_attention, an explicit mask",
       {"test_kernels_block_sparse_attention", "*", 11},
       {"test_kernels_pattern_controls", "BlockSparseNegativeControl.*", 2},
       "block_sparse/"},
      {"block_sparse_backward",
       "kernels/block_sparse_backward.hpp",
       "gradients of block-sparse attention",
       "--pattern block_sparse --pass backward",
       "10 pairs head_dim batch",
       "as attention_backward, and the lists of the mask",
       "reference of the masked problem",
       {"test_kernels_pattern_backward", "BlockSparseBackward.*", 4},
       {"test_kernels_pattern_controls", "BlockSparseNegativeControl.*", 2},
       "block_sparse_backward"},
      {"pooled_block_scores",
       "kernels/adaptive_blocks.hpp",
       "scores of blocks by pooled queries and keys, and the top blocks of each",
       "--block-sparse adaptive",
       "1 an element pooled, 2 head_dim a pair of blocks",
       "Q and K once, scores once",
       "means and products in double precision",
       {"test_kernels_block_sparse_attention", "AdaptiveBlocks.*", 1},
       {"test_kernels_pattern_controls", "BlockSparseNegativeControl.*", 2},
       "block_sparse/"},
      {"captured_mass",
       "kernels/sparse_quality.hpp",
       "share of the dense softmax that a pattern keeps, and its output against the dense one",
       "--pattern block_sparse",
       "none counted",
       "both log-sum-exps once",
       "dense weights summed over the mask",
       {"test_kernels_pattern_controls", "CapturedMass.*", 2},
       {"test_kernels_pattern_controls", "CapturedMass.*", 2},
       ""},
      {"attention_block_low_precision",
       "kernels/attention_low_precision.hpp",
       "dense attention on two-byte storage, float32 sums; bfloat16 products where the host has them",
       "--dtype bfloat16 | float16",
       "4 pairs query_heads head_dim batch",
       "as attention_block with two bytes an element",
       "reference_attention of the rounded inputs",
       {"test_kernels_low_precision", "*", 18},
       {"test_kernels_low_precision_controls", "LowPrecisionControl.*", 8},
       "precision"},
      {"round_elements",
       "kernels/rounding.hpp",
       "rounding to tfloat32, bfloat16, float16, float8; the emulation of narrow formats",
       "--dtype tfloat32 | float8_e4m3 | float8_e5m2",
       "none counted",
       "each element once",
       "nearest of all numbers of the format",
       {"test_kernels_rounding", "*", 11},
       {"test_kernels_rounding", "*NegativeControl*", 1},
       ""},
      {"multihead_attention",
       "kernels/multihead.hpp",
       "a multihead layer: norm, fused or separate projections, any attention inside, norm, output projection",
       "",
       "of projections and norms; the attention inside declares its own",
       "tokens, weights and projected tensors once",
       "the layer by definition, with Higham's bounds",
       {"test_kernels_multihead", "*", 55},
       {"test_kernels_multihead", "*NegativeControls*:*DifferentTensors*", 2},
       "multihead_layer"},
      {"project",
       "kernels/projection.hpp",
       "y = x W^T + b over CBLAS, outputs dealt out to several tensors",
       "",
       "2 rows inputs outputs, 1 an output with a bias",
       "input, weights and bias once, outputs once",
       "the product by definition",
       {"test_kernels_projection", "Projection.*", 4},
       {"test_kernels_multihead", "*NegativeControls*", 1},
       "multihead_projections"},
      {"layer_norm",
       "kernels/layer_norm.hpp",
       "layer normalisation of rows",
       "",
       "8 an element",
       "rows once, written once",
       "its definition",
       {"test_kernels_projection", "LayerNorm.*", 3},
       {"test_kernels_projection", "*IsFound*", 1},
       ""},
      {"multihead_backward",
       "kernels/multihead_backward.hpp",
       "gradients of a multihead layer, forward computed again, any attention inside",
       "",
       "of projections and norms forward and backward; the attention inside declares its own",
       "tokens, weights and projected tensors once a pass",
       "central differences of the layer in double precision",
       {"test_kernels_multihead_backward", "*", 34},
       {"test_kernels_multihead_backward", "*NegativeControls*:*StandsIn*", 2},
       ""},
      {"project_backward",
       "kernels/projection_backward.hpp",
       "dx = dy W, dW = dy^T x, db over CBLAS",
       "",
       "2 rows inputs outputs each for dx and dW, 1 rows outputs for db",
       "input, weights and output gradient once, gradients once",
       "the products by definition",
       {"test_kernels_multihead_backward", "ProjectionBackward.*", 2},
       {"test_kernels_multihead_backward", "*NegativeControls*", 1},
       ""},
      {"layer_norm_backward",
       "kernels/layer_norm_backward.hpp",
       "gradients of layer normalisation",
       "",
       "4 an element, 10 for dx, 4 for dgain, 1 for dbias",
       "input and output gradient once, gradients once",
       "central differences in double precision",
       {"test_kernels_multihead_backward", "LayerNormBackward.*", 2},
       {"test_kernels_multihead_backward", "*NegativeControls*", 1},
       ""},
      {"attention_two_products",
       "kernels/attention_two_products.hpp",
       "the peer: two calls of a tuned CBLAS with a softmax between",
       "",
       "4 pairs query_heads head_dim batch",
       "as attention_block, and the scores of a head",
       "reference_attention",
       {"test_kernels_peers", "TwoProducts.*", 4},
       {"test_kernels_peers", "*NegativeControls*", 1},
       "attention_two_products"},
      {"merge_partials",
       "kernels/merge.hpp",
       "joins two partials by their log-sum-exps",
       "",
       "3 an element",
       "both partials once, one written",
       "reference_attention of all keys",
       {"test_kernels_merge", "*", 6},
       {"test_kernels_merge", "Merge.PerChunk*", 1},
       "merge_partials"},
      {"pack_key_value",
       "kernels/packed_key_value.hpp",
       "packs keys transposed in tiles, and values",
       "",
       "none",
       "K and V once, packed once",
       "element by element",
       {"test_kernels_building_blocks", "PackedKeyValue.*", 1},
       {"test_kernels_negative_controls", "*", 10},
       "pack_key_value"},
      {"reference_rows",
       "kernels/reference_rows.hpp",
       "what runs are checked against: chosen rows under any multiplicities, in double precision",
       "",
       "none counted",
       "none declared",
       "the references of whole problems",
       {"test_kernels_reference_rows", "*", 8},
       {"test_kernels_reference_rows", "*Seen*", 2},
       ""},
  };
  return entries;
}

namespace {

report::Json selection(const TestSelection &tests) {
  report::Json object = report::Json::object();
  object["program"] = tests.program;
  object["filter"] = tests.filter;
  object["count"] = tests.count;
  return object;
}

std::string text(const TestSelection &tests) {
  return std::to_string(tests.count) + " (" + tests.program + " " + tests.filter + ")";
}

} // namespace

report::Json kernel_list_document(const report::Json &provenance) {
  report::Json document = report::Json::object();
  document["schema"] = "ringscale.kernels";
  document["schema_version"] = 1;
  document["provenance"] = provenance;
  document["kernels"] = report::Json::array();
  for (const KernelEntry &entry : kernel_entries()) {
    report::Json row = report::Json::object();
    row["name"] = entry.name;
    row["header"] = entry.header;
    row["computes"] = entry.computes;
    row["flags"] = entry.flags;
    row["flop"] = entry.flop;
    row["bytes"] = entry.bytes;
    row["reference"] = entry.reference;
    row["tests"] = selection(entry.tests);
    row["negative_controls"] = selection(entry.negative_controls);
    row["benchmark"] = entry.benchmark;
    document["kernels"].push_back(row);
  }
  return document;
}

std::vector<std::string> kernel_list_lines() {
  std::vector<std::string> lines;
  for (const KernelEntry &entry : kernel_entries()) {
    lines.push_back(entry.name + ": " + entry.computes);
    lines.push_back("  FLOPs: " + entry.flop + "; bytes: " + entry.bytes);
    lines.push_back("  compared with " + entry.reference + "; tests " + text(entry.tests) + ", controls " +
                    text(entry.negative_controls));
    std::string use = entry.flags.empty() ? std::string() : "  ringscale attention " + entry.flags;
    if (!entry.benchmark.empty()) {
      use += use.empty() ? "  " : "; ";
      use += "benchmark_kernels --benchmark_filter=" + entry.benchmark;
    }
    if (!use.empty()) {
      lines.push_back(use);
    }
  }
  return lines;
}

} // namespace ringscale::drivers
