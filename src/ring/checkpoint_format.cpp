// SPDX-License-Identifier: Apache-2.0
#include "ring/checkpoint_format.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "problem/counter_random.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::ring {

namespace {

using problem::InvalidInput;

// The line ends show a transfer that translated them.
constexpr std::string_view magic{"RSCKPT\r\n", 8};
constexpr std::uint64_t format_version = 1;
constexpr std::size_t name_bytes = 40;
constexpr std::size_t entry_bytes = name_bytes + 16;
constexpr std::size_t most_sections = 4096;
constexpr std::size_t checksum_place = checkpoint_prefix_bytes - 8;

[[noreturn]] void refuse(const std::string &where, const std::string &what) { throw InvalidInput(where + " " + what); }

void put(std::vector<std::byte> &bytes, std::uint64_t value, int width) {
  for (int index = 0; index < width; ++index) {
    bytes.push_back(static_cast<std::byte>(value >> (8 * index)));
  }
}

std::uint64_t get(std::span<const std::byte> bytes, std::size_t place, int width) {
  std::uint64_t value = 0;
  for (int index = 0; index < width; ++index) {
    value |= std::to_integer<std::uint64_t>(bytes[place + static_cast<std::size_t>(index)]) << (8 * index);
  }
  return value;
}

std::uint64_t header_checksum(std::span<const std::byte> header) {
  return byte_checksum(header.first(checksum_place)) ^
         problem::mix64(byte_checksum(header.subspan(checkpoint_prefix_bytes)));
}

std::string hexadecimal(std::uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

std::string size_text(std::uint64_t bytes) { return std::to_string(bytes) + " bytes"; }

void require_identity(const CheckpointIdentity &found, const CheckpointIdentity &expected, const std::string &where) {
  if (found.ring_size != expected.ring_size) {
    refuse(where, "was written by a ring of " + std::to_string(found.ring_size) + " ranks and this ring has " +
                      std::to_string(expected.ring_size) + "; start as many ranks as before");
  }
  if (found.rank != expected.rank) {
    refuse(where, "was written by rank " + std::to_string(found.rank) + " and this is rank " +
                      std::to_string(expected.rank) + "; the file was renamed");
  }
  if (found.options_fingerprint != expected.options_fingerprint) {
    refuse(where, "was written with other options (fingerprint " + hexadecimal(found.options_fingerprint) +
                      ", this run has " + hexadecimal(expected.options_fingerprint) +
                      "); repeat the options of that run or name another folder");
  }
}

} // namespace

std::uint64_t byte_checksum(std::span<const std::byte> bytes) {
  std::uint64_t sum = problem::mix64(bytes.size());
  for (std::size_t place = 0; place < bytes.size(); place += 8) {
    const std::size_t width = std::min<std::size_t>(8, bytes.size() - place);
    const std::uint64_t word = get(bytes, place, static_cast<int>(width));
    sum += problem::mix64(word ^ problem::mix64(place + 1));
  }
  return sum;
}

std::size_t checkpoint_header_bytes(std::size_t section_count) {
  return checkpoint_prefix_bytes + section_count * entry_bytes;
}

std::vector<std::byte> encode_header(const CheckpointIdentity &identity, std::int64_t step,
                                     std::span<const CheckpointSection> sections) {
  if (step < 0 || sections.size() > most_sections) {
    throw std::logic_error("checkpoint: step " + std::to_string(step) + " with " + std::to_string(sections.size()) +
                           " sections");
  }
  std::uint64_t file_bytes = checkpoint_header_bytes(sections.size());
  for (const CheckpointSection &section : sections) {
    file_bytes += section.bytes.size();
  }
  std::vector<std::byte> header;
  header.reserve(checkpoint_header_bytes(sections.size()));
  for (const char letter : magic) {
    header.push_back(static_cast<std::byte>(letter));
  }
  put(header, format_version, 4);
  put(header, sections.size(), 4);
  put(header, identity.options_fingerprint, 8);
  put(header, static_cast<std::uint64_t>(identity.rank), 8);
  put(header, static_cast<std::uint64_t>(identity.ring_size), 8);
  put(header, static_cast<std::uint64_t>(step), 8);
  put(header, file_bytes, 8);
  put(header, 0, 8); // reserved
  put(header, 0, 8); // the checksum, below
  for (const CheckpointSection &section : sections) {
    const auto same = [&](const CheckpointSection &other) { return other.name == section.name; };
    if (section.name.empty() || section.name.size() >= name_bytes ||
        section.name.find('\0') != std::string_view::npos ||
        std::count_if(sections.begin(), sections.end(), same) != 1) {
      throw std::logic_error("checkpoint: the section name '" + std::string(section.name) +
                             "' is empty, too long or stands twice");
    }
    for (std::size_t letter = 0; letter < name_bytes; ++letter) {
      header.push_back(letter < section.name.size() ? static_cast<std::byte>(section.name[letter]) : std::byte{0});
    }
    put(header, section.bytes.size(), 8);
    put(header, byte_checksum(section.bytes), 8);
  }
  std::vector<std::byte> checksum;
  put(checksum, header_checksum(header), 8);
  std::copy(checksum.begin(), checksum.end(), header.begin() + checksum_place);
  return header;
}

std::size_t header_bytes_of(std::span<const std::byte> prefix, const std::string &where) {
  const std::size_t known = std::min(prefix.size(), magic.size());
  if (known < magic.size() || std::memcmp(prefix.data(), magic.data(), known) != 0) {
    refuse(where, "is no checkpoint of ringscale, or its beginning is damaged");
  }
  if (prefix.size() < checkpoint_prefix_bytes) {
    refuse(where, "is cut off: it has " + size_text(prefix.size()) + ", its header alone " +
                      std::to_string(checkpoint_prefix_bytes));
  }
  if (const std::uint64_t version = get(prefix, 8, 4); version != format_version) {
    refuse(where, "has version " + std::to_string(version) + " of the checkpoint format and this program reads " +
                      std::to_string(format_version) + "; use the program that wrote it, or start anew");
  }
  const std::uint64_t count = get(prefix, 12, 4);
  if (count > most_sections) {
    refuse(where, "has a damaged header: " + std::to_string(count) + " sections");
  }
  return checkpoint_header_bytes(count);
}

CheckpointHeader decode_header(std::span<const std::byte> header, std::uint64_t actual_file_bytes,
                               const CheckpointIdentity &expected, const std::string &where) {
  const std::size_t header_bytes =
      header_bytes_of(header.first(std::min(header.size(), checkpoint_prefix_bytes)), where);
  if (header.size() < header_bytes) {
    refuse(where,
           "is cut off: it has " + size_text(header.size()) + ", its header alone " + std::to_string(header_bytes));
  }
  if (get(header, checksum_place, 8) != header_checksum(header.first(header_bytes))) {
    refuse(where, "has a damaged header: its checksum does not match");
  }
  CheckpointHeader result;
  result.identity.options_fingerprint = get(header, 16, 8);
  result.identity.rank = static_cast<std::int64_t>(get(header, 24, 8));
  result.identity.ring_size = static_cast<std::int64_t>(get(header, 32, 8));
  result.step = static_cast<std::int64_t>(get(header, 40, 8));
  result.file_bytes = get(header, 48, 8);
  std::uint64_t offset = header_bytes;
  for (std::size_t place = checkpoint_prefix_bytes; place < header_bytes; place += entry_bytes) {
    SectionEntry entry;
    for (std::size_t letter = 0; letter < name_bytes && header[place + letter] != std::byte{0}; ++letter) {
      entry.name += std::to_integer<char>(header[place + letter]);
    }
    entry.offset = offset;
    entry.bytes = get(header, place + name_bytes, 8);
    entry.checksum = get(header, place + name_bytes + 8, 8);
    if (entry.bytes > result.file_bytes) {
      refuse(where, "has a damaged header: a section is larger than the file");
    }
    offset += entry.bytes;
    result.sections.push_back(std::move(entry));
  }
  if (offset != result.file_bytes) {
    refuse(where, "has a damaged header: its sections do not make up the file");
  }
  require_identity(result.identity, expected, where);
  if (actual_file_bytes != result.file_bytes) {
    refuse(where, std::string(actual_file_bytes < result.file_bytes ? "is cut off" : "has something behind its end") +
                      ": it has " + size_text(actual_file_bytes) + " and should have " +
                      std::to_string(result.file_bytes));
  }
  return result;
}

} // namespace ringscale::ring
