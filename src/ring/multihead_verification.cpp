// SPDX-License-Identifier: Apache-2.0
#include "ring/multihead_verification.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "problem/counter_random.hpp"
#include "ring/multihead_reference.hpp"
#include "ring/sampling.hpp"

namespace ringscale::ring {

using memory::Purpose;
using problem::TokenSet;

namespace {

constexpr std::uint64_t sample_stream = 0x6C61796572726F77; // keeps the sample apart from the data's streams

/// Takes one element into a check.
void compare(double found, double expected, double bound, TensorCheck &check) {
  // Equal infinities agree; their difference would be NaN.
  const double error = found == expected ? 0.0 : std::abs(found - expected);
  raise_to(check.max_error, error);
  raise_to(check.bound, bound);
  raise_to(check.share, error == 0.0 ? 0.0 : error / bound);
}

double largest_of(std::span<const float> values) {
  double largest = 0.0;
  for (const float value : values) {
    raise_to(largest, std::abs(static_cast<double>(value)));
  }
  return largest;
}

/// `own` against `whole` element by element, each relative to the largest of `whole`.
TensorCheck check_elements(std::string tensor, std::span<const float> own, std::span<const float> whole,
                           std::span<const float> more, double tolerance) {
  TensorCheck check{std::move(tensor)};
  const double bound = tolerance * largest_of(whole);
  for (std::size_t element = 0; element < whole.size(); ++element) {
    compare(static_cast<double>(own[element]), static_cast<double>(whole[element]),
            bound + (more.empty() ? 0.0 : static_cast<double>(more[element])), check);
  }
  return check;
}

kernels::ConstTensor3 shaped(const float *data, const MultiheadShape &shape) {
  return {data, static_cast<std::size_t>(shape.batch), static_cast<std::size_t>(shape.tokens),
          static_cast<std::size_t>(shape.embed_dim)};
}

std::vector<float> on_host(const LayerBuffer &buffer, std::size_t elements) {
  std::vector<float> host(elements);
  buffer.copy_to(host);
  return host;
}

} // namespace

void join_checks(const Communicator &communicator, std::vector<TensorCheck> &checks) {
  std::vector<double> mine;
  for (const TensorCheck &check : checks) {
    mine.insert(mine.end(), {check.max_error, check.bound, check.share});
  }
  const std::vector<double> all = communicator.all_gather(mine);
  for (std::size_t place = 0; place < all.size(); place += 3) {
    TensorCheck &check = checks[place / 3 % checks.size()];
    raise_to(check.max_error, all[place]);
    raise_to(check.bound, all[place + 1]);
    raise_to(check.share, all[place + 2]);
  }
}

double layer_tolerance(const MultiheadShape &shape, std::int64_t merges) {
  // The input norm and its gradient, the input projections, the output projection's gradient: embed_dim terms. The
  // output norm and its gradient, the output projection, the input projections' gradient: their columns. Scores, dP and
  // row dots: head_dim. Softmax, gradients of keys and of weights: all rows that meet there.
  const std::int64_t roundings = 4 * shape.embed_dim + 4 * shape.projected_columns() + 3 * shape.head_dim +
                                 3 * shape.batch * shape.tokens * (shape.query_heads / shape.kv_heads) + merges;
  return allowed_deviations * 0x1p-24 * std::sqrt(2.0 * static_cast<double>(roundings));
}

WholeLayer::WholeLayer(const MultiheadShape &shape, std::uint64_t seed, problem::Mask mask, std::int64_t merges)
    : shape_(shape), tolerance_(layer_tolerance(shape, merges)) {
  memory::Ledger ledger; // apart from the rank's own
  LayerMemory memory(shape, synthetic_weights(shape, seed), ledger);
  const TokenSet all{{0, shape.tokens, 1}, {}};
  const LayerBuffer tokens(ledger, Purpose::query, "tokens", synthetic_rows(shape, seed, LayerInput::tokens, all));
  const LayerBuffer upstream(ledger, Purpose::gradient, "output_gradient",
                             synthetic_rows(shape, seed, LayerInput::output_gradient, all));
  const std::int64_t elements = shape.batch * shape.tokens * shape.embed_dim;
  const LayerBuffer output(ledger, Purpose::output, "output", elements);
  const LayerBuffer token_gradient(ledger, Purpose::gradient, "token_gradient", elements);
  const bool causal = mask == problem::Mask::causal;
  const kernels::ConstTensor3 given = shaped(tokens.data(), shape);
  kernels::multihead_attention(kernels::ExecutionSpace(), memory.layer(), given, given, given,
                               kernels::dense_attention_core(causal),
                               {output.data(), given.extent(0), given.extent(1), given.extent(2)});
  kernels::multihead_backward(kernels::ExecutionSpace(), memory.layer(), given, given, given,
                              kernels::dense_attention_cores(causal), shaped(upstream.data(), shape),
                              memory.gradients(token_gradient.data()),
                              [&](kernels::LayerPart part) { memory.fetch(part); });
  output_ = on_host(output, static_cast<std::size_t>(elements));
  token_gradient_ = on_host(token_gradient, static_cast<std::size_t>(elements));
  gradients_ = std::move(memory.host_gradients());
}

TensorCheck WholeLayer::check_rows(const char *tensor, std::span<const float> rows, const TokenSet &tokens,
                                   const std::vector<float> &whole) const {
  TensorCheck check{tensor};
  const double bound = tolerance_ * largest_of(whole);
  std::size_t place = 0;
  for (std::int64_t batch = 0; batch < shape_.batch; ++batch) {
    for (std::int64_t row = 0; row < tokens.count(); ++row) {
      const std::int64_t first = (batch * shape_.tokens + tokens.position(row)) * shape_.embed_dim;
      for (std::int64_t feature = 0; feature < shape_.embed_dim; ++feature, ++place) {
        compare(static_cast<double>(rows[place]), static_cast<double>(whole[static_cast<std::size_t>(first + feature)]),
                bound, check);
      }
    }
  }
  return check;
}

TensorCheck WholeLayer::check_output(std::span<const float> rows, const TokenSet &tokens) const {
  return check_rows("output", rows, tokens, output_);
}

TensorCheck WholeLayer::check_token_gradient(std::span<const float> rows, const TokenSet &tokens) const {
  return check_rows("token_gradient", rows, tokens, token_gradient_);
}

std::vector<TensorCheck> WholeLayer::check_gradients(const LayerNumbers &sums,
                                                     const LayerNumbers &compression_bounds) const {
  std::vector<TensorCheck> checks;
  for (std::size_t place = 0; place < layer_weight_count; ++place) {
    const auto weight = static_cast<LayerWeight>(place);
    const auto add = [&](const std::string &tensor, std::int64_t begin, std::int64_t elements) {
      const auto part = [&](const std::vector<float> &values) {
        return values.empty()
                   ? std::span<const float>()
                   : std::span(values).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(elements));
      };
      checks.push_back(check_elements(tensor, part(sums[place]), part(gradients_[place]),
                                      part(compression_bounds[place]), tolerance_));
    };
    if (weight == LayerWeight::input_weights) {
      const std::int64_t query = shape_.query_columns() * shape_.embed_dim;
      const std::int64_t key = shape_.key_columns() * shape_.embed_dim;
      add("query_weights", 0, query);
      add("key_weights", query, key);
      add("value_weights", query + key, key);
    } else {
      // The bias of the keys is compared with the others: a softmax does not see it, so its gradient is rounding only.
      add(name(weight), 0, elements_of(shape_, weight));
    }
  }
  return checks;
}

