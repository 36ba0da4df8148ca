// SPDX-License-Identifier: Apache-2.0
#include "ring/multihead_run.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "memory/peak_rss.hpp"
#include "problem/invalid_input.hpp"
#include "ring/checksum.hpp"
#include "ring/make_transport.hpp"
#include "ring/ring_core.hpp"
#include "ring/sampling.hpp"
#include "ring/staged_transport.hpp"

namespace ringscale::ring {

using memory::Purpose;
using problem::InvalidInput;
using problem::TokenSet;

namespace {

constexpr std::int64_t sampled_rows = 8; ///< of a rank and batch entry, compared in double precision

RingOptions ring_of(const MultiheadOptions &options) {
  RingOptions ring = options.ring;
  ring.problem.pass = schedule::Pass::backward; // what goes with the backward pass goes with the forward one
  return ring;
}

/// Pieces that a row's attention is joined from, at most.
std::int64_t merges_of(const schedule::RingProblem &problem) {
  return step_count(problem) * lane_count(problem) * keys_of(problem, 0).span_count();
}

/// One rank's part of the layer, and the buckets that its gradients travel in.
class RankLayer {
public:
  RankLayer(const Communicator &communicator, const MultiheadOptions &options, memory::Ledger &ledger)
      : shape_(multihead_shape(options)), ring_communicator_(communicator.copy()),
        tokens_(queries_of(options.ring.problem, communicator.rank())),
        memory_(shape_, synthetic_weights(shape_, options.ring.seed), ledger),
        given_(ledger, Purpose::workspace, "tokens",
               synthetic_rows(shape_, options.ring.seed, LayerInput::tokens, tokens_)),
        upstream_(ledger, Purpose::gradient, "output_gradient",
                  synthetic_rows(shape_, options.ring.seed, LayerInput::output_gradient, tokens_)),
        output_(ledger, Purpose::output, "layer_output", row_elements()),
        token_gradient_(ledger, Purpose::gradient, "token_gradient", row_elements()),
        transport_(make_transport(options.ring.exchange, ring_communicator_)),
        staged_(options.ring.stage_on_host
                    ? std::make_unique<StagedTransport>(*transport_, ring_communicator_.rank(), ledger)
                    : nullptr),
        core_(ring_of(options), communicator.rank(), transport(), ledger, [this] { move_buckets(); }),
        buckets_(communicator, memory_.tensors(), {options.bucket_bytes, false, true, options.compression}, ledger) {}

  void forward() {
    const kernels::ConstTensor3 rows = shaped(given_.data());
    kernels::multihead_attention(space_, memory_.layer(), rows, rows, rows, core_.core(),
                                 {output_.data(), rows.extent(0), rows.extent(1), rows.extent(2)});
  }

  void backward(const std::function<void(std::int64_t)> &ready) {
    const kernels::ConstTensor3 rows = shaped(given_.data());
    kernels::multihead_backward(space_, memory_.layer(), rows, rows, rows, core_.cores(), shaped(upstream_.data()),
                                memory_.gradients(token_gradient_.data()), [&](kernels::LayerPart part) {
                                  for (const std::int64_t index : memory_.fetch(part)) {
                                    ready(index);
                                  }
                                });
  }

  Transport &transport() { return staged_ ? static_cast<Transport &>(*staged_) : *transport_; }
  RingCore &core() { return core_; }
  GradientBuckets &buckets() { return buckets_; }
  LayerNumbers &gradients() { return memory_.host_gradients(); }
  const MultiheadShape &shape() const { return shape_; }
  const TokenSet &tokens() const { return tokens_; }
  std::vector<float> output() const { return on_host(output_); }
  std::vector<float> token_gradient() const { return on_host(token_gradient_); }
  std::uint64_t output_checksum() const {
    return checksum(space_, output_.data(), row_elements(),
                    static_cast<std::uint64_t>(ring_communicator_.rank() + 1) << 44);
  }

private:
  std::int64_t row_elements() const { return shape_.batch * tokens_.count() * shape_.embed_dim; }
  kernels::ConstTensor3 shaped(const float *data) const {
    return {data, static_cast<std::size_t>(shape_.batch), static_cast<std::size_t>(tokens_.count()),
            static_cast<std::size_t>(shape_.embed_dim)};
  }
  std::vector<float> on_host(const LayerBuffer &buffer) const {
    std::vector<float> host(static_cast<std::size_t>(row_elements()));
    buffer.copy_to(host);
    return host;
  }
  void move_buckets() {
    try {
      buckets_.poll();
    } catch (const InvalidInput &) {
      // The ring's pass goes on, so that no neighbour waits for it; the next ready or finish ends with the same line.
    }
  }

