// SPDX-License-Identifier: Apache-2.0
#include "ring/gradient_compression.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "kernels/rounding.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::ring {

namespace {

using problem::InvalidInput;

constexpr std::array<std::string_view, 4> words{"none", "float16", "int8", "top_k"};
constexpr double most_elements = 4294967295.0;
constexpr float largest_float = std::numeric_limits<float>::max();

/// Reads or writes numbers one after the other, unaligned.
class Writer {
public:
  explicit Writer(std::byte *at) : at_(at) {}
  template <class Number> void put(Number number) {
    std::memcpy(at_, &number, sizeof(Number));
    at_ += sizeof(Number);
  }

private:
  std::byte *at_;
};

class Reader {
public:
  explicit Reader(const std::byte *at) : at_(at) {}
  template <class Number> Number take() {
    Number number;
    std::memcpy(&number, at_, sizeof(Number));
    at_ += sizeof(Number);
    return number;
  }

private:
  const std::byte *at_;
};

void require_finite(std::span<const float> values) {
  for (std::size_t index = 0; index < values.size(); ++index) {
    if (!std::isfinite(values[index])) {
      throw InvalidInput("element " + std::to_string(index) +
                         " of a gradient is not finite; only finite numbers can be compressed");
    }
  }
}

float largest_magnitude(std::span<const float> values) {
  float largest = 0.0F;
  for (const float value : values) {
    largest = std::max(largest, std::abs(value));
  }
  return largest;
}

/// The power of two that brings the largest magnitude into [2^14, 2^15), below float16's largest number.
int float16_exponent(float largest) { return largest > 0.0F ? 14 - std::ilogb(largest) : 0; }

void float16_block(std::span<const float> values, Writer &to) {
  const int exponent = float16_exponent(largest_magnitude(values));
  to.put(static_cast<std::int16_t>(exponent));
  const double scale = std::ldexp(1.0, exponent);
  for (const float value : values) {
    const auto scaled = static_cast<float>(static_cast<double>(value) * scale);
    to.put(static_cast<std::uint16_t>(kernels::encode<kernels::float16_format>(scaled)));
  }
}

void add_float16_block(std::span<float> sum, Reader &from) {
  const double scale = std::ldexp(1.0, -from.take<std::int16_t>());
  for (float &element : sum) {
    const double value = static_cast<double>(kernels::decode<kernels::float16_format>(from.take<std::uint16_t>()));
    // A number just below 2^128 may round up to it.
    const double limit = static_cast<double>(largest_float);
    element += static_cast<float>(std::clamp(value * scale, -limit, limit));
  }
}

float int8_scale(float largest) { return largest / 127.0F; }

void int8_block(std::span<const float> values, Writer &to) {
  const float scale = int8_scale(largest_magnitude(values));
  to.put(scale);
  for (const float value : values) {
    const double steps = scale > 0.0F ? static_cast<double>(value) / static_cast<double>(scale) : 0.0;
    to.put(static_cast<std::int8_t>(std::clamp(std::nearbyint(steps), -127.0, 127.0)));
  }
}

void add_int8_block(std::span<float> sum, Reader &from) {
  const auto scale = from.take<float>();
  for (float &element : sum) {
    // 127 times a scale that was rounded up may be just beyond the largest float.
    const double value = static_cast<double>(scale) * static_cast<double>(from.take<std::int8_t>());
    element +=
        static_cast<float>(std::clamp(value, -static_cast<double>(largest_float), static_cast<double>(largest_float)));
  }
}

/// Larger magnitudes first; of equal ones the lower index, so that the choice does not depend on a library's sort.
auto larger_first(std::span<const float> values) {
  return [values](std::uint32_t left, std::uint32_t right) {
    const float left_magnitude = std::abs(values[left]);
    const float right_magnitude = std::abs(values[right]);
    return left_magnitude != right_magnitude ? left_magnitude > right_magnitude : left < right;
  };
}

} // namespace

std::string_view name(Compression compression) { return words[static_cast<std::size_t>(compression)]; }

Compression parse_compression(std::string_view word) {
  for (std::size_t index = 0; index < words.size(); ++index) {
    if (word == words[index]) {
      return static_cast<Compression>(index);
    }
  }
  throw InvalidInput("compression is \"" + std::string(word) + "\"; it can be none, float16, int8 or top_k");
}

GradientCompressor::GradientCompressor(const CompressionOptions &options, std::int64_t elements)
    : options_(options), elements_(elements) {
  if (elements < 0 || static_cast<double>(elements) > most_elements) {
    throw InvalidInput("a bucket of " + std::to_string(elements) + " elements cannot be compressed; at most 2^32 - 1");
  }
  if (options.block_elements < 1) {
    throw InvalidInput("block_elements of a compression is " + std::to_string(options.block_elements) +
                       "; it must be 1 or more");
  }
  if (!(options.kept_fraction > 0.0 && options.kept_fraction <= 1.0)) {
    throw InvalidInput("kept_fraction of a compression is " + std::to_string(options.kept_fraction) +
                       "; it must be above 0 and at most 1");
  }
  switch (options.kind) {
  case Compression::none:
    compressed_bytes_ = 4 * elements;
    break;
  case Compression::float16:
    compressed_bytes_ = 2 * elements + 2 * blocks();
    break;
  case Compression::int8:
    compressed_bytes_ = elements + 4 * blocks();
    break;
  case Compression::top_k:
    kept_ =
        std::min(elements, static_cast<std::int64_t>(std::ceil(options.kept_fraction * static_cast<double>(elements))));
    compressed_bytes_ = 8 * kept_;
    order_.resize(static_cast<std::size_t>(elements));
    corrected_.resize(static_cast<std::size_t>(elements));
    residual_.resize(options.error_feedback ? static_cast<std::size_t>(elements) : 0);
    break;
  }
}

