// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "report/posix_file.hpp"

namespace ringscale::report {

/// Keeps a second driver out of an output folder for as long as it lives: FOLDER/.lock, held by flock, so that the
/// lock of a dead process never blocks. Where the file system has no flock the process id in the file decides.
class FolderLock {
public:
  /// Throws problem::InvalidInput naming the process that holds the folder, or why it cannot be locked.
  explicit FolderLock(const std::filesystem::path &folder);
  FolderLock(const FolderLock &) = delete;
  FolderLock &operator=(const FolderLock &) = delete;
  ~FolderLock();

private:
  std::filesystem::path path_;
  PosixFile file_;
};

} // namespace ringscale::report
