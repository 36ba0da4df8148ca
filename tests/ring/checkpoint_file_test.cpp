// SPDX-License-Identifier: Apache-2.0
#include "ring/checkpoint_file.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>
#include <stdexcept>
#include <string>

#include "tests/report/expect_invalid.hpp"
#include "tests/report/temporary_folder.hpp"
#include "tests/ring/checkpoint_sample.hpp"

namespace ringscale::ring {
namespace {

const CheckpointIdentity mine{0x1234567890abcdefULL, 0, 1};
const Agreement alone = [](bool own) { return own; };

std::set<std::string> names_in(const std::filesystem::path &folder) {
  std::set<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

/// A folder with the checkpoint of step 3, whose file tests may damage.
struct Written {
  Written() { write_sample(folder.path(), mine, 3, alone); }
  std::filesystem::path file() const { return checkpoint_path(folder.path(), 0, 3); }
  void damage(const std::string &text) const { write_text(file(), text); }
  void expect_refused(const std::vector<std::string> &parts) const {
    expect_invalid([&] { read_checkpoint(folder.path(), mine); }, parts);
  }
  TemporaryFolder folder;
};

TEST(CheckpointFile, ReadsBackWhatItWrote) {
  const Written written;
  EXPECT_EQ(committed_step(written.folder.path(), mine), 3);
  const Checkpoint checkpoint = read_checkpoint(written.folder.path(), mine);
  EXPECT_TRUE(is_sample(checkpoint, mine, 3));
  EXPECT_FALSE(is_sample(checkpoint, mine, 4)) << "the samples of two steps differ";
  expect_invalid([&] { static_cast<void>(checkpoint.section("outputs", 203)); }, {"lacks the section 'outputs'"});
  expect_invalid([&] { static_cast<void>(checkpoint.section("output", 204)); }, {"203 bytes", "204"});
}

TEST(CheckpointFile, KeepsOneCheckpointAndNothingElse) {
  const Written written;
  write_sample(written.folder.path(), mine, 4, alone);
  write_sample(written.folder.path(), mine, 10, alone);
  EXPECT_EQ(names_in(written.folder.path()),
            (std::set<std::string>{"committed", "rank-00000.step-000000000010.checkpoint"}));
  EXPECT_TRUE(is_sample(read_checkpoint(written.folder.path(), mine), mine, 10));
}

TEST(CheckpointFile, RefusesEveryTruncation) {
  const Written written;
  const std::string text = text_of(written.file());
  for (std::size_t length = 0; length < text.size(); ++length) {
    written.damage(text.substr(0, length));
    written.expect_refused({written.file().string(), length < 8 ? "no checkpoint" : "is cut off"});
  }
  written.damage(text + "x");
  written.expect_refused({"something behind its end"});
  written.damage(text);
  EXPECT_TRUE(is_sample(read_checkpoint(written.folder.path(), mine), mine, 3)) << "the undamaged file is taken";
}

TEST(CheckpointFile, RefusesEveryChangedByte) {
  const Written written;
  const std::string text = text_of(written.file());
  for (std::size_t place = 0; place < text.size(); ++place) {
    std::string changed = text;
    changed[place] = static_cast<char>(changed[place] ^ (1 << (place % 8)));
    written.damage(changed);
    written.expect_refused({written.file().string()});
  }
  std::string swapped = text; // two words of a section change places
  const std::size_t begin = checkpoint_header_bytes(3);
  swapped.replace(begin, 8, text, begin + 8, 8).replace(begin + 8, 8, text, begin, 8);
  ASSERT_NE(swapped, text);
  written.damage(swapped);
  written.expect_refused({"checksum of section 'output'"});
}

TEST(CheckpointFile, RefusesAnotherVersionAndWhatIsNoCheckpoint) {
  const Written written;
  std::string text = text_of(written.file());
  text[8] = 2;
  written.damage(text);
  written.expect_refused({"version 2", "reads 1"});
  written.damage(std::string(1000, 'x'));
  written.expect_refused({"is no checkpoint"});
}

TEST(CheckpointFile, RefusesAnotherRunRankOrRing) {
  const Written written;
  const auto expect_refused = [&](const CheckpointIdentity &other, const std::vector<std::string> &parts) {
    expect_invalid([&] { read_checkpoint(written.folder.path(), other); }, parts);
  };
  expect_refused({mine.options_fingerprint + 1, 0, 1}, {"other options"});
  expect_refused({mine.options_fingerprint, 0, 2}, {"ring of 1 ranks", "has 2"});
  expect_refused({mine.options_fingerprint, 1, 1}, {"rank-00001", "cannot be read"});
  // Behind the mark's back: files that were renamed, or a mark from elsewhere.
  std::filesystem::copy_file(written.file(), checkpoint_path(written.folder.path(), 1, 3));
  expect_refused({mine.options_fingerprint, 1, 1}, {"written by rank 0", "this is rank 1"});
  const TemporaryFolder other;
  write_sample(other.path(), {77, 0, 1}, 3, alone);
  std::filesystem::copy_file(checkpoint_path(other.path(), 0, 3), written.file(),
                             std::filesystem::copy_options::overwrite_existing);
  expect_refused(mine, {"other options", "000000000000004d"});
  const TemporaryFolder larger;
  write_sample(larger.path(), {mine.options_fingerprint, 0, 2}, 3, alone);
  std::filesystem::copy_file(checkpoint_path(larger.path(), 0, 3), written.file(),
                             std::filesystem::copy_options::overwrite_existing);
  expect_refused(mine, {"ring of 2 ranks"});
  write_sample(other.path(), {77, 0, 1}, 4, alone);
  std::filesystem::rename(checkpoint_path(other.path(), 0, 4), checkpoint_path(other.path(), 0, 5));
  write_text(committed_path(other.path()), "ringscale checkpoint: step 5 ring_size 1 options 000000000000004d\n");
  expect_invalid([&] { read_checkpoint(other.path(), {77, 0, 1}); }, {"is of step 4", "renamed"});
}

TEST(CheckpointFile, RefusesADamagedMark) {
  const Written written;
  const std::string mark = text_of(committed_path(written.folder.path()));
  EXPECT_EQ(mark, "ringscale checkpoint: step 3 ring_size 1 options 1234567890abcdef\n");
  for (std::size_t length = 0; length < mark.size(); ++length) {
    write_text(committed_path(written.folder.path()), mark.substr(0, length));
    expect_invalid([&] { committed_step(written.folder.path(), mine); }, {"committed is damaged"});
  }
  for (const std::string &text : {mark + "x", std::string("step 3\n"), std::string(500, 'x')}) {
    write_text(committed_path(written.folder.path()), text);
    expect_invalid([&] { committed_step(written.folder.path(), mine); }, {"committed is damaged"});
  }
  const TemporaryFolder empty;
  EXPECT_EQ(committed_step(empty.path(), mine), std::nullopt);
  expect_invalid([&] { read_checkpoint(empty.path(), mine); }, {"no complete checkpoint"});
}

TEST(CheckpointFile, KeepsTheOldOneWhenAnyRankFails) {
  const Written written;
  const Agreement other_rank_failed = [](bool) { return false; };
  EXPECT_THROW(write_sample(written.folder.path(), mine, 4, other_rank_failed), CheckpointFailure);
  EXPECT_TRUE(is_sample(read_checkpoint(written.folder.path(), mine), mine, 3));
  EXPECT_EQ(names_in(written.folder.path()).size(), 2U) << "the new file is gone again";
  // This rank's own failure: a folder stands where its file belongs.
  std::filesystem::create_directories(checkpoint_path(written.folder.path(), 0, 5) / "in the way");
  try {
    write_sample(written.folder.path(), mine, 5, alone);
    FAIL() << "a folder was replaced";
  } catch (const CheckpointFailure &failure) {
    EXPECT_NE(std::string(failure.what()).find("cannot write"), std::string::npos) << failure.what();
  }
  EXPECT_TRUE(is_sample(read_checkpoint(written.folder.path(), mine), mine, 3));
}

TEST(CheckpointFile, NeverGoesBackAndNeverMixesRuns) {
  const Written written;
  for (const std::int64_t step : {0, 2, 3}) {
    EXPECT_THROW(write_sample(written.folder.path(), mine, step, alone), CheckpointFailure) << step;
  }
  EXPECT_THROW(write_sample(written.folder.path(), {1, 0, 1}, 4, alone), CheckpointFailure);
  EXPECT_THROW(write_sample(written.folder.path(), {mine.options_fingerprint, 0, 2}, 4, alone), CheckpointFailure);
  EXPECT_TRUE(is_sample(read_checkpoint(written.folder.path(), mine), mine, 3));
}

TEST(CheckpointFile, SurvivesAKillAtEveryMomentOfItsProtocol) {
  // The agreement is asked twice: when the file has its name, and when the mark is written.
  for (const int kill_at : {0, 1}) {
    const Written written;
    const pid_t child = ::fork();
    if (child == 0) {
      int asked = 0;
      write_sample(written.folder.path(), mine, 4, [&](bool own) {
        if (asked++ == kill_at) {
          ::kill(::getpid(), SIGKILL);
        }
        return own;
      });
      ::_exit(3);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_TRUE(is_sample(read_checkpoint(written.folder.path(), mine), mine, kill_at == 0 ? 3 : 4));
    // What the kill left behind is in nobody's way, and gone after the next checkpoint.
    write_sample(written.folder.path(), mine, 5, alone);
    EXPECT_TRUE(is_sample(read_checkpoint(written.folder.path(), mine), mine, 5));
    EXPECT_EQ(names_in(written.folder.path()).size(), 2U);
  }
}

TEST(CheckpointFormat, RefusesBadSections) {
  const std::vector<std::byte> bytes(4);
  const auto encode = [&](const std::vector<CheckpointSection> &sections, std::int64_t step) {
    return encode_header(mine, step, sections);
  };
  EXPECT_NO_THROW(encode({{std::string_view("a name of thirty-nine letters and spaces").substr(0, 39), bytes}}, 0));
  EXPECT_THROW(encode({{"a name of forty letters, which is too long", bytes}}, 0), std::logic_error);
  EXPECT_THROW(encode({{"", bytes}}, 0), std::logic_error);
  EXPECT_THROW(encode({{"twice", bytes}, {"twice", bytes}}, 0), std::logic_error);
  EXPECT_THROW(encode({{"section", bytes}}, -1), std::logic_error);
  EXPECT_THROW(encode(std::vector<CheckpointSection>(4097, {"section", bytes}), 0), std::logic_error);
}

TEST(ByteChecksum, SeesLengthPlaceAndValue) {
  const std::vector<std::byte> zeros(64, std::byte{0});
  std::set<std::uint64_t> sums;
  for (std::size_t length = 0; length <= zeros.size(); ++length) {
    sums.insert(byte_checksum(std::span(zeros).first(length)));
  }
  EXPECT_EQ(sums.size(), 65U) << "runs of zeros of every length differ";
  for (std::size_t place = 0; place < zeros.size(); ++place) {
    std::vector<std::byte> one = zeros;
    one[place] = std::byte{1};
    sums.insert(byte_checksum(one));
  }
  EXPECT_EQ(sums.size(), 129U) << "a one in every place differs";
}

} // namespace
} // namespace ringscale::ring
