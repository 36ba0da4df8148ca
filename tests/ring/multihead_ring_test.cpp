// SPDX-License-Identifier: Apache-2.0
// A multihead layer whose attention runs around a ring, against the layer over the whole sequence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "problem/invalid_input.hpp"
#include "ring/loopback_transport.hpp"
#include "ring/mpi_transport.hpp"
#include "ring/multihead_reference.hpp"
#include "ring/multihead_run.hpp"
#include "ring/ring_core.hpp"
#include "tests/ring/gradient_case.hpp"
#include "tests/ring/loopback_ring.hpp"
#include "tests/ring/mpi_main.hpp"

namespace ringscale::ring::test {
namespace {

using problem::Mask;
using schedule::Moving;
using schedule::Placement;
using schedule::Schedule;

/// Batch 2, 4 query heads on 2 key/value heads, an embedding that is not query_heads x head_dim.
MultiheadOptions small_layer(int ring_size, Schedule schedule, Placement placement, Mask mask) {
  MultiheadOptions options;
  options.ring = small_options(ring_size, 37, placement, mask);
  options.ring.problem.schedule = schedule;
  options.ring.problem.attention.batch = 2;
  options.ring.problem.attention.head_dim = 8;
  options.embed_dim = 20;
  options.bucket_bytes = 4000; // several, some under way while the attention's gradients are computed
  return options;
}

std::string joined(const std::vector<std::string> &texts) {
  std::string all;
  for (const std::string &text : texts) {
    all += text + "; ";
  }
  return all;
}

double share_of(const MultiheadRun &run, const std::string &tensor) {
  const auto found =
      std::find_if(run.checks.begin(), run.checks.end(), [&](const auto &check) { return check.tensor == tensor; });
  return found == run.checks.end() ? std::numeric_limits<double>::quiet_NaN() : found->share;
}

double largest_share(const MultiheadRun &run) {
  double largest = 0.0;
  for (const TensorCheck &check : run.checks) {
    largest = !(check.share <= largest) ? check.share : largest;
  }
  return largest;
}

TEST(MultiheadRing, EqualsTheWholeSequenceForwardAndBackward) {
  for (const int ring_size : {1, 2, 3, 4, 5, 8}) {
    on_first_ranks(ring_size, [&](Communicator &ring) {
      double largest = 0.0;
      for (const Schedule schedule : {Schedule::ring, Schedule::bidirectional_ring, Schedule::all_gather}) {
        for (const Placement placement : {Placement::zigzag, Placement::contiguous, Placement::striped}) {
          if (placement != Placement::zigzag && schedule != Schedule::ring) {
            continue;
          }
          for (const Moving moving : {Moving::key_value, Moving::query}) {
            MultiheadOptions options = small_layer(ring_size, schedule, placement, Mask::causal);
            options.ring.problem.moving = moving;
            options.ring.poison_buffers = true;
            const MultiheadRun run = run_multihead(ring, options);
            const std::string where = std::string(schedule::name(schedule)) + " moving " +
                                      std::string(schedule::name(moving)) + " " +
                                      std::string(schedule::name(placement)) + " P=" + std::to_string(ring_size);
            EXPECT_TRUE(run.valid && run.verified && run.blocks_once) << where << ": " << joined(run.reasons);
            EXPECT_EQ(run.checks.size(), 13U);
            EXPECT_EQ(run.hops, ring_size - 1) << where;
            EXPECT_GT(run.bucket_count, 2);
            largest = std::max(largest, largest_share(run));
          }
        }
      }
      if (ring.rank() == 0) {
        std::printf("P=%d multihead layer: largest error %.2f %% of its bound\n", ring_size, 100.0 * largest);
      }
    });
  }
}

TEST(MultiheadRing, LargerLayersWithAndWithoutMaskStayWithinTheirBounds) {
  on_first_ranks(std::min(world().size(), 4), [](Communicator &ring) {
    for (const Mask mask : every_mask) {
      MultiheadOptions options = small_layer(ring.size(), Schedule::ring, Placement::zigzag, mask);
      options.ring.problem.attention.tokens = 515;
      options.ring.problem.attention.head_dim = 32;
      options.embed_dim = 0;
      const MultiheadRun run = run_multihead(ring, options);
      EXPECT_TRUE(run.valid) << joined(run.reasons);
      EXPECT_LT(largest_share(run), 0.5) << "a bound that is hardly one";
      if (ring.rank() == 0) {
        for (const TensorCheck &check : run.checks) {
          std::printf("%-17s error %.3g, bound %.3g, %.2f %% of it\n", check.tensor.c_str(), check.max_error,
                      check.bound, 100.0 * check.share);
        }
      }
    }
  });
}

TEST(MultiheadRing, CompressedSumsAreWithinTheirCompressionsBounds) {
  on_first_ranks(std::min(world().size(), 3), [](Communicator &ring) {
    const MultiheadOptions plain = small_layer(ring.size(), Schedule::ring, Placement::contiguous, Mask::causal);
    const MultiheadRun exact = run_multihead(ring, plain);
    for (const Compression kind : {Compression::float16, Compression::int8, Compression::top_k}) {
      MultiheadOptions options = plain;
      options.compression.kind = kind;
      options.compression.kept_fraction = 0.1;
      const MultiheadRun run = run_multihead(ring, options);
      EXPECT_TRUE(run.valid) << name(kind) << ": " << joined(run.reasons);
      EXPECT_LT(run.reduction.sent_bytes, exact.reduction.sent_bytes);
      EXPECT_EQ(run.output_checksum, exact.output_checksum);
      const auto bound_of = [](const MultiheadRun &of) { return of.checks.back().bound; };
      EXPECT_GT(bound_of(run), 2.0 * bound_of(exact)) << "what compression may lose is in the bound";
    }
  });
}

TEST(MultiheadRing, SamplesAreKeptRawAndTheHiddenFractionIsOne) {
  on_first_ranks(std::min(world().size(), 2), [](Communicator &ring) {
    MultiheadOptions options = small_layer(ring.size(), Schedule::ring, Placement::zigzag, Mask::causal);
    options.ring.repetitions = 3;
    options.ring.warmup = 1;
    const MultiheadRun run = run_multihead(ring, options);
    EXPECT_TRUE(run.valid) << joined(run.reasons);
    EXPECT_EQ(run.forward_samples_s.size(), 3U);
    EXPECT_EQ(run.reduction.backward_s.size(), 3U);
    EXPECT_EQ(run.reduction.reduction_s.size(), 3U);
    EXPECT_EQ(run.reduction.both_s.size(), 3U);
    EXPECT_TRUE(run.reduction.hidden_fraction >= 0.0 && run.reduction.hidden_fraction <= 1.0);
    EXPECT_GT(run.memory[memory::Purpose::gradient], 0);
  });
}

TEST(MultiheadRing, EveryExchangeGivesTheSameBits) {
  on_first_ranks(std::min(world().size(), 3), [](Communicator &ring) {
    MultiheadOptions options = small_layer(ring.size(), Schedule::ring, Placement::striped, Mask::causal);
    const MultiheadRun direct = run_multihead(ring, options);
    for (const Exchange exchange : {Exchange::blocking, Exchange::persistent, Exchange::one_sided}) {
      options.ring.exchange = exchange;
      EXPECT_EQ(run_multihead(ring, options).output_checksum, direct.output_checksum) << name(exchange);
    }
    options.ring.exchange = Exchange::nonblocking;
    options.ring.stage_on_host = true;
    const MultiheadRun staged = run_multihead(ring, options);
    EXPECT_TRUE(staged.valid) << joined(staged.reasons);
    EXPECT_EQ(staged.output_checksum, direct.output_checksum);
  });
}

TEST(MultiheadRingControl, ARingThatNeverRotatesIsFoundInEveryTensor) {
  on_first_ranks(std::min(world().size(), 4), [](Communicator &ring) {
    const MultiheadRun run =
        run_multihead(ring, small_layer(ring.size(), Schedule::local_only, Placement::contiguous, Mask::none));
    EXPECT_EQ(run.valid, ring.size() == 1) << joined(run.reasons);
    for (const TensorCheck &check : run.checks) {
      // Gradients of what comes behind the attention, and does not multiply it, do not depend on it.
      if (ring.size() > 1 && check.tensor != "output_bias" && check.tensor != "output_shift") {
        EXPECT_GT(check.share, 50.0) << check.tensor;
      }
    }
  });
}

TEST(MultiheadRingControl, ARankThatSkipsTheReductionIsFoundInTheWeightsAlone) {
  on_first_ranks(std::min(world().size(), 3), [](Communicator &ring) {
    MultiheadOptions options = small_layer(ring.size(), Schedule::ring, Placement::zigzag, Mask::causal);
    options.unreduced_rank = ring.size() - 1;
    const MultiheadRun run = run_multihead(ring, options);
    EXPECT_EQ(run.valid, ring.size() == 1) << joined(run.reasons);
    for (const char *const tensor : {"output_in_double", "output", "token_gradient"}) {
      EXPECT_TRUE(share_of(run, tensor) <= 1.0) << tensor;
    }
    for (std::size_t place = 3; ring.size() > 1 && place < run.checks.size(); ++place) {
      EXPECT_GT(run.checks[place].share, 100.0) << run.checks[place].tensor;
    }
  });
}

TEST(MultiheadRingControl, AScaleThatIsOffByOneHundredthInOneStepIsFound) {
  on_first_ranks(std::min(world().size(), 2), [](Communicator &ring) {
    MultiheadOptions options = small_layer(ring.size(), Schedule::ring, Placement::contiguous, Mask::none);
    options.ring.fault = {FaultKind::wrong_scale, 0, 0, 0.0};
    const MultiheadRun run = run_multihead(ring, options);
    EXPECT_FALSE(run.valid);
    EXPECT_FALSE(share_of(run, "output_in_double") <= 2.0);
    EXPECT_FALSE(share_of(run, "token_gradient") <= 2.0);
  });
}

TEST(MultiheadReferenceRows, AreThoseOfTheKernelsAndAWrongSeedIsFound) {
  const MultiheadShape shape{2, 33, 20, 4, 2, 8};
  const problem::TokenSet all{{0, 33, 1}, {}};
  memory::Ledger ledger;
  const LayerMemory memory(shape, synthetic_weights(shape, 3), ledger);
  const std::vector<float> rows = synthetic_rows(shape, 3, LayerInput::tokens, all);
  std::vector<float> output(rows.size());
  const kernels::ConstTensor3 tokens(rows.data(), 2, 33, 20);
  kernels::multihead_attention(kernels::ExecutionSpace(), memory.layer(), tokens, tokens, tokens,
                               kernels::dense_attention_core(true), {output.data(), 2, 33, 20});
  for (const std::uint64_t seed : {3, 4}) {
    std::int64_t checked = 0;
    const TensorCheck check = check_output_in_double(shape, seed, Mask::causal, 1, 0, output, all, 40, checked);
    EXPECT_EQ(check.share <= 1.0, seed == 3) << check.share;
    EXPECT_GT(checked, 2 * 20);
  }
  output[7] = std::numeric_limits<float>::quiet_NaN();
  std::int64_t checked = 0;
  EXPECT_FALSE(check_output_in_double(shape, 3, Mask::causal, 1, 0, output, all, 40, checked).share <= 1.0);
}

/// The cores alone, with a pattern inside: those of P ranks against those of one.
TEST(RingCores, CarryPatternsAsTheRingDoes) {
  on_first_ranks(std::min(world().size(), 3), [](Communicator &ring) {
    RingOptions options = small_options(ring.size(), 384, Placement::contiguous, Mask::causal);
    options.problem.pattern.kind = problem::PatternKind::block_sparse;
    options.problem.pattern.block_sparse.block_tokens = 64;
    options.problem.pattern.block_sparse.window_tokens = 64;
    const problem::AttentionProblem &attention = options.problem.attention;
    const auto run = [&](const RingOptions &of, std::int64_t rank, Transport &transport) {
      memory::Ledger ledger;
      RingCore core(of, rank, transport, ledger);
      const problem::TokenSet tokens = queries_of(of.problem, rank);
      const auto count = static_cast<std::size_t>(tokens.count());
      const auto filled = [&](problem::Tensor tensor, std::int64_t heads) {
        std::vector<float> values(count * static_cast<std::size_t>(heads * attention.head_dim));
        problem::fill_synthetic(values.data(), 5, tensor, attention, tokens);
        return values;
      };
      const std::vector<float> query = filled(problem::Tensor::query, attention.query_heads);
      const std::vector<float> key = filled(problem::Tensor::key, attention.kv_heads);
      const std::vector<float> value = filled(problem::Tensor::value, attention.kv_heads);
      const std::vector<float> upstream = filled(problem::Tensor::output_gradient, attention.query_heads);
      std::vector<float> output(query.size()), lse(count * 4), dq(query.size()), dk(key.size()), dv(key.size());
      const auto four = [&](const std::vector<float> &values, std::size_t heads) {
        return kernels::ConstTensor4(values.data(), 1, count, heads, 16);
      };
      const auto cores = core.cores();
      const kernels::ExecutionSpace space;
      cores.forward(space, four(query, 4), four(key, 2), four(value, 2), {output.data(), 1, count, 4, 16},
                    {lse.data(), 1, count, 4});
      cores.backward(space, four(query, 4), four(key, 2), four(value, 2), four(output, 4), {lse.data(), 1, count, 4},
                     four(upstream, 4), {dq.data(), 1, count, 4, 16}, {dk.data(), 1, count, 2, 16},
                     {dv.data(), 1, count, 2, 16});
      EXPECT_TRUE(core.met_every_block_once() && core.complaints().empty());
      EXPECT_THROW(cores.forward(space, four(query, 2), four(key, 2), four(value, 2), {output.data(), 1, count, 4, 16},
                                 {lse.data(), 1, count, 4}),
                   std::invalid_argument);
      return std::vector{output, dq, dk, dv};
    };
    MpiTransport messages(ring);
    const auto mine = run(options, ring.rank(), messages);
    RingOptions alone = options;
    alone.problem.ring_size = 1;
    LoopbackNetwork network;
    LoopbackTransport loopback(network, 0);
    const auto whole = run(alone, 0, loopback);
    const auto first = static_cast<std::size_t>(queries_of(options.problem, ring.rank()).position(0));
    for (std::size_t tensor = 0; tensor < mine.size(); ++tensor) {
      const std::size_t row = tensor < 2 ? 64 : 32;
      for (std::size_t element = 0; element < mine[tensor].size(); ++element) {
        ASSERT_NEAR(mine[tensor][element], whole[tensor][first * row + element], 2e-5) << tensor << " " << element;
      }
    }
  });
}

TEST(MultiheadRingRefusals, SayWhatWouldBeRight) {
  on_first_ranks(1, [](Communicator &ring) {
    const auto refusal = [&](const std::function<void(MultiheadOptions &)> &change) {
      MultiheadOptions options = small_layer(1, Schedule::ring, Placement::contiguous, Mask::causal);
      change(options);
      try {
        run_multihead(ring, options);
      } catch (const problem::InvalidInput &refused) {
        return std::string(refused.what());
      }
      return std::string("nothing was refused");
    };
    EXPECT_THAT(refusal([](auto &options) { options.ring.problem.placement = Placement::replicated_queries; }),
                testing::HasSubstr("replicated_queries"));
    EXPECT_THAT(refusal([](auto &options) { options.embed_dim = -3; }), testing::HasSubstr("embed_dim is -3"));
    EXPECT_THAT(refusal([](auto &options) { options.bucket_bytes = 3; }), testing::HasSubstr("bucket"));
    EXPECT_THAT(refusal([](auto &options) { options.ring.problem.ring_size = 2; }), testing::HasSubstr("2 ranks"));
    EXPECT_THAT(refusal([](auto &options) { options.limits.projection_elements = 20 * 64 - 1; }),
                testing::HasSubstr("query, key and value"));
    EXPECT_THAT(refusal([](auto &options) { options.limits.projection_elements = 20 * 64; }),
                testing::HasSubstr("nothing was refused"));
    EXPECT_THAT(refusal([](auto &options) {
                  options.ring.problem.pattern.kind = problem::PatternKind::block_sparse;
                  options.ring.problem.pattern.block_sparse.block_tokens = 64;
                }),
                testing::HasSubstr("dense"));
  });
}

} // namespace
} // namespace ringscale::ring::test
