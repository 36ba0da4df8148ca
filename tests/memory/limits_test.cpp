// SPDX-License-Identifier: Apache-2.0
#include "memory/limits.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "tests/report/expect_invalid.hpp"

namespace ringscale::memory {
namespace {

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

TEST(ParseBytes, ReadsPlainDecimalAndBinaryUnits) {
  EXPECT_EQ(parse_bytes("limit", "0"), 0);
  EXPECT_EQ(parse_bytes("limit", "4096"), 4096);
  EXPECT_EQ(parse_bytes("limit", "4096B"), 4096);
  EXPECT_EQ(parse_bytes("limit", "3kB"), 3000);
  EXPECT_EQ(parse_bytes("limit", "1GB"), 1'000'000'000);
  EXPECT_EQ(parse_bytes("limit", "1GiB"), std::int64_t{1} << 30);
  EXPECT_EQ(parse_bytes("limit", "512MiB"), std::int64_t{512} << 20);
  EXPECT_EQ(parse_bytes("limit", "1.5GB"), 1'500'000'000);
  EXPECT_EQ(parse_bytes("limit", "0.5KiB"), 512);
  EXPECT_EQ(parse_bytes("limit", "9223372036854775807"), most);
}

TEST(ParseBytes, RefusesWhatIsNoSize) {
  for (const char *text : {"", "GB", "-1", "1 GB", "1gb", "1e9", "0x10", "1.", ".5GB", "1.5.5GB", "nan", "1GBs"}) {
    expect_invalid([&] { parse_bytes("--memory-limit", text); },
                   {"--memory-limit is '" + std::string(text) + "'", "512MiB"});
  }
  expect_invalid([] { parse_bytes("limit", "0.5"); }, {"whole number of bytes"});
  expect_invalid([] { parse_bytes("limit", "1.0001KiB"); }, {"whole number of bytes"});
  for (const char *text : {"9223372036854775808", "9000000TiB", "99999999999999999999GB"}) {
    expect_invalid([&] { parse_bytes("limit", text); }, {"less than 2^63"});
  }
}

TEST(RequireWithin, LetsThroughUpToTheLimitAndNamesSizeLimitAndFlagBeyond) {
  const Limits limits{1000, 600, 2000};
  EXPECT_NO_THROW(require_communication_within(limits, 1000, "a hop"));
  EXPECT_NO_THROW(require_projection_within(limits, 20, 30, "the projection"));
  EXPECT_NO_THROW(require_memory_within(limits, 2000, "a rank"));
  expect_invalid([&] { require_communication_within(limits, 1001, "a hop"); },
                 {"a hop needs 1001 bytes", "limit of 1000 bytes", "--communication-limit"});
  expect_invalid([&] { require_projection_within(limits, 20, 31, "the projection"); },
                 {"the projection needs 20 x 31 = 620 elements", "limit of 600", "--projection-limit"});
  expect_invalid([&] { require_memory_within(limits, 2001, "a rank"); },
                 {"a rank needs 2001 bytes", "limit of 2000 bytes", "--memory-limit"});
}

TEST(RequireWithin, HasTheDocumentedDefaultsAndTakesZeroAsNoLimit) {
  const Limits defaults;
  EXPECT_NO_THROW(require_communication_within(defaults, 1'000'000'000, "a hop"));
  expect_invalid([&] { require_communication_within(defaults, 1'000'000'001, "a hop"); }, {"(1 GB)"});
  EXPECT_NO_THROW(require_projection_within(defaults, 10'000, 10'000, "w"));
  EXPECT_THROW(require_projection_within(defaults, 10'000, 10'001, "w"), problem::InvalidInput);
  EXPECT_NO_THROW(require_memory_within(defaults, most, "a rank"));
  const Limits none{0, 0, 0};
  EXPECT_NO_THROW(require_communication_within(none, most, "a hop"));
  EXPECT_NO_THROW(require_projection_within(none, 1 << 30, 1 << 30, "w"));
  EXPECT_THROW(require_projection_within(none, most, 2, "w"), problem::InvalidInput) << "more than 63 bits";
  EXPECT_THROW(require_memory_within(none, -1, "a rank"), std::logic_error);
}

TEST(DescribeBytes, KeepsEveryByteAndAddsAUnit) {
  EXPECT_EQ(describe_bytes(999), "999 bytes");
  EXPECT_EQ(describe_bytes(1'500'000'000), "1500000000 bytes (1.5 GB)");
  EXPECT_EQ(describe_bytes(2048), "2048 bytes (2.048 kB)");
}

} // namespace
} // namespace ringscale::memory
