// SPDX-License-Identifier: Apache-2.0
#include "report/npy_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

#include "report/npy_values.hpp"
#include "tests/report/expect_invalid.hpp"
#include "tests/report/npy_bytes.hpp"
#include "tests/report/temporary_folder.hpp"

namespace ringscale::report {
namespace {

const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3, 2), }";
const std::string data(48, '\x40');

/// What read_npy says about a file with these bytes; every part of the line is expected.
void expect_refused(const std::string &bytes, const std::vector<std::string> &parts) {
  const TemporaryFolder folder;
  write_text(folder / "q.npy", bytes);
  std::vector<std::string> expected = {"cannot read ", "q.npy: "};
  expected.insert(expected.end(), parts.begin(), parts.end());
  SCOPED_TRACE(parts.front());
  expect_invalid([&] { read_npy(folder / "q.npy"); }, expected);
}

TEST(NpyFile, ReadsEveryVersionAndAnySpellingOfTheHeader) {
  const TemporaryFolder folder;
  const std::string headers[] = {good, "{'shape': (1, 2, 3, 2), 'fortran_order': False, 'descr': '<f4'}",
                                 good + "     \n", "{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(1,2,3,2,)}\n",
                                 " { 'descr' : '<f4' , 'fortran_order' : False ,\n"
                                 "'shape' : ( 1 , 2 , 3 , 2 ) , } "};
  int number = 0;
  for (const std::string &header : headers) {
    for (const int version : {1, 2, 3}) {
      const auto file = folder / std::to_string(number++);
      write_text(file, npy_bytes(header, data, version));
      const NpyTensor tensor = read_npy(file);
      EXPECT_EQ(tensor.shape, (std::vector<std::int64_t>{1, 2, 3, 2}));
      EXPECT_EQ(tensor.type, NpyType::float32);
      EXPECT_EQ(tensor.data, std::vector<std::byte>(48, std::byte{0x40}));
    }
  }
}

TEST(NpyFile, WritesWhatItReads) {
  const TemporaryFolder folder;
  const std::vector<std::int64_t> shape = {2, 3, 1, 5};
  for (const NpyType type : {NpyType::float32, NpyType::float16, NpyType::bfloat16}) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(30 * element_bytes(type)));
    for (std::size_t index = 0; index < bytes.size(); ++index) {
      bytes[index] = static_cast<std::byte>(index * 37);
    }
    const auto file = folder / std::string(name(type));
    write_npy(file, shape, type, bytes);
    EXPECT_EQ((std::filesystem::file_size(file) - bytes.size()) % 64, 0U);
    const NpyTensor tensor = read_npy(file);
    EXPECT_EQ(tensor.shape, shape);
    EXPECT_EQ(tensor.type, type);
    EXPECT_EQ(tensor.data, bytes);
  }
}

TEST(NpyFile, WriterNeverReplacesAFileAndChecksItsArguments) {
  const TemporaryFolder folder;
  const std::vector<std::byte> bytes(8);
  const std::vector<std::int64_t> shape = {1, 1, 1, 2};
  write_npy(folder / "o.npy", shape, NpyType::float32, bytes);
  const std::string before = text_of(folder / "o.npy");
  expect_invalid([&] { write_npy(folder / "o.npy", shape, NpyType::float32, bytes); }, {"o.npy", "exists already"});
  expect_invalid([&] { write_npy(folder / "absent" / "o.npy", shape, NpyType::float32, bytes); },
                 {"No such file or directory"});
  EXPECT_EQ(text_of(folder / "o.npy"), before);
  EXPECT_THROW(write_npy(folder / "p.npy", shape, NpyType::float16, bytes), std::invalid_argument);
  EXPECT_THROW(write_npy(folder / "p.npy", std::vector<std::int64_t>{1, 1, 2}, NpyType::float32, bytes),
               std::invalid_argument);
  EXPECT_THROW(write_npy(folder / "p.npy", std::vector<std::int64_t>{1, 0, 1, 2}, NpyType::float32, {}),
               std::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(folder / "p.npy"));
}

TEST(NpyFile, RefusesWhatIsNoNpyFile) {
  const TemporaryFolder folder;
  expect_invalid([&] { read_npy(folder / "absent.npy"); }, {"absent.npy", "No such file"});
  expect_invalid([&] { read_npy(folder.path()); }, {"not a regular file", "numpy.save"});
  expect_invalid([&] { read_npy("/dev/null"); }, {"/dev/null", "not a regular file"});
  expect_refused("", {"not an .npy file: 0 bytes"});
  expect_refused("\x93NUMPY\x01", {"7 bytes"});
  expect_refused("\x94" + npy_bytes(good, data).substr(1), {"begins with '\\x94NUMPY'"});
  expect_refused("PK\x03\x04 and so on", {"npz", "numpy.save"});
  expect_refused("tokens,heads\n1,2\n", {"begins with 'tokens'"});
}

