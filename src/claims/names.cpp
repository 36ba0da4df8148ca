// SPDX-License-Identifier: Apache-2.0
#include "claims/names.hpp"

#include <charconv>
#include <cmath>

#include "problem/invalid_input.hpp"
#include "report/nearest_name.hpp"

namespace ringscale::claims {

using report::Json;

namespace {

/// Every name a layer can answer, for "the nearest is".
void collect_names(const Json &value, const std::string &prefix, bool constants, std::vector<std::string> &names) {
  for (const auto &[key, entry] : value.items()) {
    const std::string path = prefix.empty() ? key : prefix + "." + key;
    if (entry.is_structured()) {
      collect_names(entry, path, constants, names);
    } else if (constants && key == "value") {
      names.push_back(prefix); // a bare name stands for its value
    } else if (entry.is_number() || entry.is_null()) {
      names.push_back(path);
    }
  }
}

} // namespace

std::optional<double> number_at(const Json &document, std::string_view path) {
  const Json *value = &document;
  while (!path.empty()) {
    const auto dot = path.find('.');
    const std::string_view part = path.substr(0, dot);
    path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
    if (value->is_object()) {
      const auto found = value->find(std::string(part));
      if (found == value->end()) {
        return std::nullopt;
      }
      value = &*found;
    } else if (value->is_array()) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
      if (error != std::errc{} || end != part.data() + part.size() || index >= value->size()) {
        return std::nullopt;
      }
      value = &(*value)[index];
    } else {
      return std::nullopt;
    }
  }
  if (value->is_number()) {
    return value->get<double>();
  }
  if (value->is_null()) {
    return std::nan("");
  }
  return std::nullopt;
}

void check_constants(const Json &constants, const std::string &where) {
  if (!constants.is_object()) {
    throw problem::InvalidInput(where + " must be an object of named constants");
  }
  for (const auto &[name, constant] : constants.items()) {
    const std::string place = where + "." + name;
    if (!constant.is_object() || !constant.contains("source") || !constant["source"].is_string() ||
        constant["source"].get<std::string>().empty() || constant.size() < 2) {
      throw problem::InvalidInput(place + " must be an object with a source and at least one number");
    }
    for (const auto &[key, value] : constant.items()) {
      if (key == "kind") {
        parse_evidence_kind(value.is_string() ? value.get<std::string>() : value.dump());
      } else if (key != "source" && !value.is_number()) {
        throw problem::InvalidInput(place + "." + key + " must be a number");
      }
    }
  }
}

void NameScope::add_values(const Json &values) { layers_.push_back({&values, false}); }
void NameScope::add_constants(const Json &constants) { layers_.push_back({&constants, true}); }

std::optional<double> NameScope::find_in(const Layer &layer, std::string_view name) {
  const auto value = number_at(*layer.object, name);
  if (!value && layer.constants) {
    return number_at(*layer.object, std::string(name) + ".value");
  }
  return value;
}

const NameScope::Layer *NameScope::layer_of(std::string_view name) const {
  for (const Layer &layer : layers_) {
    if (find_in(layer, name)) {
      return &layer;
    }
  }
  return nullptr;
}

std::optional<double> NameScope::find(std::string_view name) const {
  const Layer *layer = layer_of(name);
  return layer == nullptr ? std::nullopt : find_in(*layer, name);
}

std::optional<NameScope::Origin> NameScope::constant_origin(std::string_view name) const {
  const Layer *layer = layer_of(name);
  if (layer == nullptr || !layer->constants) {
    return std::nullopt;
  }
  const Json &constant = (*layer->object)[std::string(name.substr(0, name.find('.')))];
  const EvidenceKind kind =
      constant.contains("kind") ? parse_evidence_kind(constant["kind"].get<std::string>()) : EvidenceKind::analytic;
  return Origin{kind, constant["source"].get<std::string>()};
}

NameLookup NameScope::lookup() const {
  return [this](std::string_view name) { return find(name); };
}

void NameScope::require_names(const Expression &expression, const std::string &where) const {
  for (const std::string &name : expression.names()) {
    if (find(name)) {
      continue;
    }
    std::vector<std::string> known;
    for (const Layer &layer : layers_) {
      collect_names(*layer.object, "", layer.constants, known);
    }
    const std::string nearest = report::nearest_name(name, known);
    throw problem::InvalidInput(where + ": name '" + name + "' stands for no number of the claim and no constant" +
                                (nearest.empty() ? "" : "; the nearest is '" + nearest + "'"));
  }
}

} // namespace ringscale::claims
