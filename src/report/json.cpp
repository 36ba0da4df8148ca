// SPDX-License-Identifier: Apache-2.0
#include "report/json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "problem/invalid_input.hpp"

namespace ringscale::report {

namespace {

using problem::InvalidInput;

constexpr std::uintmax_t most_file_bytes = std::uintmax_t{512} << 20;

/// Builds the document from the parser's events. The library's own builder lets the last of two equal keys win,
/// turns integers beyond 64 bits into doubles and nests without limit; here each of these is an error.
class StrictBuilder final : public nlohmann::json_sax<Json> {
public:
  explicit StrictBuilder(const std::string &source) : source_(source) {}
  Json take() { return std::move(root_); }

  bool null() override { return add(Json(nullptr)); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool number_integer(number_integer_t value) override { return add(Json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return add(Json(value)); }
  bool number_float(number_float_t value, const string_t &text) override {
    if (text.find_first_of(".eE") == std::string::npos) {
      refuse("the integer " + text.substr(0, 40) + " does not fit 64 bits");
    }
    return add(Json(value));
  }
  bool string(string_t &value) override { return add(Json(std::move(value))); }
  bool binary(binary_t &) override { refuse("binary values are not JSON"); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }
  bool key(string_t &value) override {
    if (!open_.back().keys.insert(value).second) {
      open_.back().key.clear(); // the object itself is what is wrong
      refuse("the key '" + value + "' stands twice in one object");
    }
    open_.back().key = std::move(value);
    return true;
  }
  bool parse_error(std::size_t, const std::string &, const nlohmann::detail::exception &error) override {
    std::string reason = error.what();
    if (const auto bracket = reason.find("] "); bracket != std::string::npos) {
      reason.erase(0, bracket + 2);
    }
    for (char &letter : reason) {
      letter = static_cast<unsigned char>(letter) < 0x20 ? ' ' : letter;
    }
    throw InvalidInput(source_ + " is not JSON: " + reason);
  }

private:
  struct Open {
    Json *value;
    std::string key;
    std::set<std::string> keys;
  };

  [[noreturn]] void refuse(const std::string &reason) const {
    std::string path = "$";
    for (const Open &level : open_) {
      if (level.value->is_array()) {
        // Members that are open themselves have been placed already.
        const std::size_t index = level.value->size() - (&level == &open_.back() ? 0 : 1);
        path.append("[").append(std::to_string(index)).append("]");
      } else if (!level.key.empty()) {
        path.append(".").append(level.key);
      }
    }
    throw InvalidInput(source_ + ": at " + path + ": " + reason);
  }

  Json *place(Json &&value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json &parent = *open_.back().value;
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    // The key is new (key() checked it), so the map's linear search for an equal one is skipped.
    auto &members = static_cast<Json::object_t::Container &>(parent.get_ref<Json::object_t &>());
    return &members.emplace_back(open_.back().key, std::move(value)).second;
  }

  bool add(Json &&value) {
    place(std::move(value));
    return true;
  }
  bool open(Json &&value) {
    if (open_.size() >= static_cast<std::size_t>(most_json_depth)) {
      throw InvalidInput(source_ + ": nested deeper than " + std::to_string(most_json_depth) + " levels");
    }
    Json *placed = place(std::move(value));
    open_.push_back({placed, {}, {}});
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const std::string &source_;
  Json root_;
  std::vector<Open> open_; // pointers stay valid: only the innermost container grows
};

std::string quoted(const std::string &text) { return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string decimal(double value) {
  if (!std::isfinite(value)) {
    throw std::logic_error("a number that is not finite was about to be written as JSON");
  }
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  std::string result(text.data(), end);
  if (result.find_first_of(".e") == std::string::npos) {
    result += ".0";
  }
  return result;
}

class Writer {
public:
  Writer(std::string &text, int indent) : text_(text), indent_(indent) {}

  void value(const Json &json, int depth) {
    if (json.is_structured() && depth > most_json_depth) {
      throw std::logic_error("a document nested deeper than " + std::to_string(most_json_depth) +
                             " levels was about to be written");
    }
    if (json.is_object()) {
      object(json, depth);
    } else if (json.is_array()) {
      array(json, depth);
    } else if (json.is_string()) {
      text_ += quoted(json.get_ref<const std::string &>());
    } else if (json.is_number_float()) {
      text_ += decimal(json.get<double>());
    } else if (json.is_discarded() || json.is_binary()) {
      throw std::logic_error("a value without a JSON form was about to be written");
    } else {
      text_ += json.dump();
    }
  }

private:
  void object(const Json &json, int depth) {
    text_ += '{';
    bool first = true;
    for (const auto &[key, member] : json.items()) {
      separate(first, true, depth);
      text_ += quoted(key);
      text_ += indent_ < 0 ? ":" : ": ";
      value(member, depth + 1);
      first = false;
    }
    finish(first, true, depth);
    text_ += '}';
  }

  void array(const Json &json, int depth) {
    const bool spread = std::any_of(json.begin(), json.end(), [](const Json &item) { return item.is_structured(); });
    text_ += '[';
    bool first = true;
    for (const Json &item : json) {
      separate(first, spread, depth);
      value(item, depth + 1);
      first = false;
    }
    finish(first, spread, depth);
    text_ += ']';
  }

  void separate(bool first, bool spread, int depth) {
    if (!first) {
      text_ += ',';
    }
    if (indent_ >= 0 && spread) {
      line(depth);
    } else if (indent_ >= 0 && !first) {
      text_ += ' ';
    }
  }
  void finish(bool empty, bool spread, int depth) {
    if (indent_ >= 0 && spread && !empty) {
      line(depth - 1);
    }
  }
  void line(int depth) {
    text_ += '\n';
    text_.append(static_cast<std::size_t>(indent_) * static_cast<std::size_t>(depth), ' ');
  }

  std::string &text_;
  int indent_;
};

} // namespace

Json parse_json(std::string_view text, const std::string &source) {
  if (text.substr(0, 3) == "\xEF\xBB\xBF") {
    throw InvalidInput(source + " begins with a byte order mark; save it as plain UTF-8");
  }
  StrictBuilder builder(source);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

Json read_json_file(const std::filesystem::path &path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    throw InvalidInput(path.string() + " does not exist");
  }
  if (!std::filesystem::is_regular_file(path, error)) {
    throw InvalidInput(path.string() + " is not a regular file");
  }
  if (const std::uintmax_t bytes = std::filesystem::file_size(path, error); error || bytes > most_file_bytes) {
    throw InvalidInput(path.string() + " is longer than 512 MiB or cannot be examined");
  }
  std::ifstream stream(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream.good() && !stream.eof()) {
    throw InvalidInput(path.string() + " cannot be read");
  }
  return parse_json(text, path.string());
}

std::string write_json(const Json &document, int indent) {
  std::string text;
  Writer(text, indent).value(document, 1);
  return text;
}

} // namespace ringscale::report