TEST(NpyFile, RefusesVersionsAndTruncatedOrLongFiles) {
  std::string bytes = npy_bytes(good, data);
  expect_refused(npy_bytes(good, data, 4), {"version 4.0", "1.0, 2.0 and 3.0"});
  expect_refused(npy_bytes(good, data, 0), {"version 0.0"});
  bytes[7] = '\x01';
  expect_refused(bytes, {"version 1.1"});
  bytes = npy_bytes(good, data);
  expect_refused(bytes.substr(0, 9), {"the file ends within its header"});
  expect_refused(bytes.substr(0, 40), {"header of " + std::to_string(good.size()), "30 left", "truncated"});
  expect_refused(bytes.substr(0, bytes.size() - 1),
                 {"47 bytes of data", "(1, 2, 3, 2) of float32 needs 48", "truncated"});
  expect_refused(bytes + "x", {"49 bytes of data", "needs 48", "follows"});
  expect_refused(npy_bytes(good + std::string(20'000, ' '), data, 2), {"header of 20065 bytes"});
  expect_refused(npy_bytes("", ""), {"malformed header", "expected '{'"});
}

TEST(NpyFile, RefusesOtherTypesOrdersAndShapes) {
  const auto header = [](const std::string &type, const std::string &order, const std::string &shape) {
    return npy_bytes("{'descr': " + type + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }", data);
  };
  const std::string shape = "(1, 2, 3, 2)";
  for (const char *type : {"'<f8'", "'<i4'", "'|u1'", "'<c8'", "'|O'", "'<u4'", "'|b1'", "'<U3'", "''", "'<f16'"}) {
    expect_refused(header(type, "False", shape),
                   {std::string("dtype ") + type + " is not supported", "'<f4' (float32)"});
  }
  for (const char *type : {"'>f4'", "'>f2'", "'>u2'"}) {
    expect_refused(header(type, "False", shape), {std::string("dtype ") + type + " is big-endian", "astype('<f4')"});
  }
  expect_refused(header("'<V2'", "False", shape), {"array.view('<u2')"});
  expect_refused(header("[('a', '<f4')]", "False", shape), {"structured dtype"});
  expect_refused(header("'<f4'", "True", shape), {"Fortran order", "ascontiguousarray"});
  expect_refused(header("'<f4'", "False", "()"), {"rank 0, shape ()", "[batch, tokens, heads, head_dim]"});
  expect_refused(header("'<f4'", "False", "(12,)"), {"rank 1, shape (12)"});
  expect_refused(header("'<f4'", "False", "(1, 1, 2, 3, 2)"), {"rank 5"});
  expect_refused(header("'<f4'", "False", "(1, 2, 0, 2)"), {"extent of 0", "at least 1"});
  expect_refused(header("'<f4'", "False", "(1, -2, 3, -2)"), {"extent of -2"});
  expect_refused(header("'<f4'", "False", "(1, 2, 3, 2305843009213693952)"), {"63 bits"});
  expect_refused(header("'<f4'", "False", "(4294967296, 4294967296, 1, 1)"), {"63 bits"});
  expect_refused(header("'<f4'", "False", "(1, 2, 3, 99999999999999999999)"), {"below 2^63"});
}

TEST(NpyFile, RefusesMalformedHeaders) {
  const std::pair<const char *, const char *> headers[] = {
      {"'descr': '<f4'", "expected '{'"},
      {"{'descr': '<f4', 'fortran_order': False}", "the key 'shape' is missing"},
      {"{}", "the key 'descr' is missing"},
      {"{'descr': '<f4', 'shape': (1, 2, 3, 2)}", "the key 'fortran_order' is missing"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3, 2)}", "'descr' stands there twice"},
      {"{'descr': '<f4', 'order': False, 'shape': (1, 2, 3, 2)}", "unknown key 'order'"},
      {"{'descr' '<f4'}", "':' after a key"},
      {"{'descr: '<f4'}", "':' after a key"},
      {"{'descr': <f4}", "the dtype in quotes"},
      {"{'descr': '\\x3cf4'}", "the dtype in quotes"},
      {"{'descr': '<f4", "the dtype in quotes"},
      {"{descr: '<f4'}", "a key in quotes"},
      {"{'fortran_order': 0}", "True or False"},
      {"{'fortran_order': false}", "True or False"},
      {"{'fortran_order': Falsehood}", "'}' or ','"},
      {"{'shape': [1, 2, 3, 2]}", "'(' before the shape"},
      {"{'shape': (1, two)}", "whole number"},
      {"{'shape': (1, 2.5)}", "')' after the shape"},
      {"{'shape': (1,, 2)}", "whole number"},
      {"{'shape': (1, 2", "')' after the shape"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3, 2)} x", "nothing but white space"},
      {"{'descr': '<f4' 'fortran_order': False}", "'}' or ','"},
  };
  for (const auto &[header, part] : headers) {
    expect_refused(npy_bytes(header, data), {part, "malformed header"});
  }
  expect_refused(npy_bytes("{'a\nb\x1b': 1}", data), {"'a\\x0ab\\x1b'"});
  expect_refused(npy_bytes("{'" + std::string(5000, 'k') + "': 1}", data), {"kkk...'"});
}

} // namespace
} // namespace ringscale::report
