// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace ringscale::drivers {

/// Entries of `text` between commas, empty ones too.
inline std::vector<std::string> entries_of(const std::string &text) {
  std::vector<std::string> entries;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    entries.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return entries;
}

/// Adds a flag that takes values with a comma between them. CLI11's own delimiter(',') leaves empty entries out, and a
/// list that lost one would be read as a shorter one; here they are refused.
template <class Value>
CLI::Option *add_list_option(CLI::App &verb, const std::string &name, std::vector<Value> &values,
                             const std::string &description) {
  const auto read = [name, &values](const std::vector<std::string> &words) {
    values.clear();
    for (const std::string &word : words) {
      for (const std::string &entry : entries_of(word)) {
        if (entry.empty()) {
          throw CLI::ValidationError(name,
                                     "'" + word + "' has an empty entry; write values with one comma between them");
        }
        if (!CLI::detail::lexical_cast(entry, values.emplace_back())) {
          throw CLI::ConversionError(entry, name);
        }
      }
    }
  };
  return verb.add_option_function<std::vector<std::string>>(name, read, description)
      ->type_name(CLI::detail::type_name<Value>());
}

} // namespace ringscale::drivers