  MultiheadShape shape_;
  Communicator ring_communicator_;
  TokenSet tokens_;
  kernels::ExecutionSpace space_;
  LayerMemory memory_;
  LayerBuffer given_, upstream_, output_, token_gradient_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<StagedTransport> staged_;
  RingCore core_;
  GradientBuckets buckets_;
};

/// One forward and one backward pass whose gradients are reduced, all blocks and results inspected, and what this rank
/// gave to the reduction.
LayerNumbers checked_passes(const MultiheadOptions &options, std::int64_t rank, RankLayer &layer) {
  layer.core().check_payloads(true);
  layer.forward();
  LayerNumbers own;
  layer.backward([&](std::int64_t index) {
    own[static_cast<std::size_t>(index)] = layer.gradients()[static_cast<std::size_t>(index)];
    layer.buckets().ready(index);
  });
  layer.buckets().finish();
  layer.core().check_payloads(false);
  if (options.unreduced_rank == rank) {
    layer.gradients() = own;
  }
  return own;
}

void verify(const Communicator &communicator, const MultiheadOptions &options, const WholeLayer &whole,
            const LayerNumbers &own, RankLayer &layer, MultiheadRun &run) {
  const RingOptions &ring = options.ring;
  const std::vector<float> output = layer.output();
  const bool compressed = options.compression.kind != Compression::none;
  std::int64_t rows = 0;
  run.checks = {check_output_in_double(layer.shape(), ring.seed, ring.problem.attention.mask, merges_of(ring.problem),
                                       communicator.rank(), output, layer.tokens(), sampled_rows, rows),
                whole.check_output(output, layer.tokens()),
                whole.check_token_gradient(layer.token_gradient(), layer.tokens())};
  const LayerNumbers more =
      compressed ? compression_bounds(communicator, layer.buckets(), options.compression, own) : LayerNumbers();
  for (TensorCheck &check : whole.check_gradients(layer.gradients(), more)) {
    run.checks.push_back(std::move(check));
  }
  join_checks(communicator, run.checks);
  run.checked_rows = communicator.sum(rows);
  run.verified = true;
}

/// The sums of the last timed round must be those of the first one, too; with error feedback they are others.
void verify_last_round(const Communicator &communicator, const MultiheadOptions &options, const LayerNumbers &first,
                       RankLayer &layer, MultiheadRun &run) {
  const bool same = layer.gradients() == first || options.compression.kind == Compression::top_k;
  if (!communicator.all(same) && options.unreduced_rank < 0) {
    run.reasons.push_back("repetitions gave other sums of gradients");
  }
}

void gather_memory(const Communicator &communicator, const memory::Ledger &ledger, MultiheadRun &run) {
  std::array<double, memory::purpose_count> mine{}; // byte counts below 2^53 pass through doubles exactly
  for (std::size_t index = 0; index < mine.size(); ++index) {
    mine[index] = static_cast<double>(ledger.at_high_water().bytes[index]);
  }
  const std::vector<double> all = communicator.all_gather(mine);
  for (std::size_t place = 0; place < all.size(); place += mine.size()) {
    memory::MemoryByPurpose held;
    for (std::size_t index = 0; index < mine.size(); ++index) {
      held.bytes[index] = static_cast<std::int64_t>(all[place + index]);
    }
    run.memory = held.total() > run.memory.total() ? held : run.memory;
  }
  run.peak_rss_bytes = communicator.max(memory::peak_rss_bytes());
}

void judge(const Communicator &communicator, const MultiheadOptions &options, RankLayer &layer, bool same_bits,
           MultiheadRun &run) {
  std::string mine;
  for (const std::string &complaint : layer.core().complaints()) {
    mine += complaint + '\n';
  }
  for (const std::string &text : communicator.all_gather(mine)) {
    for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
      end = text.find('\n', begin);
      run.reasons.push_back(text.substr(begin, end - begin));
    }
  }
  run.blocks_once = communicator.all(layer.core().met_every_block_once());
  if (!run.blocks_once) {
    run.reasons.push_back("not every rank met every key/value block exactly once");
  }
  if (!communicator.all(same_bits)) {
    run.reasons.push_back("repetitions gave different bits");
  }
  for (const TensorCheck &check : run.checks) {
    if (!(check.share <= 1.0)) {
      run.reasons.push_back("largest error of " + check.tensor + " is over the bound");
    }
  }
  run.valid = run.reasons.empty();
  if (!options.ring.verify) {
    run.reasons.push_back("not compared with the layer over the whole sequence, as asked");
  }
}

} // namespace

