// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace ringscale::report {

/// Element types of tensors in .npy files. numpy has no bfloat16: its bits are stored as uint16 ('<u2').
enum class NpyType { float32, float16, bfloat16, boolean };

/// "float32", "float16" or "bfloat16", the words of problem::DType; "boolean" of masks alone.
std::string_view name(NpyType type);

/// Bytes of one element: 4, 2, 2, 1.
std::int64_t element_bytes(NpyType type);

/// One tensor of a file: [batch, tokens, heads, head_dim], row-major, little-endian elements.
struct NpyTensor {
  std::vector<std::int64_t> shape; ///< four positive extents; two of a mask
  NpyType type = NpyType::float32;
  std::vector<std::byte> data; ///< the elements' bytes as in the file
};

/// Reads a tensor of rank 4 from an .npy file (versions 1.0, 2.0, 3.0; '<f4', '<f2', and '<u2' for bfloat16;
/// row-major). Every other file gets problem::InvalidInput with one line: its name, what is wrong, what would be right.
NpyTensor read_npy(const std::filesystem::path &path);

/// Reads a boolean mask, [query_tokens, key_tokens], of numpy's bool ('|b1'). Refuses everything else, as read_npy
/// does.
NpyTensor read_npy_mask(const std::filesystem::path &path);

/// Writes a tensor of rank 4 that numpy.load reads, whole or not at all, and never over an older file; the data is
/// not copied. `data` holds exactly the elements' bytes. Throws problem::InvalidInput where the file cannot be
/// written, std::invalid_argument where shape and data do not fit each other.
void write_npy(const std::filesystem::path &path, std::span<const std::int64_t> shape, NpyType type,
               std::span<const std::byte> data);

} // namespace ringscale::report
