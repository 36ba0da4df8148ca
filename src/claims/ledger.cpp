// SPDX-License-Identifier: Apache-2.0
#include "claims/ledger.hpp"

#include <array>
#include <map>
#include <set>
#include <utility>

#include "problem/invalid_input.hpp"
#include "problem/words.hpp"

namespace ringscale::claims {

using problem::InvalidInput;
using report::Json;
using report::ObjectReader;

namespace {

constexpr int ledger_version = 1;
constexpr std::array<std::pair<std::string_view, Testability>, 5> testability_words{
    {{"measure", Testability::measure},
     {"simulate", Testability::simulate},
     {"model", Testability::model},
     {"arithmetic", Testability::arithmetic},
     {"out-of-scope", Testability::out_of_scope}}};

void require_schema(const ObjectReader &document) {
  if (document.text("schema") != "ringscale.claims") {
    document.refuse("schema", "is '" + document.text("schema") + "'; it must be ringscale.claims");
  }
  if (document.integer("schema_version") != ledger_version) {
    document.refuse("schema_version", "is " + std::to_string(document.integer("schema_version")) +
                                          "; this program reads version " + std::to_string(ledger_version));
  }
}

/// Values may nest but hold only numbers, null and tables of them, with names an expression can use.
void check_values(const Json &values, const std::string &where) {
  for (const auto &[key, value] : values.items()) {
    if (value.is_structured()) {
      check_values(value, where + "." + key);
    } else if (!value.is_number() && !value.is_null() && !value.is_string() && !value.is_boolean()) {
      throw InvalidInput(where + "." + key + " must be a number, a text, null, or a table of them");
    }
  }
}

Claim read_facts(const ObjectReader &form) {
  Claim claim;
  claim.id = form.text("id");
  claim.document = form.text("document");
  claim.section = form.text("section");
  claim.statement = form.text("statement");
  claim.values = form.any("values");
  if (!claim.values.is_object()) {
    form.refuse("values", "must be an object of named numbers");
  }
  check_values(claim.values, form.where("values"));
  claim.kind = form.text("kind");
  claim.subject = form.text("subject");
  claim.how_to_check = form.text("how_to_check");
  claim.testable_by = problem::parse_word(form.where("testable_by"), testability_words, form.text("testable_by"));
  if (form.has("also_in")) {
    claim.also_in = form.texts("also_in");
  }
  if (claim.id.empty() || claim.statement.empty()) {
    form.refuse(claim.id.empty() ? "id" : "statement", "is empty");
  }
  return claim;
}

/// Facts of every claim of the document, by id, for hypotheses whose series stands in another claim.
using Owners = std::map<std::string, SeriesOwner>;

void read_judgement(Claim &claim, const ObjectReader &form, const Json &constants, const Owners &owners) {
  if (form.has("hypotheses")) {
    const ObjectReader hypotheses = form.object("hypotheses");
    const std::string id = hypotheses.text_or("of_claim", claim.id);
    const auto owner = owners.find(id);
    if (owner == owners.end()) {
      hypotheses.refuse("of_claim", "names '" + id + "', which is no claim of this ledger");
    }
    claim.hypotheses.emplace(hypotheses, owner->second, constants);
  }
  for (const ObjectReader &check : form.objects("checks")) {
    claim.checks.push_back(read_check(check, claim.values, constants, claim.hypotheses ? &*claim.hypotheses : nullptr));
  }
}

} // namespace

std::string_view name(Testability testability) { return problem::word_of(testability_words, testability); }

Json claim_facts(const Claim &claim) {
  Json facts{{"id", claim.id},
             {"document", claim.document},
             {"section", claim.section},
             {"statement", claim.statement},
             {"values", claim.values},
             {"kind", claim.kind},
             {"subject", claim.subject},
             {"how_to_check", claim.how_to_check},
             {"testable_by", name(claim.testable_by)}};
  facts["also_in"] = claim.also_in;
  return facts;
}

Ledger read_ledger(const Json &document, const std::string &source, const std::filesystem::path &folder) {
  const ObjectReader reader(document, source);
  require_schema(reader);
  static_cast<void>(reader.text_or("description", ""));
  Ledger ledger;
  ledger.file = source;
  ledger.constants = reader.has("constants") ? reader.any("constants") : Json::object();
  check_constants(ledger.constants, reader.where("constants"));

  std::map<std::string, Ledger> others;
  std::set<std::string> ids;
  const std::vector<ObjectReader> forms = reader.objects("claims");
  Owners owners;
  for (const ObjectReader &form : forms) {
    const Claim claim = read_facts(form);
    owners[claim.id] = {claim.values, claim.place()};
  }
  for (const ObjectReader &form : forms) {
    Claim claim = read_facts(form);
    if (!ids.insert(claim.id).second) {
      form.refuse("id", "'" + claim.id + "' is there twice");
    }
    if (!form.has("checks_from")) {
      read_judgement(claim, form, ledger.constants, owners);
      form.finish();
      ledger.claims.push_back(std::move(claim));
      continue;
    }
    const std::string other_name = form.text("checks_from");
    form.finish();
    if (other_name.find('/') != std::string::npos) {
      form.refuse("checks_from", "must name a file in the same folder");
    }
    auto other = others.find(other_name);
    if (other == others.end()) {
      const std::filesystem::path path = folder / other_name;
      const Json other_document = report::read_json_file(path);
      if (!other_document.is_object()) {
        throw InvalidInput(path.string() + ": $ must be an object of schema ringscale.claims");
      }
      const Json other_claims = other_document.value("claims", Json::array());
      for (const Json &entry : other_claims) {
        if (entry.is_object() && entry.contains("checks_from")) {
          form.refuse("checks_from", "names " + other_name + ", which takes checks from another file itself");
        }
      }
      other = others.emplace(other_name, read_ledger(other_document, path.string(), folder)).first;
    }
    bool found = false;
    for (Claim &candidate : other->second.claims) {
      if (candidate.id == claim.id) {
        if (claim_facts(candidate) != claim_facts(claim)) {
          form.refuse("id", "'" + claim.id + "' has other facts in " + other_name);
        }
        found = true;
        claim = std::move(candidate);
        break;
      }
    }
    if (!found) {
      form.refuse("checks_from", "names " + other_name + ", which has no claim '" + claim.id + "'");
    }
    ledger.claims.push_back(std::move(claim));
  }
  reader.finish();
  // Checks that were borrowed use the constants of their own file; both files may name a constant only alike.
  for (const auto &[file, other] : others) {
    for (const auto &[key, constant] : other.constants.items()) {
      if (ledger.constants.contains(key) && ledger.constants[key] != constant) {
        throw InvalidInput(reader.where("constants." + key) + " differs from the one in " + file);
      }
      ledger.constants[key] = constant;
    }
  }
  return ledger;
}

Ledger read_ledger(const std::filesystem::path &file) {
  return read_ledger(report::read_json_file(file), file.string(), file.parent_path());
}

} // namespace ringscale::claims
