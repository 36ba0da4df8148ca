// SPDX-License-Identifier: Apache-2.0
#include "ring/fault.hpp"

#include <array>
#include <charconv>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "problem/words.hpp"

namespace ringscale::ring {

namespace {

constexpr std::array<std::pair<std::string_view, FaultKind>, 8> fault_words{
    {{"none", FaultKind::none},
     {"skip_hop", FaultKind::skip_hop},
     {"corrupt_element", FaultKind::corrupt_element},
     {"swap_halves", FaultKind::swap_halves},
     {"wrong_scale", FaultKind::wrong_scale},
     {"late_rank", FaultKind::late_rank},
     {"dead_rank", FaultKind::dead_rank},
     {"drop_result", FaultKind::drop_result}}};

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

template <class Number> Number parse_number(std::string_view part, std::string_view whole) {
  Number value{};
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
  if (error != std::errc{} || end != part.data() + part.size()) {
    throw problem::InvalidInput("fault '" + std::string(whole) + "' should read kind:rank:step[:seconds]");
  }
  return value;
}

} // namespace

std::string_view name(FaultKind kind) { return problem::word_of(fault_words, kind); }

Fault parse_fault(std::string_view text) {
  const std::vector<std::string_view> parts = split(text);
  if (parts.size() < 3 || parts.size() > 4) {
    throw problem::InvalidInput("fault '" + std::string(text) + "' should read kind:rank:step[:seconds]");
  }
  Fault fault;
  fault.kind = problem::parse_word("fault", fault_words, parts[0]);
  fault.rank = parse_number<std::int64_t>(parts[1], text);
  fault.step = parse_number<std::int64_t>(parts[2], text);
  fault.sleep_s = parts.size() == 4 ? parse_number<double>(parts[3], text) : 0.0;
  return fault;
}

Fault fault_from_environment() {
#ifdef RINGSCALE_ENABLE_FAULTS
  if (const char *text = std::getenv("RINGSCALE_FAULT"); text != nullptr && *text != '\0') {
    return parse_fault(text);
  }
#endif
  return {};
}

} // namespace ringscale::ring
