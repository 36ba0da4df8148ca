// SPDX-License-Identifier: Apache-2.0
#include "ring/gradient_buckets.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "problem/counter_random.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::ring {

namespace {

using problem::InvalidInput;

std::uint64_t digest_after(std::uint64_t digest, std::int64_t index) {
  return problem::mix64(digest ^ static_cast<std::uint64_t>(index + 1));
}

std::string description_of(const std::vector<GradientTensor> &tensors, const BucketOptions &options) {
  std::ostringstream text;
  for (const GradientTensor &tensor : tensors) {
    text << tensor.name << " [" << tensor.values.size() << "], ";
  }
  const CompressionOptions &compression = options.compression;
  text << options.bucket_bytes << " " << options.mean << " " << name(compression.kind) << " "
       << compression.block_elements << " " << std::hexfloat << compression.kept_fraction;
  return text.str();
}

std::vector<std::int64_t> indices_of(const std::string &text) {
  std::istringstream stream(text);
  std::vector<std::int64_t> indices;
  for (std::int64_t index = 0; stream >> index;) {
    indices.push_back(index);
  }
  return indices;
}

} // namespace

GradientBuckets::GradientBuckets(const Communicator &communicator, std::vector<GradientTensor> tensors,
                                 const BucketOptions &options, memory::Ledger &ledger)
    : agreements_(communicator.copy()), data_(communicator.copy()), tensors_(std::move(tensors)), options_(options) {
  compare_constructions(options);
  if (options.bucket_bytes < static_cast<std::int64_t>(sizeof(float))) {
    throw InvalidInput("bucket_bytes is " + std::to_string(options.bucket_bytes) + "; a bucket holds 4 bytes or more");
  }
  deal(options.bucket_bytes);
  allocate(ledger);
  marked_.assign(tensors_.size(), 0);
  theirs_.resize(static_cast<std::size_t>(agreements_.size()));
}

void GradientBuckets::compare_constructions(const BucketOptions &options) const {
  // Digests of 53 bits, since gathered numbers are doubles.
  std::uint64_t digest = 0;
  for (const char letter : description_of(tensors_, options)) {
    digest = digest_after(digest, letter);
  }
  const double mine = static_cast<double>(digest >> 11U);
  const std::vector<double> all = agreements_.all_gather(std::span(&mine, 1));
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (!(all[rank] == all[0])) {
      throw InvalidInput("gradient buckets: rank " + std::to_string(rank) +
                         " has other tensors or options than rank 0; names, sizes, order and options must be equal");
    }
  }
}

void GradientBuckets::deal(std::int64_t bucket_bytes) {
  const std::int64_t most_elements = bucket_bytes / static_cast<std::int64_t>(sizeof(float));
  bucket_of_.resize(tensors_.size());
  offset_of_.resize(tensors_.size());
  for (std::size_t index = tensors_.size(); index-- > 0;) {
    const auto elements = static_cast<std::int64_t>(tensors_[index].values.size());
    if (buckets_.empty() || buckets_.back().elements + elements > most_elements) {
      buckets_.emplace_back();
    }
    Bucket &bucket = buckets_.back();
    bucket_of_[index] = bucket_count() - 1;
    offset_of_[index] = bucket.elements;
    bucket.tensors.push_back(static_cast<std::int64_t>(index));
    bucket.elements += elements;
  }
}

void GradientBuckets::allocate(memory::Ledger &ledger) {
  constexpr auto purpose = memory::Purpose::communication;
  for (Bucket &bucket : buckets_) {
    bucket.missing = static_cast<std::int64_t>(bucket.tensors.size());
    bucket.values =
        HostBuffer(ledger, purpose, "gradient_bucket", bucket.elements * static_cast<std::int64_t>(sizeof(float)));
    if (options_.compression.kind == Compression::none) {
      continue;
    }
    bucket.compressor.emplace(options_.compression, bucket.elements);
    const std::int64_t bytes = bucket.compressor->compressed_bytes();
    bucket.compressed = HostBuffer(ledger, purpose, "compressed_bucket", bytes);
    bucket.everyones = HostBuffer(ledger, purpose, "gathered_buckets", bytes * data_.size());
    bucket.compressor_bytes = memory::LedgerEntry(ledger, purpose, bucket.compressor->held_bytes());
  }
}

