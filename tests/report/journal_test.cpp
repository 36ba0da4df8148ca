// SPDX-License-Identifier: Apache-2.0
#include "report/journal.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <stdexcept>
#include <string>

#include "tests/report/expect_invalid.hpp"
#include "tests/report/temporary_folder.hpp"

namespace ringscale::report {
namespace {

using Start = Journal::Start;

std::string point_name(int point) {
  std::string name("p");
  return name.append(std::to_string(point));
}

Json row_of(int value) {
  Json row = Json::object();
  row["value"] = value;
  row["text"] = "line\nbreak";
  return row;
}

/// A journal of one run and three points; returns its text.
std::string write_sample(const TemporaryFolder &folder) {
  Journal journal(folder.path(), "identity", Start::fresh);
  journal.append_run(Json::object({{"run_id", "first"}}));
  for (int point = 0; point < 3; ++point) {
    journal.append_point(point_name(point), row_of(point));
  }
  return text_of(Journal::file_in(folder.path()));
}

TEST(Journal, ReadsBackWhatItWrote) {
  const TemporaryFolder folder;
  write_sample(folder);
  const Journal journal(folder.path(), "identity", Start::resume);
  ASSERT_EQ(journal.entries().size(), 3U);
  EXPECT_EQ(journal.entries()[1].point, "p1");
  EXPECT_EQ(journal.row("p2"), row_of(2));
  EXPECT_TRUE(journal.finished("p0"));
  EXPECT_FALSE(journal.finished("p3"));
  ASSERT_EQ(journal.runs().size(), 1U);
  EXPECT_EQ(journal.runs()[0]["run_id"], "first");
  EXPECT_THROW(static_cast<void>(journal.row("p3")), std::out_of_range);
}

TEST(Journal, SurvivesTruncationAtEveryByte) {
  const TemporaryFolder original;
  const std::string text = write_sample(original);
  for (std::size_t length = 0; length <= text.size(); ++length) {
    const TemporaryFolder folder;
    const auto file = Journal::file_in(folder.path());
    write_text(file, text.substr(0, length));
    std::size_t kept = 0;
    {
      Journal journal(folder.path(), "identity", Start::resume);
      // Whole lines count, nothing else does.
      const auto lines =
          static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<long>(length), '\n'));
      kept = lines > 2 ? lines - 2 : 0;
      ASSERT_EQ(journal.entries().size(), kept) << length;
      // Going on from here gives the same points as never having been cut.
      for (int point = 0; point < 3; ++point) {
        const std::string name = point_name(point);
        if (!journal.finished(name)) {
          journal.append_point(name, row_of(point));
        }
      }
    }
    const Journal again(folder.path(), "identity", Start::resume);
    ASSERT_EQ(again.entries().size(), 3U) << length;
    EXPECT_EQ(again.row("p2"), row_of(2));
  }
}

TEST(Journal, RefusesDamageInTheMiddle) {
  const TemporaryFolder folder;
  std::string text = write_sample(folder);
  const auto file = Journal::file_in(folder.path());
  text.replace(text.find("\"p1\""), 4, "\"p1 ,");
  write_text(file, text);
  expect_invalid([&] { const Journal journal(folder.path(), "identity", Start::resume); }, {"journal.jsonl:4"});
  EXPECT_EQ(text_of(file), text) << "a journal that is refused stays as it is";
}

TEST(Journal, RefusesPointsThatStandTwice) {
  const TemporaryFolder folder;
  const std::string text = write_sample(folder);
  const std::string last = text.substr(text.rfind('\n', text.size() - 2) + 1);
  write_text(Journal::file_in(folder.path()), text + last);
  expect_invalid([&] { const Journal journal(folder.path(), "identity", Start::resume); }, {"'p2' stands twice"});
  const TemporaryFolder other;
  Journal journal(other.path(), "identity", Start::fresh);
  journal.append_point("p", row_of(1));
  EXPECT_THROW(journal.append_point("p", row_of(1)), std::logic_error);
}

