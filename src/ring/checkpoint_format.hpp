// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringscale::ring {

/// Whose checkpoint a file is: a hash of all options that the bytes depend on, and the rank's place in its ring.
struct CheckpointIdentity {
  std::uint64_t options_fingerprint = 0;
  std::int64_t rank = 0;
  std::int64_t ring_size = 1;

  bool operator==(const CheckpointIdentity &) const = default;
};

/// Bytes under a name of 1 to 39 characters; a file has at most 4096 sections.
struct CheckpointSection {
  std::string_view name;
  std::span<const std::byte> bytes;
};

/// What the header says about a section; `offset` is from the beginning of the file.
struct SectionEntry {
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
};

struct CheckpointHeader {
  CheckpointIdentity identity;
  std::int64_t step = 0;
  std::uint64_t file_bytes = 0;
  std::vector<SectionEntry> sections;
};

/// Bytes of the header's first part, which says how many sections there are, and of the whole header.
inline constexpr std::size_t checkpoint_prefix_bytes = 72;
std::size_t checkpoint_header_bytes(std::size_t section_count);

/// The header that goes in front of the sections' bytes, which follow it in their order without gaps. All integers are
/// little-endian; the header has a checksum of its own. Throws std::logic_error for bad names or a negative step.
std::vector<std::byte> encode_header(const CheckpointIdentity &identity, std::int64_t step,
                                     std::span<const CheckpointSection> sections);

/// The whole header's size by its first checkpoint_prefix_bytes. Throws InvalidInput, opened by `where`, for what is no
/// checkpoint, is cut off, or was written in another version of the format.
std::size_t header_bytes_of(std::span<const std::byte> prefix, const std::string &where);

/// A header of `actual_file_bytes` read from `where`. Throws InvalidInput for damage anywhere in it, for a file of
/// another size than it says, and where `expected` is another rank, ring size or fingerprint.
CheckpointHeader decode_header(std::span<const std::byte> header, std::uint64_t actual_file_bytes,
                               const CheckpointIdentity &expected, const std::string &where);

/// 64 bits over bytes and their places, eight at a time: any changed, moved, lost or added byte changes it with
/// probability 1 - 2^-64. Guards against damage, not against intent.
std::uint64_t byte_checksum(std::span<const std::byte> bytes);

} // namespace ringscale::ring
