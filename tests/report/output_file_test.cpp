// SPDX-License-Identifier: Apache-2.0
#include "report/output_file.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "tests/report/expect_invalid.hpp"
#include "tests/report/temporary_folder.hpp"

namespace ringscale::report {
namespace {

std::size_t files_in(const std::filesystem::path &folder) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

TEST(WriteFileExclusive, WritesEverythingAndLeavesNothingElse) {
  const TemporaryFolder folder;
  const std::string text(3'000'000, 'x');
  write_file_exclusive(folder / "results.json", text);
  EXPECT_EQ(text_of(folder / "results.json"), text);
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(WriteFileExclusive, NeverReplacesAFile) {
  const TemporaryFolder folder;
  write_file_exclusive(folder / "results.json", "first");
  expect_invalid([&] { write_file_exclusive(folder / "results.json", "second"); }, {"results.json", "exists already"});
  EXPECT_EQ(text_of(folder / "results.json"), "first");
  std::filesystem::create_symlink("nowhere", folder / "dangling.json");
  expect_invalid([&] { write_file_exclusive(folder / "dangling.json", "x"); }, {"exists already"});
  EXPECT_EQ(files_in(folder.path()), 2U);
}

TEST(WriteFileExclusive, SaysInOneLineWhyAFolderCannotBeWritten) {
  const TemporaryFolder folder;
  expect_invalid([&] { write_file_exclusive(folder.path() / "absent" / "results.json", "x"); },
                 {"absent/results.json", "No such file or directory"});
  write_text(folder / "file", "x");
  expect_invalid([&] { write_file_exclusive(folder.path() / "file" / "results.json", "x"); }, {"Not a directory"});
  expect_invalid([&] { write_file_exclusive("/proc/results.json", "x"); }, {"/proc/results.json"});
}

TEST(RequireWritableFolder, MakesFoldersAndFindsReadOnlyOnes) {
  const TemporaryFolder folder;
  require_writable_folder(folder.path() / "a" / "b");
  EXPECT_TRUE(std::filesystem::is_directory(folder.path() / "a" / "b"));
  EXPECT_EQ(files_in(folder.path() / "a" / "b"), 0U);
  write_text(folder / "file", "x");
  expect_invalid([&] { require_writable_folder(folder / "file"); }, {"file"});
  expect_invalid([&] { require_writable_folder("/proc/1"); }, {"/proc/1"});
}

TEST(RequireWritableFolder, RefusesAFolderWithoutWritePermission) {
  if (::geteuid() == 0) {
    GTEST_SKIP() << "root may write everywhere";
  }
  const TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  expect_invalid([&] { require_writable_folder(folder.path()); }, {"cannot be written"});
  expect_invalid([&] { write_file_exclusive(folder / "results.json", "x"); }, {"Permission denied"});
}

} // namespace
} // namespace ringscale::report