TEST(Journal, RefusesAnotherExperimentAndAnOldFolder) {
  const TemporaryFolder folder;
  write_sample(folder);
  expect_invalid([&] { const Journal journal(folder.path(), "other", Start::resume); }, {"another experiment file"});
  expect_invalid([&] { const Journal journal(folder.path(), "identity", Start::fresh); },
                 {"journal.jsonl exists already", "--resume"});
}

TEST(Journal, RefusesAnotherSchema) {
  const TemporaryFolder folder;
  const auto file = Journal::file_in(folder.path());
  write_text(file, "{\"schema\":\"ringscale.results\",\"schema_version\":1}\n");
  expect_invalid([&] { const Journal journal(folder.path(), "identity", Start::resume); },
                 {"'ringscale.results'", "'ringscale.journal'"});
  write_text(file, "{\"schema\":\"ringscale.journal\",\"schema_version\":2,\"identity\":\"identity\"}\n");
  expect_invalid([&] { const Journal journal(folder.path(), "identity", Start::resume); }, {"schema_version is 2"});
}

TEST(Journal, RemembersWhatWasBegunAndWhatFailed) {
  const TemporaryFolder folder;
  const auto reopened = [&] { return Journal(folder.path(), "identity", Start::resume); };
  {
    Journal journal(folder.path(), "identity", Start::fresh);
    EXPECT_FALSE(journal.interrupted());
    journal.append_started({"p0", 4});
    journal.append_point("p0", row_of(0));
    EXPECT_FALSE(journal.interrupted()) << "it finished";
    journal.append_started({"p1", 3});
  }
  {
    Journal journal = reopened();
    ASSERT_TRUE(journal.interrupted());
    EXPECT_EQ(journal.interrupted()->point, "p1");
    EXPECT_EQ(journal.interrupted()->ring_size, 3);
    EXPECT_FALSE(journal.finished("p1"));
    journal.append_failed({"p1", 3, "rank 2 died", 124});
    EXPECT_FALSE(journal.interrupted());
    journal.append_started({"p1", 2});
    journal.append_failed({"p1", 2, "the job ended", {}});
  }
  Journal journal = reopened();
  EXPECT_FALSE(journal.interrupted());
  ASSERT_EQ(journal.failures().size(), 2U);
  EXPECT_EQ(journal.failures()[0].reason, "rank 2 died");
  EXPECT_EQ(journal.failures()[0].exit_code, 124);
  EXPECT_EQ(journal.failures()[1].ring_size, 2);
  EXPECT_EQ(journal.failures()[1].exit_code, std::nullopt);
  EXPECT_EQ(journal.entries().size(), 1U) << "failures are no points";
}

TEST(Journal, RefusesLinesAboutFailuresThatSayTooLittleOrTooMuch) {
  for (const char *line :
       {R"({"started":"p"})", R"({"started":"p","ring_size":0})", R"({"started":"p","ring_size":1,"rank":2})",
        R"({"failed":"p","ring_size":1,"reason":"x"})", R"({"failed":"p","ring_size":1,"reason":"x","exit_code":256})",
        R"({"failed":"p","ring_size":1,"exit_code":null})"}) {
    const TemporaryFolder folder;
    const std::string text = write_sample(folder);
    write_text(Journal::file_in(folder.path()), text + line + "\n");
    expect_invalid([&] { const Journal journal(folder.path(), "identity", Start::resume); }, {"journal.jsonl:6"});
  }
}

TEST(Journal, KeepsASecondDriverOut) {
  const TemporaryFolder folder;
  {
    const Journal first(folder.path(), "identity", Start::fresh);
    expect_invalid([&] { const Journal second(folder.path(), "identity", Start::resume); },
                   {"in use by process " + std::to_string(::getpid())});
  }
  EXPECT_FALSE(std::filesystem::exists(folder / ".lock"));
  EXPECT_NO_THROW(Journal(folder.path(), "identity", Start::resume));
}

TEST(Journal, IsNotBlockedByADeadOwner) {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    Journal journal(folder.path(), "identity", Start::fresh);
    journal.append_point("p", row_of(1));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(std::filesystem::exists(folder / ".lock")) << "the killed owner could not tidy up";
  const Journal journal(folder.path(), "identity", Start::resume);
  EXPECT_TRUE(journal.finished("p"));
}

} // namespace
} // namespace ringscale::report
