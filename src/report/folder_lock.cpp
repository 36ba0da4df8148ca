// SPDX-License-Identifier: Apache-2.0
#include "report/folder_lock.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "problem/invalid_input.hpp"

namespace ringscale::report {

namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

/// "process 123 on host", or empty for an empty file.
std::string owner_of(const PosixFile &file) {
  std::array<char, 300> text{};
  const ssize_t length = ::pread(file.descriptor(), text.data(), text.size() - 1, 0);
  return length > 0 ? std::string(text.data(), static_cast<std::size_t>(length)) : std::string();
}

std::string own_name() {
  return std::string("process ").append(std::to_string(::getpid())).append(" on ").append(host_name());
}

/// Only for file systems without flock: whether the process named in the file is known to be gone.
bool owner_is_gone(const std::string &owner) {
  const std::string suffix = " on " + host_name();
  if (owner.empty()) {
    return true;
  }
  if (owner.size() < suffix.size() || owner.compare(owner.size() - suffix.size(), suffix.size(), suffix) != 0) {
    return false; // another host: nothing is known
  }
  const auto process = static_cast<pid_t>(std::strtol(owner.c_str() + std::strlen("process "), nullptr, 10));
  return process <= 0 || (::kill(process, 0) != 0 && errno == ESRCH);
}

bool still_at(const PosixFile &file, const std::filesystem::path &path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(file.descriptor(), &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

PosixFile take(const std::filesystem::path &path) {
  for (;;) {
    PosixFile file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!file.valid()) {
      throw problem::InvalidInput("cannot lock " + path.string() + ": " + std::strerror(errno));
    }
    const std::string owner = owner_of(file);
    bool held_elsewhere = false;
    if (::flock(file.descriptor(), LOCK_EX | LOCK_NB) != 0) {
      const bool without_flock = errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK;
      held_elsewhere = !without_flock || !owner_is_gone(owner);
    }
    if (held_elsewhere) {
      throw problem::InvalidInput("the folder " + path.parent_path().string() + " is in use by " +
                                  (owner.empty() ? "another run" : owner) + "; wait for it, or remove " +
                                  path.string() + " if that run is gone");
    }
    // The former owner removes the file when it ends; a lock on a file without a name protects nothing.
    if (!still_at(file, path)) {
      continue;
    }
    if (::ftruncate(file.descriptor(), 0) != 0 || ::lseek(file.descriptor(), 0, SEEK_SET) != 0 ||
        !file.write_all(own_name())) {
      throw problem::InvalidInput("cannot lock " + path.string() + ": " + std::strerror(errno));
    }
    return file;
  }
}

} // namespace

FolderLock::FolderLock(const std::filesystem::path &folder) : path_(folder / ".lock"), file_(take(path_)) {}

FolderLock::~FolderLock() { ::unlink(path_.c_str()); }

} // namespace ringscale::report
