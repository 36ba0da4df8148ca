// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention_materialised_backward.hpp"

#include <stdexcept>

#include "kernels/dense_gradient_blocks.hpp"
#include "kernels/tile/select_backward_tile.hpp"
#include "kernels/tile/tile_policy.hpp"

namespace ringscale::kernels {

namespace {

using Policy = Kokkos::TeamPolicy<ExecutionSpace>;
using Member = Policy::member_type;
using Tile = tile::SelectBackwardTile<0, Member>::Type;

/// One pass over a matrix. A team has a run of keys, or of query rows, of one key/value head; the matrices are met in
/// panels of the tile: rows_per_panel rows by one key block.
struct MatrixPass {
  enum class Step {
    score_gradients, ///< reads P, writes dS; teams over keys
    key_value,       ///< reads P and dS, writes dV and dK; teams over keys
    query            ///< reads dS, writes dQ; teams over rows
  };

  BackwardBlock block; // without mask: what the weights are 0 for needs none
  float *weights;
  float *matrix; // dS
  Step step;
  std::int64_t run;  // keys, or rows, of one team
  std::int64_t runs; // per key/value head

  KOKKOS_FUNCTION void operator()(const Member &member) const {
    const std::int64_t begin = member.league_rank() % runs * run;
    const bool over_rows = step == Step::query;
    const GradientBlock whole = DenseGradientBlocks{block, {}}.at(member.league_rank() / runs, 0);
    const std::int64_t key_begin = over_rows ? 0 : begin;
    const std::int64_t key_end = over_rows ? whole.key_tokens : least(begin + run, whole.key_tokens);
    const std::int64_t row_begin = over_rows ? begin : 0;
    const std::int64_t row_end = over_rows ? least(begin + run, whole.rows) : whole.rows;
    Tile tile(member, block.query.extent_int(3), block.scale, block.dropout);
    const std::int64_t key_block = tile.key_block_tokens();
    for (std::int64_t key = key_begin; key < key_end; key += key_block) {
      tile.begin_keys(whole, key, least(key + key_block, key_end));
      for (std::int64_t head = 0; head < whole.query_heads; ++head) {
        for (std::int64_t row = row_begin; row < row_end; row += Tile::rows_per_panel) {
          const Panel panel{
              whole, head, row, least(row + Tile::rows_per_panel, row_end), key, least(key + key_block, key_end)};
          tile.begin_rows(whole, head, panel.row_begin, panel.row_end);
          meet(member, tile, panel);
        }
      }
      if (step == Step::key_value) {
        tile.finish_keys(whole);
      }
    }
  }

private:
  struct Panel {
    const GradientBlock &whole;
    std::int64_t head, row_begin, row_end, key_begin, key_end;
  };

  KOKKOS_FUNCTION static std::int64_t least(std::int64_t first, std::int64_t second) {
    return first < second ? first : second;
  }

  KOKKOS_FUNCTION void meet(const Member &member, Tile &tile, const Panel &panel) const {
    switch (step) {
    case Step::score_gradients:
      load(member, weights, tile.panel_weights(), tile, panel);
      tile.score_gradients();
      save(member, tile.panel_score_gradients(), matrix, tile, panel);
      if (block.dropout.active()) {
        save(member, tile.panel_weights(), weights, tile, panel);
      }
      return;
    case Step::key_value:
      load(member, weights, tile.panel_weights(), tile, panel);
      load(member, matrix, tile.panel_score_gradients(), tile, panel);
      tile.accumulate_key_value();
      return;
    case Step::query:
      load(member, matrix, tile.panel_score_gradients(), tile, panel);
      tile.accumulate_query(panel.whole, panel.head);
      return;
    }
  }

  /// Where row `row` of a panel begins in a matrix.
  KOKKOS_FUNCTION std::int64_t place(const Panel &panel, std::int64_t row) const {
    const std::int64_t heads = block.query.extent_int(2);
    const std::int64_t head = panel.whole.batch * heads + panel.whole.first_head + panel.head;
    return (head * panel.whole.rows + row) * panel.whole.key_tokens + panel.key_begin;
  }

