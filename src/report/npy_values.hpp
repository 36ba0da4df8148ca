// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "report/npy_file.hpp"

namespace ringscale::report {

/// A float16 (IEEE 754 binary16) or bfloat16 (the upper half of a binary32) from its bits, exactly; NaNs stay NaN.
float float16_value(std::uint16_t bits);
float bfloat16_value(std::uint16_t bits);

/// The bits nearest to `value`, ties to even; beyond the largest finite value infinity; NaNs stay NaN.
std::uint16_t float16_bits(float value);
std::uint16_t bfloat16_bits(float value);

/// The tensor's elements as float32; exact for every type.
std::vector<float> to_float(const NpyTensor &tensor);

/// `values` as bytes of `type`, each rounded to nearest: what write_npy takes.
std::vector<std::byte> to_bytes(std::span<const float> values, NpyType type);

} // namespace ringscale::report
