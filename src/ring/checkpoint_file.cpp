// SPDX-License-Identifier: Apache-2.0
#include "ring/checkpoint_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "problem/invalid_input.hpp"

namespace ringscale::ring {

namespace {

using problem::InvalidInput;
namespace fs = std::filesystem;

class Descriptor {
public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }
  bool valid() const { return number_ >= 0; }
  int number() const { return number_; }

private:
  int number_;
};

[[noreturn]] void fail_writing(const fs::path &path) {
  throw CheckpointFailure("cannot write " + path.string() + ": " + std::strerror(errno));
}

void write_all(int descriptor, std::span<const std::byte> bytes, const fs::path &path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      fail_writing(path);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void read_all(int descriptor, std::span<std::byte> bytes, const fs::path &path) {
  while (!bytes.empty()) {
    const ssize_t got = ::read(descriptor, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      throw InvalidInput(path.string() + (got == 0 ? " became shorter while it was read"
                                                   : " cannot be read: " + std::string(std::strerror(errno))));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

/// Makes a new name survive a power cut; file systems that cannot sync folders are left alone.
void sync_folder(const fs::path &folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.valid()) {
    ::fsync(descriptor.number());
  }
}

/// The whole file under its final name, or no change at all.
void replace_file(const fs::path &path, std::span<const std::span<const std::byte>> parts) {
  fs::path temporary = path;
  temporary += ".partial";
  try {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file.valid()) {
      fail_writing(path);
    }
    for (const std::span<const std::byte> part : parts) {
      write_all(file.number(), part, path);
    }
    if (::fsync(file.number()) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
      fail_writing(path);
    }
  } catch (const CheckpointFailure &) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(path.parent_path());
}

constexpr const char *mark_format =
    "ringscale checkpoint: step %" PRId64 " ring_size %" PRId64 " options %016" PRIx64 "\n";
constexpr std::size_t longest_mark = 200;

std::string mark_text(const CheckpointIdentity &identity, std::int64_t step) {
  std::array<char, longest_mark> text{};
  std::snprintf(text.data(), text.size(), mark_format, step, identity.ring_size, identity.options_fingerprint);
  return text.data();
}

void remove_other_steps(const fs::path &folder, std::int64_t rank, std::int64_t step) {
  const std::string kept = checkpoint_path(folder, rank, step).filename().string();
  const std::string mine = kept.substr(0, kept.find(".step-") + std::strlen(".step-"));
  std::error_code ignored;
  std::vector<fs::path> old;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, ignored)) {
    const std::string file = entry.path().filename().string();
    if (file.starts_with(mine) && file != kept) {
      old.push_back(entry.path());
    }
  }
  for (const fs::path &path : old) {
    fs::remove(path, ignored);
  }
}

/// Runs `part` on this rank and learns how it went on all; the message of the first thing that went wrong here.
template <class Part> void together(const Agreement &all_agree, const char *what, const Part &part) {
  std::string reason;
  try {
    part();
  } catch (const std::exception &error) {
    reason = error.what();
  }
  if (!all_agree(reason.empty())) {
    throw CheckpointFailure(reason.empty() ? std::string("another rank could not ") + what : reason);
  }
}

} // namespace

fs::path checkpoint_path(const fs::path &folder, std::int64_t rank, std::int64_t step) {
  std::array<char, 96> name{};
  std::snprintf(name.data(), name.size(), "rank-%05" PRId64 ".step-%012" PRId64 ".checkpoint", rank, step);
  return folder / name.data();
}

fs::path committed_path(const fs::path &folder) { return folder / "committed"; }

void write_checkpoint(const fs::path &folder, const CheckpointIdentity &identity, std::int64_t step,
                      std::span<const CheckpointSection> sections, const Agreement &all_agree) {
  const fs::path path = checkpoint_path(folder, identity.rank, step);
  bool new_file_is_mine = false;
  try {
    together(all_agree, "write its checkpoint", [&] {
      fs::create_directories(folder);
      if (const std::optional<std::int64_t> before = committed_step(folder, identity); before && *before >= step) {
        throw InvalidInput(folder.string() + " has a checkpoint of step " + std::to_string(*before) +
                           " already and this is step " + std::to_string(step) +
                           "; go on from it or name another folder");
      }
      const std::vector<std::byte> header = encode_header(identity, step, sections);
      std::vector<std::span<const std::byte>> parts{header};
      for (const CheckpointSection &section : sections) {
        parts.push_back(section.bytes);
      }
      replace_file(path, parts);
      new_file_is_mine = true;
    });
    together(all_agree, "be told that the checkpoint is complete", [&] {
      if (identity.rank == 0) {
        const std::string text = mark_text(identity, step);
        const std::span<const std::byte> part = std::as_bytes(std::span(text));
        replace_file(committed_path(folder), {&part, 1});
      }
    });
  } catch (const CheckpointFailure &) {
    if (new_file_is_mine) {
      std::error_code ignored;
      fs::remove(path, ignored);
    }
    throw;
  }
  remove_other_steps(folder, identity.rank, step);
}

