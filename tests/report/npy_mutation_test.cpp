// SPDX-License-Identifier: Apache-2.0
// Files that are broken at random, with a fixed seed: each is refused in one line, or is a valid file still.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>

#include "problem/invalid_input.hpp"
#include "report/npy_file.hpp"
#include "tests/report/npy_bytes.hpp"
#include "tests/report/temporary_folder.hpp"

namespace ringscale::report {
namespace {

/// Changes, removes, repeats or inserts some bytes of `bytes`, most of them in the first 140, where the header lies.
std::string mutated(std::string bytes, std::mt19937 &random) {
  const auto below = [&](std::size_t limit) {
    return static_cast<std::size_t>(random() % std::max<std::size_t>(limit, 1));
  };
  const std::string snippets[] = {"(",           ")",     "'",    ",",  "{",    "}",    "-",
                                  "99999999999", "shape", "True", "\\", "\x01", "\xff", ":"};
  for (std::size_t change = 0, changes = 1 + below(4); change < changes; ++change) {
    const std::size_t place = below(random() % 8 == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 140));
    switch (random() % 5) {
    case 0:
      bytes[std::min(place, bytes.size() - 1)] = static_cast<char>(random());
      break;
    case 1:
      bytes.erase(place, 1 + below(5));
      break;
    case 2:
      bytes.insert(place, snippets[below(std::size(snippets))]);
      break;
    case 3:
      bytes.insert(place, bytes.substr(below(bytes.size()), below(30)));
      break;
    default:
      bytes.resize(place + below(60));
    }
    if (bytes.empty()) {
      bytes.push_back('\x93');
    }
  }
  return bytes;
}

TEST(NpyMutation, NoBytesCrashTheReaderAndNoWrongFilePasses) {
  const TemporaryFolder folder;
  std::mt19937 random(20240229);
  const std::string valid =
      npy_bytes("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3, 1, 4), }" + std::string(45, ' ') + "\n",
                std::string(48, 'x'));
  int refused = 0;
  int read = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::string bytes = mutated(valid, random);
    // A new file every round: some file systems write a file that is truncated and filled again to disk at once.
    std::filesystem::remove(folder / std::to_string(round - 1));
    const auto file = folder / std::to_string(round);
    write_text(file, bytes);
    try {
      const NpyTensor tensor = read_npy(file);
      ++read;
      std::int64_t elements = 1;
      for (const std::int64_t extent : tensor.shape) {
        ASSERT_GT(extent, 0);
        elements *= extent;
      }
      ASSERT_EQ(tensor.shape.size(), 4U);
      ASSERT_EQ(tensor.data.size(), static_cast<std::size_t>(elements * element_bytes(tensor.type)));
      // What is read is the end of the file, nothing else.
      ASSERT_EQ(bytes.substr(bytes.size() - tensor.data.size()),
                std::string(reinterpret_cast<const char *>(tensor.data.data()), tensor.data.size()));
    } catch (const problem::InvalidInput &error) {
      ++refused;
      const std::string message = error.what();
      ASSERT_TRUE(std::all_of(message.begin(), message.end(), [](char byte) { return byte >= 0x20 && byte < 0x7F; }))
          << message;
      ASSERT_LT(message.size(), 400U) << message;
    }
  }
  // Both happen, so that neither branch above is idle.
  EXPECT_GT(refused, 10'000);
  EXPECT_GT(read, 100);
}

} // namespace
} // namespace ringscale::report