TensorCheck check_output_in_double(const MultiheadShape &shape, std::uint64_t seed, problem::Mask mask,
                                   std::int64_t merges, std::int64_t rank, std::span<const float> rows,
                                   const TokenSet &tokens, std::int64_t sample, std::int64_t &checked_rows) {
  const std::int64_t count = tokens.count();
  std::set<std::int64_t> chosen{0, tokens.first.count - 1, std::min(tokens.first.count, count - 1), count - 1};
  for (std::int64_t draw = 0; draw < sample; ++draw) {
    const double uniform = problem::random_uniform(seed, sample_stream + static_cast<std::uint64_t>(rank),
                                                   static_cast<std::uint64_t>(draw));
    chosen.insert(static_cast<std::int64_t>(uniform * static_cast<double>(count)));
  }
  std::vector<std::int64_t> positions;
  for (const std::int64_t row : chosen) {
    positions.push_back(tokens.position(row));
  }
  TensorCheck check{"output_in_double"};
  const MultiheadReference reference(shape, seed, mask, merges);
  for (std::int64_t batch = 0; batch < shape.batch; ++batch) {
    const RoundedNumbers expected = reference.rows(batch, positions);
    std::size_t place = 0;
    for (const std::int64_t row : chosen) {
      for (std::int64_t feature = 0; feature < shape.embed_dim; ++feature, ++place) {
        const std::int64_t own = (batch * count + row) * shape.embed_dim + feature;
        compare(static_cast<double>(rows[static_cast<std::size_t>(own)]), expected.value[place],
                allowed_deviations * std::sqrt(expected.variance[place]), check);
      }
    }
  }
  checked_rows = shape.batch * static_cast<std::int64_t>(chosen.size());
  return check;
}

LayerNumbers compression_bounds(const Communicator &communicator, const GradientBuckets &buckets,
                                const CompressionOptions &compression, const LayerNumbers &own) {
  LayerNumbers bounds;
  for (std::int64_t bucket = 0; bucket < buckets.bucket_count(); ++bucket) {
    // A bucket holds its tensors from the last to the first.
    std::vector<float> values;
    for (std::size_t place = layer_weight_count; place-- > 0;) {
      if (buckets.bucket_of(static_cast<std::int64_t>(place)) == bucket) {
        values.insert(values.end(), own[place].begin(), own[place].end());
      }
    }
    const std::vector<double> exact =
        GradientCompressor(compression, static_cast<std::int64_t>(values.size())).error_bounds(values);
    std::vector<float> sums(exact.size());
    for (std::size_t element = 0; element < exact.size(); ++element) {
      sums[element] = static_cast<float>(exact[element] * (1.0 + 0x1p-20)); // its own roundings only make it larger
    }
    communicator.start_sum(sums).wait();
    auto next = sums.begin();
    for (std::size_t place = layer_weight_count; place-- > 0;) {
      if (buckets.bucket_of(static_cast<std::int64_t>(place)) == bucket) {
        const auto end = next + static_cast<std::ptrdiff_t>(own[place].size());
        bounds[place].assign(next, end);
        next = end;
      }
    }
  }
  return bounds;
}

} // namespace ringscale::ring
