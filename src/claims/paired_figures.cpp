// SPDX-License-Identifier: Apache-2.0
#include "claims/paired_figures.hpp"

#include <algorithm>

#include "claims/names.hpp"

namespace ringscale::claims {

using report::Json;

bool same_fields(const Json &left, const Json &right, const std::vector<std::string> &fields) {
  return left.is_object() && right.is_object() &&
         std::all_of(fields.begin(), fields.end(), [&](const std::string &field) {
           const auto first = left.find(field);
           const auto second = right.find(field);
           return first != left.end() && second != right.end() && *first == *second;
         });
}

std::vector<std::string> differing_fields(const std::vector<const Json *> &rows,
                                          const std::vector<std::string> &fields) {
  std::vector<std::string> differing;
  for (const std::string &field : fields) {
    if (std::any_of(rows.begin(), rows.end(),
                    [&](const Json *row) { return !same_fields(*row, *rows.front(), {field}); })) {
      differing.push_back(field);
    }
  }
  return differing;
}

std::string fields_text(const Json &row, const std::vector<std::string> &fields) {
  std::string text;
  for (const std::string &field : fields) {
    if (row.is_object() && row.contains(field)) {
      const Json &value = row[field];
      text += (text.empty() ? "" : " ") + field + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  return text;
}

void add_evidence(std::vector<Evidence> &evidence, const Evidence &added) {
  if (added.figure.empty()) {
    return;
  }
  const bool known = std::any_of(evidence.begin(), evidence.end(), [&](const Evidence &each) {
    return each.source == added.source && each.figure == added.figure && each.value == added.value;
  });
  if (!known) {
    evidence.push_back(added);
  }
}

PairedFigures pair_figures(const Quantity &left, const Quantity &right, const std::vector<std::string> &pair_by,
                           const Context &context) {
  PairedFigures paired;
  const Figures first = left.figures(context);
  const Figures second = right.figures(context);
  for (const Figures *side : {&first, &second}) {
    paired.invalid_rows.insert(paired.invalid_rows.end(), side->invalid_rows.begin(), side->invalid_rows.end());
    if (!side->missing.empty()) {
      paired.missing += (paired.missing.empty() ? "" : "; ") + side->missing;
    }
  }
  if (!paired.missing.empty()) {
    return paired;
  }
  if (pair_by.empty()) {
    if (first.figures.size() != 1 && second.figures.size() != 1) {
      paired.missing = "both sides have several figures and pair_by does not say which belong together";
      return paired;
    }
    for (const Figure &each : first.figures) {
      for (const Figure &other : second.figures) {
        paired.pairs.emplace_back(each, other);
      }
    }
    return paired;
  }
  for (const Figure &each : first.figures) {
    std::vector<const Figure *> partners;
    for (const Figure &other : second.figures) {
      if (same_fields(each.fields, other.fields, pair_by)) {
        partners.push_back(&other);
      }
    }
    if (partners.empty()) {
      continue;
    }
    std::sort(partners.begin(), partners.end(),
              [](const Figure *one, const Figure *another) { return one->value < another->value; });
    paired.pairs.emplace_back(each, *partners[partners.size() / 2]);
  }
  if (paired.pairs.empty()) {
    std::string fields;
    for (const std::string &field : pair_by) {
      fields += (fields.empty() ? "" : ", ") + field;
    }
    paired.missing = "no two rows agree in " + fields;
  }
  return paired;
}

} // namespace ringscale::claims