std::optional<std::int64_t> committed_step(const fs::path &folder, const CheckpointIdentity &identity) {
  const fs::path path = committed_path(folder);
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return std::nullopt;
    }
    throw InvalidInput(path.string() + " cannot be read: " + std::strerror(errno));
  }
  struct stat facts {};
  std::string text;
  if (::fstat(file.number(), &facts) == 0 && facts.st_size < static_cast<off_t>(longest_mark)) {
    text.resize(static_cast<std::size_t>(facts.st_size));
    read_all(file.number(), std::as_writable_bytes(std::span(text)), path);
  }
  std::int64_t step = 0;
  CheckpointIdentity found = identity;
  // Written again from what was read, the text must be the same: nothing but a whole mark passes.
  if (std::sscanf(text.c_str(), mark_format, &step, &found.ring_size, &found.options_fingerprint) != 3 || step < 0 ||
      mark_text(found, step) != text) {
    throw InvalidInput(path.string() + " is damaged; name another folder to start anew");
  }
  if (found.ring_size != identity.ring_size) {
    throw InvalidInput(path.string() + " is of a ring of " + std::to_string(found.ring_size) +
                       " ranks and this ring has " + std::to_string(identity.ring_size) +
                       "; start as many ranks as before or name another folder");
  }
  if (found != identity) {
    throw InvalidInput(path.string() + " is of a run with other options; repeat them or name another folder");
  }
  return step;
}

const std::vector<std::byte> &Checkpoint::section(const std::string &name, std::size_t bytes) const {
  const auto found = sections.find(name);
  if (found == sections.end()) {
    throw InvalidInput("the checkpoint of step " + std::to_string(step) + " lacks the section '" + name + "'");
  }
  if (found->second.size() != bytes) {
    throw InvalidInput("the checkpoint of step " + std::to_string(step) + " has " +
                       std::to_string(found->second.size()) + " bytes in section '" + name + "' where " +
                       std::to_string(bytes) + " belong");
  }
  return found->second;
}

Checkpoint read_checkpoint(const fs::path &folder, const CheckpointIdentity &identity) {
  const std::optional<std::int64_t> step = committed_step(folder, identity);
  if (!step) {
    throw InvalidInput(folder.string() + " has no complete checkpoint; start without one");
  }
  const fs::path path = checkpoint_path(folder, identity.rank, *step);
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts {};
  if (!file.valid() || ::fstat(file.number(), &facts) != 0) {
    throw InvalidInput(path.string() + " cannot be read: " + std::strerror(errno));
  }
  const auto file_bytes = static_cast<std::uint64_t>(facts.st_size);
  std::vector<std::byte> header(std::min<std::size_t>(checkpoint_prefix_bytes, file_bytes));
  read_all(file.number(), header, path);
  const std::size_t whole_header = std::min<std::size_t>(header_bytes_of(header, path.string()), file_bytes);
  const std::size_t begun = header.size();
  header.resize(whole_header);
  read_all(file.number(), std::span(header).subspan(begun), path);
  const CheckpointHeader table = decode_header(header, file_bytes, identity, path.string());
  if (table.step != *step) {
    throw InvalidInput(path.string() + " is of step " + std::to_string(table.step) + " and " + std::to_string(*step) +
                       " is committed; the file was renamed");
  }
  Checkpoint checkpoint;
  checkpoint.step = table.step;
  for (const SectionEntry &entry : table.sections) {
    std::vector<std::byte> bytes(entry.bytes);
    read_all(file.number(), bytes, path);
    if (byte_checksum(bytes) != entry.checksum) {
      throw InvalidInput(path.string() + " is damaged: the checksum of section '" + entry.name + "' does not match");
    }
    checkpoint.sections.emplace(entry.name, std::move(bytes));
  }
  return checkpoint;
}

} // namespace ringscale::ring
