// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>

#include "ring/checkpoint_format.hpp"

namespace ringscale::ring {

/// Whether `mine` is true on every rank: collective, the same answer everywhere. For a Communicator c:
/// [&](bool mine) { return c.all(mine); }.
using Agreement = std::function<bool(bool mine)>;

/// A checkpoint was not written, on every rank; the one before is still the committed one.
class CheckpointFailure : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// FOLDER/rank-00002.step-000000000014.checkpoint, and FOLDER/committed, which names the step that all ranks have
/// whole.
std::filesystem::path checkpoint_path(const std::filesystem::path &folder, std::int64_t rank, std::int64_t step);
std::filesystem::path committed_path(const std::filesystem::path &folder);

/// Collective over the ring. Each rank writes one file (a temporary name, fsync, rename, fsync of the folder); when all
/// ranks have theirs, rank 0 replaces the mark of the committed step; only then older files are removed. A kill at any
/// moment leaves the old checkpoint or the new one, whole. `step` must be larger than the committed one. Throws
/// CheckpointFailure on every rank when any rank cannot write.
void write_checkpoint(const std::filesystem::path &folder, const CheckpointIdentity &identity, std::int64_t step,
                      std::span<const CheckpointSection> sections, const Agreement &all_agree);

/// The step that `folder` has committed, nothing where there is no checkpoint. Throws InvalidInput for a damaged mark,
/// and for one of another ring size or fingerprint.
std::optional<std::int64_t> committed_step(const std::filesystem::path &folder, const CheckpointIdentity &identity);

struct Checkpoint {
  std::int64_t step = 0;
  std::map<std::string, std::vector<std::byte>> sections;

  /// The bytes of a section; throws InvalidInput when it is missing or has another size.
  const std::vector<std::byte> &section(const std::string &name, std::size_t bytes) const;
};

/// This rank's file of the committed step, checked to the last byte. Not collective. Throws InvalidInput with one line
/// for a file that is missing, cut off, damaged, or belongs to another version, ring size, rank, step or fingerprint.
Checkpoint read_checkpoint(const std::filesystem::path &folder, const CheckpointIdentity &identity);

} // namespace ringscale::ring