  KOKKOS_FUNCTION void load(const Member &member, const float *from, float *to, const Tile &tile,
                            const Panel &panel) const {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member, panel.row_begin, panel.row_end), [&](const std::int64_t row) {
      const float *source = from + place(panel, row);
      float *target = to + (row - panel.row_begin) * tile.panel_stride();
      for (std::int64_t key = 0; key < panel.key_end - panel.key_begin; ++key) {
        target[key] = source[key];
      }
    });
    member.team_barrier();
  }

  KOKKOS_FUNCTION void save(const Member &member, const float *from, float *to, const Tile &tile,
                            const Panel &panel) const {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member, panel.row_begin, panel.row_end), [&](const std::int64_t row) {
      const float *source = from + (row - panel.row_begin) * tile.panel_stride();
      float *target = to + place(panel, row);
      for (std::int64_t key = 0; key < panel.key_end - panel.key_begin; ++key) {
        target[key] = source[key];
      }
    });
    member.team_barrier();
  }
};

void launch(const ExecutionSpace &space, const char *label, MatrixPass pass, std::int64_t length, std::int64_t run) {
  pass.run = run;
  pass.runs = (length + run - 1) / run;
  const auto league = static_cast<int>(pass.block.key.extent_int(0) * pass.block.key.extent_int(2) * pass.runs);
  if (league == 0) {
    return;
  }
  Kokkos::parallel_for(label, tile::tile_policy<Tile, Policy>(space, league, pass.block.query.extent_int(3)), pass);
}

} // namespace

std::int64_t materialised_weight_elements(const BackwardBlock &block) {
  return static_cast<std::int64_t>(block.log_sum_exp.size() * block.key.extent(1));
}

void attention_materialised_backward(const ExecutionSpace &space, const BackwardBlock &block, float *weights,
                                     float *score_gradients) {
  Kokkos::Profiling::ScopedRegion region("ringscale::attention_materialised_backward");
  check_backward_block(block);
  if (materialised_weight_elements(block) > 0 && (weights == nullptr || score_gradients == nullptr)) {
    throw std::invalid_argument("attention backward: weights or score_gradients are null");
  }
  if (!block.kv_heads.is_whole(block.key.extent_int(2))) {
    throw std::invalid_argument("attention backward: kv_heads are not all of the key's");
  }
  if (!block.accumulate) {
    Kokkos::deep_copy(space, block.query_gradient, 0.0F);
  }
  BackwardBlock unmasked = block;
  unmasked.admission.causal = false;
  const std::int64_t key_run = Tile::key_block_tokens(block.query.extent_int(3));
  const std::int64_t row_run = 4 * Tile::rows_per_panel;
  using Step = MatrixPass::Step;
  launch(space, "ringscale::materialised_score_gradients",
         {unmasked, weights, score_gradients, Step::score_gradients, 0, 0}, block.key.extent_int(1), key_run);
  launch(space, "ringscale::materialised_key_gradients", {unmasked, weights, score_gradients, Step::key_value, 0, 0},
         block.key.extent_int(1), key_run);
  launch(space, "ringscale::materialised_query_gradients", {unmasked, weights, score_gradients, Step::query, 0, 0},
         block.query.extent_int(1), row_run);
}

KernelWork attention_materialised_backward_work(const BackwardBlock &block) {
  const double matrix_bytes = sizeof(float) * static_cast<double>(materialised_weight_elements(block));
  KernelWork work = attention_backward_work(block);
  work.flop *= 0.8;
  work.read_bytes += 4.0 * matrix_bytes - static_cast<double>(sizeof(float) * block.log_sum_exp.size());
  work.written_bytes += (block.dropout.active() ? 2.0 : 1.0) * matrix_bytes;
  return work;
}

} // namespace ringscale::kernels
