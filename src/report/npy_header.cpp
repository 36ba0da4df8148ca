// SPDX-License-Identifier: Apache-2.0
#include "report/npy_header.hpp"

#include <array>
#include <charconv>
#include <stdexcept>
#include <system_error>

#include "problem/invalid_input.hpp"

namespace ringscale::report {

namespace {

using problem::InvalidInput;

/// The few Python literals that a header is made of, read from left to right.
class LiteralReader {
public:
  explicit LiteralReader(std::string_view text) : text_(text) {}

  /// Skips white space; true when `symbol` stood there and was taken.
  bool take(char symbol) {
    skip_space();
    if (position_ < text_.size() && text_[position_] == symbol) {
      ++position_;
      return true;
    }
    return false;
  }

  void expect(char symbol, std::string_view where) {
    if (!take(symbol)) {
      fail(std::string("'") + symbol + "' " + std::string(where));
    }
  }

  std::string string(std::string_view what) {
    skip_space();
    const char quote = position_ < text_.size() ? text_[position_] : '\0';
    if (quote != '\'' && quote != '"') {
      fail(std::string(what) + " in quotes");
    }
    const std::size_t begin = position_ + 1;
    const std::size_t end = text_.find(quote, begin);
    // A backslash would need Python's escapes; no name or type of ours has one.
    if (end == std::string_view::npos || text_.substr(begin, end - begin).find('\\') != std::string_view::npos) {
      fail(std::string(what) + " in quotes");
    }
    position_ = end + 1;
    return std::string(text_.substr(begin, end - begin));
  }

  bool boolean() {
    skip_space();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(position_).starts_with(word)) {
        position_ += word.size();
        return value;
      }
    }
    fail("True or False after 'fortran_order'");
  }

  std::vector<std::int64_t> tuple() {
    expect('(', "before the shape");
    std::vector<std::int64_t> values;
    while (!take(')')) {
      values.push_back(integer());
      if (!take(',')) {
        expect(')', "after the shape");
        break;
      }
    }
    return values;
  }

  void expect_end() {
    skip_space();
    if (position_ != text_.size()) {
      fail("nothing but white space after the '}'");
    }
  }

  [[noreturn]] void fail(const std::string &expected) const {
    throw InvalidInput("malformed header: expected " + expected + ", found " + printable(text_.substr(position_)) +
                       " at byte " + std::to_string(position_));
  }

private:
  void skip_space() {
    while (position_ < text_.size() && std::string_view(" \t\r\n").find(text_[position_]) != std::string_view::npos) {
      ++position_;
    }
  }

  std::int64_t integer() {
    skip_space();
    std::int64_t value = 0;
    const char *begin = text_.data() + position_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error == std::errc::result_out_of_range) {
      fail("an extent of the shape below 2^63");
    }
    if (error != std::errc()) {
      fail("a whole number in the shape");
    }
    position_ += static_cast<std::size_t>(end - begin);
    return value;
  }

  std::string_view text_;
  std::size_t position_ = 0;
};

} // namespace

std::string printable(std::string_view text) {
  constexpr std::size_t longest = 40;
  constexpr std::array digits = {'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
  std::string result = "'";
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (result.size() > longest) {
      return result + "...'";
    }
    if (byte >= 0x20 && byte < 0x7F) {
      result += character;
    } else {
      result.append("\\x").append({digits[byte >> 4U], digits[byte & 0xFU]});
    }
  }
  return result + "'";
}

NpyHeader parse_npy_header(std::string_view text) {
  LiteralReader reader(text);
  NpyHeader header;
  bool has_type = false;
  bool has_order = false;
  bool has_shape = false;
  const auto once = [&](bool &seen, const std::string &key) {
    if (seen) {
      throw InvalidInput("malformed header: the key '" + key + "' stands there twice");
    }
    seen = true;
  };
  reader.expect('{', "at the beginning");
  while (!reader.take('}')) {
    const std::string key = reader.string("a key");
    reader.expect(':', "after a key");
    if (key == "descr") {
      once(has_type, key);
      if (reader.take('[')) {
        throw InvalidInput("a structured dtype is not supported; save an array of float32, float16 or uint16");
      }
      header.element_type = reader.string("the dtype");
    } else if (key == "fortran_order") {
      once(has_order, key);
      header.fortran_order = reader.boolean();
    } else if (key == "shape") {
      once(has_shape, key);
      header.shape = reader.tuple();
    } else {
      throw InvalidInput("malformed header: unknown key " + printable(key) +
                         "; an .npy header has 'descr', 'fortran_order' and 'shape'");
    }
    if (!reader.take(',')) {
      reader.expect('}', "or ',' after a value");
      break;
    }
  }
  reader.expect_end();
  if (!has_type || !has_order || !has_shape) {
    throw InvalidInput(std::string("malformed header: the key '") +
                       (!has_type ? "descr" : (!has_order ? "fortran_order" : "shape")) + "' is missing");
  }
  return header;
}

std::string npy_prefix(const NpyHeader &header) {
  std::string dictionary("{'descr': '");
  dictionary.append(header.element_type).append("', 'fortran_order': ");
  dictionary.append(header.fortran_order ? "True" : "False").append(", 'shape': (");
  for (std::size_t axis = 0; axis < header.shape.size(); ++axis) {
    dictionary.append(axis == 0 ? "" : " ").append(std::to_string(header.shape[axis])).append(",");
  }
  if (header.shape.size() > 1) {
    dictionary.pop_back(); // Python writes the last comma of a tuple only where it has one element
  }
  dictionary += "), }";
  constexpr std::size_t alignment = 64;
  constexpr std::size_t fixed = 10; // magic, version and the length itself
  const std::size_t unpadded = fixed + dictionary.size() + 1;
  dictionary.append((alignment - unpadded % alignment) % alignment, ' ').append("\n");
  if (dictionary.size() > 0xFFFF) {
    throw std::invalid_argument("npy_prefix: the header is too long");
  }
  std::string prefix("\x93NUMPY\x01\x00", 8);
  prefix += static_cast<char>(dictionary.size() & 0xFFU);
  prefix += static_cast<char>(dictionary.size() >> 8U);
  return prefix + dictionary;
}

} // namespace ringscale::report
