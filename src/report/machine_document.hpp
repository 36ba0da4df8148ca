// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "machine/machine.hpp"
#include "report/json.hpp"

namespace ringscale::report {

inline constexpr std::int64_t machine_schema_version = 1;

/// {"schema": "ringscale.machine", "schema_version": 1, ...}; every number is {"value", "kind", "source"}.
Json machine_to_json(const machine::Machine &machine);

/// Strict: unknown keys, another schema version and numbers out of range are InvalidInput naming `source` and path;
/// the result has passed machine::validate. A "provenance" object is allowed and not read.
machine::Machine machine_from_json(const Json &document, const std::string &source);

machine::Machine read_machine_file(const std::filesystem::path &path);

} // namespace ringscale::report
