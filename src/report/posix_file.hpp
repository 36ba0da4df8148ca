// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

namespace ringscale::report {

/// Owns a file descriptor; streams of the standard library cannot fsync.
class PosixFile {
public:
  explicit PosixFile(int descriptor) : descriptor_(descriptor) {}
  PosixFile(PosixFile &&other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  PosixFile &operator=(PosixFile &&other) noexcept;
  PosixFile(const PosixFile &) = delete;
  PosixFile &operator=(const PosixFile &) = delete;
  ~PosixFile();

  bool valid() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  /// Writes everything, also across interrupted and short writes; false leaves the reason in errno.
  bool write_all(std::string_view text) const;

private:
  int descriptor_;
};

/// Makes a new name in the folder survive a power cut; file systems that cannot sync folders are left alone.
void sync_folder(const std::filesystem::path &folder);

} // namespace ringscale::report
