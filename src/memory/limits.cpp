// SPDX-License-Identifier: Apache-2.0
#include "memory/limits.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "memory/checked_product.hpp"
#include "problem/invalid_input.hpp"

namespace ringscale::memory {

namespace {

using problem::InvalidInput;

constexpr std::array<std::pair<std::string_view, std::int64_t>, 9> units{{{"B", 1},
                                                                          {"kB", 1'000},
                                                                          {"MB", 1'000'000},
                                                                          {"GB", 1'000'000'000},
                                                                          {"TB", 1'000'000'000'000},
                                                                          {"KiB", std::int64_t{1} << 10},
                                                                          {"MiB", std::int64_t{1} << 20},
                                                                          {"GiB", std::int64_t{1} << 30},
                                                                          {"TiB", std::int64_t{1} << 40}}};

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

[[noreturn]] void refuse_bytes(std::string_view setting, std::string_view text, const std::string &why) {
  throw InvalidInput(std::string(setting) + " is '" + std::string(text) + "'; " + why);
}

/// What a size looks like, with every unit there is: letter case matters, and MB is not MiB.
std::string right_form() {
  std::string words;
  for (const auto &[word, bytes] : units) {
    words += (words.empty() ? "" : ", ") + std::string(word);
  }
  return "it must be a number of bytes such as 4096, 512MiB or 1.5GB, its unit none or one of " + words;
}

void require_count(std::int64_t value, std::string_view what) {
  if (value < 0) {
    throw std::logic_error("the size of " + std::string(what) + " is negative");
  }
}

std::string too_large(std::string_view what, const std::string &size, const std::string &limit, const char *advice) {
  return std::string(what) + " needs " + size + ", more than the limit of " + limit + "; " + advice;
}

} // namespace

std::int64_t parse_bytes(std::string_view setting, std::string_view text) {
  constexpr const char *too_many = "it must be less than 2^63 bytes";
  // All digits as one integer, and the power of ten that the point divides it by: doubles would round large sizes.
  std::size_t place = 0;
  std::int64_t digits = 0;
  std::int64_t divisor = 1;
  bool after_point = false;
  bool has_digit = false;
  for (; place < text.size() && (is_digit(text[place]) || (text[place] == '.' && !after_point)); ++place) {
    if (text[place] == '.') {
      after_point = true;
      has_digit = has_digit && place + 1 < text.size() && is_digit(text[place + 1]);
      if (!has_digit) {
        break;
      }
      continue;
    }
    has_digit = true;
    if (__builtin_mul_overflow(digits, std::int64_t{10}, &digits) ||
        __builtin_add_overflow(digits, std::int64_t{text[place] - '0'}, &digits) ||
        (after_point && __builtin_mul_overflow(divisor, std::int64_t{10}, &divisor))) {
      refuse_bytes(setting, text, too_many);
    }
  }
  if (!has_digit) {
    refuse_bytes(setting, text, right_form());
  }
  const std::string_view suffix = text.substr(place);
  const auto *unit = std::find_if(units.begin(), units.end(), [&](const auto &known) { return known.first == suffix; });
  if (unit == units.end() && !suffix.empty()) {
    refuse_bytes(setting, text, right_form());
  }
  const std::int64_t unit_bytes = suffix.empty() ? 1 : unit->second;
  const std::int64_t whole = digits / divisor;
  const std::int64_t fraction = digits % divisor;
  std::int64_t bytes = 0;
  std::int64_t fraction_bytes = 0;
  if (__builtin_mul_overflow(whole, unit_bytes, &bytes) ||
      __builtin_mul_overflow(fraction, unit_bytes, &fraction_bytes)) {
    refuse_bytes(setting, text, too_many);
  }
  if (fraction_bytes % divisor != 0) {
    refuse_bytes(setting, text, "it must be a whole number of bytes");
  }
  if (__builtin_add_overflow(bytes, fraction_bytes / divisor, &bytes)) {
    refuse_bytes(setting, text, too_many);
  }
  return bytes;
}

std::string describe_bytes(std::int64_t bytes) {
  std::string plain = std::to_string(bytes) + " bytes";
  for (const char *unit : {"TB", "GB", "MB", "kB"}) {
    const auto *known = std::find_if(units.begin(), units.end(), [&](const auto &pair) { return pair.first == unit; });
    if (bytes >= known->second) {
      std::array<char, 64> scaled{};
      std::snprintf(scaled.data(), scaled.size(), " (%.4g %s)",
                    static_cast<double>(bytes) / static_cast<double>(known->second), unit);
      return plain + scaled.data();
    }
  }
  return plain;
}

void require_communication_within(const Limits &limits, std::int64_t bytes, std::string_view what) {
  require_count(bytes, what);
  if (limits.communication_bytes > 0 && bytes > limits.communication_bytes) {
    throw InvalidInput(too_large(what, describe_bytes(bytes), describe_bytes(limits.communication_bytes),
                                 "use more ranks or fewer tokens, or raise --communication-limit"));
  }
}

void require_projection_within(const Limits &limits, std::int64_t rows, std::int64_t columns, std::string_view what) {
  require_count(rows, what);
  require_count(columns, what);
  const std::int64_t elements = checked_product({rows, columns});
  if (limits.projection_elements > 0 && elements > limits.projection_elements) {
    throw InvalidInput(too_large(
        what, std::to_string(rows) + " x " + std::to_string(columns) + " = " + std::to_string(elements) + " elements",
        std::to_string(limits.projection_elements), "use fewer or smaller heads, or raise --projection-limit"));
  }
}

void require_memory_within(const Limits &limits, std::int64_t bytes, std::string_view what) {
  require_count(bytes, what);
  if (limits.memory_bytes > 0 && bytes > limits.memory_bytes) {
    throw InvalidInput(too_large(what, describe_bytes(bytes), describe_bytes(limits.memory_bytes),
                                 "use more ranks, fewer tokens or the streamed kernel, or raise --memory-limit"));
  }
}

OutOfBudget::OutOfBudget(Purpose purpose, std::int64_t asked_bytes, std::int64_t held_bytes, std::int64_t budget_bytes,
                         const std::string &advice)
    : std::runtime_error((held_bytes == 0 ? "a rank needs " + describe_bytes(asked_bytes) +
                                                ", more than the budget of " + describe_bytes(budget_bytes) + "; "
                                          : std::string(name(purpose)) + " needs " + describe_bytes(asked_bytes) +
                                                ", but " + std::to_string(held_bytes) + " bytes of the budget of " +
                                                describe_bytes(budget_bytes) + " are held; ") +
                         (advice.empty() ? "use more ranks or fewer tokens, or raise --memory-limit" : advice)),
      purpose_(purpose), asked_bytes_(asked_bytes), held_bytes_(held_bytes), budget_bytes_(budget_bytes) {}

} // namespace ringscale::memory