MultiheadShape multihead_shape(const MultiheadOptions &options) {
  const problem::AttentionProblem &attention = options.ring.problem.attention;
  MultiheadShape shape{attention.batch,       attention.tokens,   options.embed_dim,
                       attention.query_heads, attention.kv_heads, attention.head_dim};
  shape.embed_dim = options.embed_dim == 0 ? shape.query_columns() : options.embed_dim;
  return shape;
}

void validate(const MultiheadOptions &options) {
  if (options.ring.problem.attention.dtype != problem::DType::float32) {
    throw InvalidInput("dtype is " + std::string(problem::name(options.ring.problem.attention.dtype)) +
                       "; a multihead layer computes in float32 only");
  }
  validate(ring_of(options));
  const schedule::ProcessGrid grid = process_grid(options.ring);
  if (grid.size() != grid.ring) {
    throw InvalidInput("a multihead layer runs on a plain ring; data, model and sequence sizes must be 1");
  }
  if (options.ring.problem.placement == schedule::Placement::replicated_queries) {
    throw InvalidInput("a layer's queries and keys are made of the same tokens, so its placement cannot be "
                       "replicated_queries; use contiguous, zigzag or striped");
  }
  if (options.ring.problem.pattern.kind != problem::PatternKind::dense) {
    throw InvalidInput("a multihead layer is verified with dense attention, so its pattern must be dense, not " +
                       std::string(problem::name(options.ring.problem.pattern.kind)));
  }
  const MultiheadShape shape = multihead_shape(options);
  constexpr std::int64_t most = std::int64_t{1} << 31;
  if (shape.embed_dim < 1 || shape.embed_dim >= most) {
    throw InvalidInput("embed_dim is " + std::to_string(shape.embed_dim) + "; it must be between 1 and 2147483647");
  }
  memory::require_projection_within(options.limits, shape.projected_columns(), shape.embed_dim,
                                    "the projection to query, key and value");
  memory::require_projection_within(options.limits, shape.embed_dim, shape.query_columns(),
                                    "the projection to the output");
  if (options.bucket_bytes < static_cast<std::int64_t>(sizeof(float))) {
    throw InvalidInput("the gradient bucket has " + std::to_string(options.bucket_bytes) +
                       " bytes; it must hold 4 or more");
  }
}

MultiheadRun run_multihead(const Communicator &parent, const MultiheadOptions &options) {
  validate(options);
  if (options.ring.problem.ring_size != parent.size()) {
    throw InvalidInput("the ring has " + std::to_string(options.ring.problem.ring_size) +
                       " ranks; the communicator has " + std::to_string(parent.size()) + " ranks");
  }
  Communicator communicator = parent.copy();
  communicator.set_deadline(options.ring.deadline_s);
  MultiheadRun run;
  run.threads_per_rank = kernels::ExecutionSpace().concurrency();
  run.ranks_per_core = communicator.ranks_per_core();
  memory::Ledger ledger;
  RankLayer layer(communicator, options, ledger);
  run.bucket_count = layer.buckets().bucket_count();
  const LayerNumbers own = checked_passes(options, communicator.rank(), layer);
  const LayerNumbers sums = layer.gradients();
  const std::uint64_t bits = layer.output_checksum();
  gather_memory(communicator, ledger, run); // before verification takes memory of its own
  if (options.ring.verify) {
    const MultiheadShape &shape = layer.shape();
    const WholeLayer whole(shape, options.ring.seed, options.ring.problem.attention.mask,
                           merges_of(options.ring.problem));
    verify(communicator, options, whole, own, layer, run);
  }
  const Repetitions repetitions{options.ring.warmup, options.ring.repetitions};
  run.forward_samples_s = sample_collective(communicator, repetitions, [&] { layer.forward(); });
  const bool same_bits = layer.output_checksum() == bits;
  run.reduction = reduce_gradients_while(
      communicator, layer.buckets(), [&](const std::function<void(std::int64_t)> &ready) { layer.backward(ready); },
      repetitions);
  verify_last_round(communicator, options, sums, layer, run);
  run.output_checksum = communicator.sum(bits);
  run.hops = communicator.max(layer.core().forward_plan().block_messages());
  run.transport = layer.transport().counters();
  judge(communicator, options, layer, same_bits, run);
  return run;
}

} // namespace ringscale::ring
