// SPDX-License-Identifier: Apache-2.0
#include "report/posix_file.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace ringscale::report {

PosixFile &PosixFile::operator=(PosixFile &&other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

PosixFile::~PosixFile() {
  if (valid()) {
    ::close(descriptor_);
  }
}

bool PosixFile::write_all(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

void sync_folder(const std::filesystem::path &folder) {
  const PosixFile descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.valid()) {
    ::fsync(descriptor.descriptor());
  }
}

} // namespace ringscale::report
