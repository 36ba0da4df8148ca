// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

namespace ringscale::report {

/// Writes a whole file or nothing, and never over an older one: a temporary file in the same folder, fsync, then
/// a link under the final name, fsync of the folder. Throws problem::InvalidInput (one line) when the file exists,
/// the folder is missing or read-only, or the disk is full; nothing is left behind then.
void write_file_exclusive(const std::filesystem::path &path, std::string_view text);

/// The same for a file whose parts lie apart in memory: written one after the other, joined nowhere.
void write_file_exclusive(const std::filesystem::path &path, std::span<const std::string_view> parts);

/// Checks that write_file_exclusive could write `path` now, before work is spent on what goes there. Throws
/// problem::InvalidInput otherwise.
void require_new_file(const std::filesystem::path &path);

/// Makes `folder` (and its parents) and checks that a file can be created in it, before hours of work are spent on
/// what could not be written. Throws problem::InvalidInput otherwise.
void require_writable_folder(const std::filesystem::path &folder);

} // namespace ringscale::report