std::int64_t GradientCompressor::blocks() const {
  return (elements_ + options_.block_elements - 1) / options_.block_elements;
}

std::int64_t GradientCompressor::held_bytes() const {
  return static_cast<std::int64_t>(4 * (residual_.size() + order_.size() + corrected_.size()));
}

void GradientCompressor::compress(std::span<const float> values, std::span<std::byte> to) {
  if (static_cast<std::int64_t>(values.size()) != elements_ ||
      static_cast<std::int64_t>(to.size()) != compressed_bytes_) {
    throw std::invalid_argument("compression: values or room have another length than the compressor was made for");
  }
  if (options_.kind == Compression::top_k) {
    compress_top_k(values, to);
    return;
  }
  require_finite(values);
  if (options_.kind == Compression::none) {
    std::memcpy(to.data(), values.data(), values.size_bytes());
    return;
  }
  Writer writer(to.data());
  const auto block = static_cast<std::size_t>(options_.block_elements);
  for (std::size_t begin = 0; begin < values.size(); begin += block) {
    const auto part = values.subspan(begin, std::min(block, values.size() - begin));
    options_.kind == Compression::float16 ? float16_block(part, writer) : int8_block(part, writer);
  }
}

void GradientCompressor::compress_top_k(std::span<const float> values, std::span<std::byte> to) {
  std::copy(values.begin(), values.end(), corrected_.begin());
  for (std::size_t index = 0; index < residual_.size(); ++index) {
    corrected_[index] += residual_[index];
  }
  require_finite(corrected_);
  std::iota(order_.begin(), order_.end(), 0U);
  const auto end_of_kept = order_.begin() + kept_;
  std::nth_element(order_.begin(), end_of_kept, order_.end(), larger_first(corrected_));
  std::sort(order_.begin(), end_of_kept); // ascending: the receiver's sum walks through memory
  Writer writer(to.data());
  for (auto kept = order_.begin(); kept != end_of_kept; ++kept) {
    writer.put(*kept);
    writer.put(corrected_[*kept]);
    corrected_[*kept] = 0.0F;
  }
  if (options_.error_feedback) {
    std::swap(residual_, corrected_);
  }
}

void GradientCompressor::add_to(std::span<float> sum, std::span<const std::byte> from) const {
  if (static_cast<std::int64_t>(sum.size()) != elements_ ||
      static_cast<std::int64_t>(from.size()) != compressed_bytes_) {
    throw std::invalid_argument("compression: sum or bytes have another length than the compressor was made for");
  }
  Reader reader(from.data());
  if (options_.kind == Compression::none) {
    for (float &element : sum) {
      element += reader.take<float>();
    }
    return;
  }
  if (options_.kind == Compression::top_k) {
    for (std::int64_t entry = 0; entry < kept_; ++entry) {
      const auto index = reader.take<std::uint32_t>();
      if (index >= sum.size()) {
        throw std::invalid_argument("compression: a compressed run names an element beyond its end");
      }
      sum[index] += reader.take<float>();
    }
    return;
  }
  const auto block = static_cast<std::size_t>(options_.block_elements);
  for (std::size_t begin = 0; begin < sum.size(); begin += block) {
    const auto part = sum.subspan(begin, std::min(block, sum.size() - begin));
    options_.kind == Compression::float16 ? add_float16_block(part, reader) : add_int8_block(part, reader);
  }
}

std::vector<double> GradientCompressor::error_bounds(std::span<const float> values) const {
  std::vector<double> bounds(values.size(), 0.0);
  if (options_.kind == Compression::top_k) {
    std::vector<float> magnitudes(values.size());
    std::transform(values.begin(), values.end(), magnitudes.begin(), [](float value) { return std::abs(value); });
    std::sort(magnitudes.begin(), magnitudes.end(), std::greater<>());
    const auto kept = static_cast<std::size_t>(kept_);
    std::fill(bounds.begin(), bounds.end(), kept < magnitudes.size() ? static_cast<double>(magnitudes[kept]) : 0.0);
    return bounds;
  }
  const auto block = static_cast<std::size_t>(options_.block_elements);
  for (std::size_t begin = 0; options_.kind != Compression::none && begin < values.size(); begin += block) {
    const auto part = values.subspan(begin, std::min(block, values.size() - begin));
    const auto largest = static_cast<double>(largest_magnitude(part));
    for (std::size_t index = 0; index < part.size(); ++index) {
      const double magnitude = std::abs(static_cast<double>(part[index]));
      bounds[begin + index] = options_.kind == Compression::float16 ? 0x1p-11 * magnitude + 0x1p-39 * largest + 0x1p-150
                                                                    : largest / 254.0 * (1.0 + 0x1p-14) + 0x1p-142;
    }
  }
  return bounds;
}

} // namespace ringscale::ring
