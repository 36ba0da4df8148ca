// SPDX-License-Identifier: Apache-2.0
#include "report/output_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "problem/invalid_input.hpp"
#include "report/posix_file.hpp"

namespace ringscale::report {

namespace {

using problem::InvalidInput;

[[noreturn]] void fail(const std::filesystem::path &path, int error) {
  throw InvalidInput("cannot write " + path.string() + ": " + std::strerror(error));
}

std::filesystem::path folder_of(const std::filesystem::path &path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

std::filesystem::path temporary_beside(const std::filesystem::path &path) {
  std::string name(".");
  name.append(path.filename().string()).append(".").append(std::to_string(::getpid())).append(".partial");
  return folder_of(path) / name;
}

void require_absent(const std::filesystem::path &path) {
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) {
    throw InvalidInput("cannot write " + path.string() + ": it exists already; name another output");
  }
}

/// Removes the temporary file whatever happens.
struct Temporary {
  std::filesystem::path path;
  ~Temporary() { ::unlink(path.c_str()); }
};

} // namespace

void write_file_exclusive(const std::filesystem::path &path, std::string_view text) {
  write_file_exclusive(path, std::span<const std::string_view>(&text, 1));
}

void write_file_exclusive(const std::filesystem::path &path, std::span<const std::string_view> parts) {
  std::error_code ignored;
  require_absent(path);
  const Temporary temporary{temporary_beside(path)};
  {
    PosixFile file(::open(temporary.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file.valid()) {
      fail(path, errno);
    }
    const auto write = [&](std::string_view part) { return file.write_all(part); };
    if (!std::all_of(parts.begin(), parts.end(), write) || ::fsync(file.descriptor()) != 0) {
      fail(path, errno);
    }
  }
  // link, unlike rename, never replaces what someone else put there in the meantime.
  if (::link(temporary.path.c_str(), path.c_str()) != 0) {
    const bool without_links = errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS;
    if (!without_links) {
      fail(path, errno);
    }
    if (std::filesystem::exists(path, ignored) || ::rename(temporary.path.c_str(), path.c_str()) != 0) {
      fail(path, EEXIST);
    }
  }
  sync_folder(folder_of(path));
}

void require_new_file(const std::filesystem::path &path) {
  require_absent(path);
  const Temporary temporary{temporary_beside(path)};
  const PosixFile file(::open(temporary.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!file.valid()) {
    fail(path, errno);
  }
}

void require_writable_folder(const std::filesystem::path &folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw InvalidInput("cannot make the folder " + folder.string() + ": " + error.message());
  }
  if (!std::filesystem::is_directory(folder, error)) {
    throw InvalidInput(folder.string() + " is not a folder");
  }
  const Temporary probe{folder / (".probe." + std::to_string(::getpid()) + ".partial")};
  const PosixFile file(::open(probe.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!file.valid()) {
    throw InvalidInput("the folder " + folder.string() + " cannot be written: " + std::strerror(errno));
  }
}

} // namespace ringscale::report
