// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace ringscale::report {

/// Keys keep their order, so that documents read as they were written.
using Json = nlohmann::ordered_json;

/// Deepest nesting that is read or written.
inline constexpr int most_json_depth = 32;

/// Parses one JSON document. `source` (a file name) opens every message. Throws problem::InvalidInput for a syntax
/// error (with line and column), nesting beyond most_json_depth, a key met twice, a number that does not fit a
/// double, an integer beyond 64 bits, text that is not UTF-8, or a byte order mark.
Json parse_json(std::string_view text, const std::string &source);

/// Reads and parses a whole file; a missing, unreadable or over-long (512 MiB) file is InvalidInput too.
Json read_json_file(const std::filesystem::path &path);

/// Text of a document. Doubles are the shortest text that reads back the same (std::to_chars), always with a point
/// or an exponent so that they stay doubles. indent < 0 gives one line; otherwise objects and arrays of objects are
/// spread over lines and arrays of plain values stay on one. Bytes that are not UTF-8 become U+FFFD. Throws
/// std::logic_error for NaN, infinity or nesting beyond most_json_depth: those are faults of the program.
std::string write_json(const Json &document, int indent);

/// Strict view of one JSON object: every accessor names file and path in its errors (problem::InvalidInput), and
/// finish() refuses keys that no accessor asked for, with the nearest name that one did. Keeps a pointer to the
/// document, which must outlive it.
class ObjectReader {
public:
  static constexpr std::int64_t lowest_integer = std::numeric_limits<std::int64_t>::lowest();
  static constexpr std::int64_t highest_integer = std::numeric_limits<std::int64_t>::max();
  static constexpr double lowest_number = std::numeric_limits<double>::lowest();
  static constexpr double highest_number = std::numeric_limits<double>::max();

  /// `source` is the file name; the path starts at $, or at `path` for an object that was put together from one.
  ObjectReader(const Json &object, std::string source);
  ObjectReader(const Json &object, std::string source, std::string path);
  ObjectReader(Json &&, std::string) = delete;
  ObjectReader(Json &&, std::string, std::string) = delete;

  /// Whether the key is there; null counts as a value.
  bool has(const std::string &key) const;

  /// Integers only: 3.0, 3.9, true, "3" and numbers outside [low, high] are refused.
  std::int64_t integer(const std::string &key, std::int64_t low = lowest_integer,
                       std::int64_t high = highest_integer) const;
  std::int64_t integer_or(const std::string &key, std::int64_t fallback, std::int64_t low = lowest_integer,
                          std::int64_t high = highest_integer) const;
  /// Integers or decimals, finite.
  double number(const std::string &key, double low = lowest_number, double high = highest_number) const;
  double number_or(const std::string &key, double fallback, double low = lowest_number,
                   double high = highest_number) const;
  std::string text(const std::string &key) const;
  std::string text_or(const std::string &key, const std::string &fallback) const;
  bool boolean(const std::string &key) const;
  bool boolean_or(const std::string &key, bool fallback) const;

  ObjectReader object(const std::string &key) const;
  std::vector<ObjectReader> objects(const std::string &key) const;
  std::vector<double> numbers(const std::string &key) const;
  std::vector<std::int64_t> integers(const std::string &key) const;
  std::vector<std::string> texts(const std::string &key) const;
  /// The value as it stands, for keys whose form is checked elsewhere.
  const Json &any(const std::string &key) const;

  /// Names the key as known without reading it.
  void allow(const std::string &key) const { known_.insert(key); }

  /// Throws for a key of the object that was never asked for. Call it last.
  void finish() const;

  /// "file: $.points[3]", for messages.
  std::string where() const { return source_ + ": " + path_; }
  /// "file: $.points[3].key"
  std::string where(const std::string &key) const;
  /// Refuses the value of `key` with a reason of the caller's: "file: $.path.key <reason>".
  [[noreturn]] void refuse(const std::string &key, const std::string &reason) const;

private:
  const Json *find(const std::string &key) const;
  const Json &require(const std::string &key) const;
  const Json &require_array(const std::string &key) const;

  const Json *object_;
  std::string source_;
  std::string path_;
  mutable std::set<std::string> known_;
};

} // namespace ringscale::report