std::int64_t GradientBuckets::bucket_of(std::int64_t index) const {
  return bucket_of_.at(static_cast<std::size_t>(index));
}

std::int64_t GradientBuckets::sent_bytes() const {
  std::int64_t bytes = 0;
  for (const Bucket &bucket : buckets_) {
    bytes += bucket.compressor ? bucket.compressor->compressed_bytes() : bucket.values.bytes();
  }
  return bytes;
}

void GradientBuckets::require_usable() const {
  if (!failure_.empty()) {
    throw InvalidInput(failure_);
  }
}

void GradientBuckets::ready(std::int64_t index) {
  require_usable();
  if (index < 0 || index >= tensor_count()) {
    fail_here("marked gradient " + std::to_string(index) + " ready; there are 0 to " +
              std::to_string(tensor_count() - 1));
  }
  const auto at = static_cast<std::size_t>(index);
  if (marked_[at] != 0) {
    fail_here("marked gradient " + tensors_[at].name + " ready twice");
  }
  copy_in(index);
  marked_[at] = 1;
  order_.push_back(index);
  digest_ = digest_after(digest_, index);
  Bucket &bucket = buckets_[static_cast<std::size_t>(bucket_of_[at])];
  bucket.missing -= 1;
  if (bucket.missing == 0) {
    if (bucket.compressor) {
      std::string refused;
      try {
        bucket.compressor->compress(bucket.floats(),
                                    {bucket.compressed.data(), static_cast<std::size_t>(bucket.compressed.bytes())});
      } catch (const InvalidInput &refusal) {
        refused = refusal.what();
      }
      if (!refused.empty()) {
        fail_here("could not compress a bucket: " + refused);
      }
    }
    waiting_.push_back({0, bucket_of_[at], static_cast<std::int64_t>(order_.size()), digest_});
  }
  advance();
}

void GradientBuckets::copy_in(std::int64_t index) {
  const auto at = static_cast<std::size_t>(index);
  const std::span<const float> values = tensors_[at].values;
  if (options_.refuse_not_finite) {
    const auto found = std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
    if (found != values.end()) {
      fail_here("gradient " + tensors_[at].name + " is not finite at element " +
                std::to_string(found - values.begin()));
    }
  }
  const Bucket &bucket = buckets_[static_cast<std::size_t>(bucket_of_[at])];
  std::copy(values.begin(), values.end(), bucket.floats().begin() + offset_of_[at]);
}

void GradientBuckets::poll() {
  require_usable();
  advance();
}

void GradientBuckets::ask(const Agreement &agreement) {
  mine_ = agreement;
  asking_ = true;
  question_ =
      agreements_.start_all_gather(std::as_bytes(std::span(&mine_, 1)), std::as_writable_bytes(std::span(theirs_)));
}

bool GradientBuckets::advance() {
  bool arrived = true;
  for (Bucket &bucket : buckets_) {
    arrived = bucket.travelling.progress() && arrived;
  }
  // One question at a time: a rank that fails never leaves a later question of another rank without its answer.
  while (asking_ || !waiting_.empty()) {
    if (!asking_) {
      ask(waiting_.front());
      waiting_.pop_front();
    }
    if (!question_.progress()) {
      return false;
    }
    asking_ = false;
    const bool agreed = std::all_of(theirs_.begin(), theirs_.end(), [&](const Agreement &other) {
      return other.failed == 0 && other.bucket == mine_.bucket && other.marked == mine_.marked &&
             other.order == mine_.order;
    });
    // mine_ failed is among theirs_ too, so every rank comes to the same conclusion.
    if (!agreed) {
      fail_everywhere();
    }
    if (mine_.bucket >= 0) {
      start(buckets_[static_cast<std::size_t>(mine_.bucket)]);
      arrived = false;
    }
  }
  return arrived;
}

void GradientBuckets::start(Bucket &bucket) {
  if (!bucket.compressor) {
    bucket.travelling = data_.start_sum(bucket.floats());
    return;
  }
  bucket.travelling =
      data_.start_all_gather({bucket.compressed.data(), static_cast<std::size_t>(bucket.compressed.bytes())},
                             {bucket.everyones.data(), static_cast<std::size_t>(bucket.everyones.bytes())});
}

void GradientBuckets::wait_for_all() {
  wait_until([this] { return advance(); }, data_.deadline_s(), data_.wait_mode(), {"reducing gradients", data_.rank()},
             [this] {
               return asking_ ? "agreement on bucket " + std::to_string(mine_.bucket) + " of " +
                                    std::to_string(bucket_count())
                              : std::string("sums of buckets");
             });
}

