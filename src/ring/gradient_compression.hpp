// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace ringscale::ring {

/// How the numbers of a bucket travel. float16 and int8 scale each block by its largest magnitude, so neither overflows
/// nor saturates on finite numbers; top_k sends the largest magnitudes with their indices and nothing of the others.
enum class Compression { none, float16, int8, top_k };

/// The word of documents; parse throws InvalidInput naming all words.
std::string_view name(Compression compression);
Compression parse_compression(std::string_view word);

struct CompressionOptions {
  Compression kind = Compression::none;
  std::int64_t block_elements = 256; ///< float16, int8: elements that share a scale
  double kept_fraction = 0.01;       ///< top_k: of the elements, rounded up, in (0, 1]
  bool error_feedback = true;        ///< top_k: what was not sent is added to the next call's values
};

/// Compresses runs of `elements` floats and adds compressed runs of any rank to a sum. With error feedback it carries
/// the residual from call to call (Seide et al. 2014; Stich et al. 2018): after any number of calls, what was sent and
/// the residual add up to what was given, but for rounding. Formulas and bounds: docs/gradients.md.
class GradientCompressor {
public:
  /// Throws InvalidInput on options out of range, or more elements than an index of 32 bits names.
  GradientCompressor(const CompressionOptions &options, std::int64_t elements);

  /// Bytes of every compressed run: 4 n; 2 n + 2 a block; n + 4 a block; 8 ceil(kept_fraction n).
  std::int64_t compressed_bytes() const { return compressed_bytes_; }
  /// Bytes this object keeps itself: the residual, and room to sort in.
  std::int64_t held_bytes() const;

  /// Writes compressed_bytes() to `to`. Throws InvalidInput when a number, with the residual added, is not finite; the
  /// residual then stays as it was.
  void compress(std::span<const float> values, std::span<std::byte> to);

  /// sum += the numbers that `from` stands for. Throws std::invalid_argument on a wrong length, or an index beyond it.
  void add_to(std::span<float> sum, std::span<const std::byte> from) const;

  /// Largest distance of each number that add_to adds from the one that was given to compress with no residual.
  std::vector<double> error_bounds(std::span<const float> values) const;

  std::span<const float> residual() const { return residual_; }

private:
  void compress_top_k(std::span<const float> values, std::span<std::byte> to);
  std::int64_t blocks() const;

  CompressionOptions options_;
  std::int64_t elements_ = 0;
  std::int64_t kept_ = 0;
  std::int64_t compressed_bytes_ = 0;
  std::vector<float> residual_;
  std::vector<std::uint32_t> order_;
  std::vector<float> corrected_;
};

} // namespace ringscale::ring