void GradientBuckets::finish() {
  require_usable();
  for (std::size_t index = tensors_.size(); index-- > 0;) {
    if (marked_[index] == 0) {
      fail_here("finished without gradient " + tensors_[index].name);
    }
  }
  waiting_.push_back({0, -1, static_cast<std::int64_t>(order_.size()), digest_});
  wait_for_all();
  write_back();
  order_.clear();
  digest_ = 0;
  marked_.assign(tensors_.size(), 0);
}

void GradientBuckets::write_back() {
  const float divisor = options_.mean ? static_cast<float>(data_.size()) : 1.0F;
  for (Bucket &bucket : buckets_) {
    const std::span<float> sum = bucket.floats();
    if (bucket.compressor) {
      std::fill(sum.begin(), sum.end(), 0.0F);
      const auto bytes = static_cast<std::size_t>(bucket.compressed.bytes());
      for (int rank = 0; rank < data_.size(); ++rank) {
        bucket.compressor->add_to(sum, {bucket.everyones.data() + static_cast<std::size_t>(rank) * bytes, bytes});
      }
    }
    for (const std::int64_t index : bucket.tensors) {
      const auto at = static_cast<std::size_t>(index);
      const std::span<float> values = tensors_[at].values;
      std::transform(sum.begin() + offset_of_[at], sum.begin() + offset_of_[at] + std::ssize(values), values.begin(),
                     [divisor](float value) { return value / divisor; });
    }
    bucket.missing = static_cast<std::int64_t>(bucket.tensors.size());
  }
}

void GradientBuckets::abandon(const std::string &reason) {
  require_usable();
  fail_here("abandoned the round: " + reason);
}

void GradientBuckets::fail_here(const std::string &line) {
  own_failure_ = "rank " + std::to_string(agreements_.rank()) + " " + line;
  waiting_.clear();
  waiting_.push_back({1, -1, static_cast<std::int64_t>(order_.size()), digest_});
  wait_for_all(); // throws once every rank has answered
  throw std::logic_error("gradient buckets: ranks agreed on a failure");
}

void GradientBuckets::fail_everywhere() {
  // Every rank comes here after the same question, having started the same buckets.
  waiting_.clear();
  for (Bucket &bucket : buckets_) {
    bucket.travelling.wait();
  }
  std::ostringstream order;
  for (const std::int64_t index : order_) {
    order << index << ' ';
  }
  const std::vector<std::string> failures = agreements_.all_gather(own_failure_);
  const std::vector<std::string> orders = agreements_.all_gather(order.str());
  const auto first = std::find_if(failures.begin(), failures.end(), [](const auto &text) { return !text.empty(); });
  // An order comes first: a rank that skipped a gradient may or may not have come to miss it yet.
  std::string reason = first_difference(orders);
  if (reason.empty()) {
    reason = first != failures.end() ? *first : "ranks are at different buckets";
  }
  failure_ = "gradient buckets: " + reason + "; every rank marks every gradient ready once a round, in the same order";
  throw InvalidInput(failure_);
}

std::string GradientBuckets::first_difference(const std::vector<std::string> &orders) const {
  std::vector<std::vector<std::int64_t>> indices;
  std::size_t shortest = tensors_.size();
  for (const std::string &order : orders) {
    indices.push_back(indices_of(order));
    shortest = std::min(shortest, indices.back().size());
  }
  for (std::size_t place = 0; place < shortest; ++place) {
    std::map<std::int64_t, std::int64_t> votes;
    for (const auto &order : indices) {
      votes[order[place]] += 1;
    }
    const auto usual = std::max_element(votes.begin(), votes.end(),
                                        [](const auto &left, const auto &right) { return left.second < right.second; });
    for (std::size_t rank = 0; rank < indices.size(); ++rank) {
      if (indices[rank][place] != usual->first) {
        return "rank " + std::to_string(rank) + " marked gradient " +
               tensors_[static_cast<std::size_t>(indices[rank][place])].name + " ready in place " +
               std::to_string(place + 1) + ", where other ranks marked " +
               tensors_[static_cast<std::size_t>(usual->first)].name;
      }
    }
  }
  return "";
}

} // namespace ringscale::ring
