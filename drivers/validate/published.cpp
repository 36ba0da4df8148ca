// SPDX-License-Identifier: Apache-2.0
#include "drivers/validate/published.hpp"

#include <CLI/CLI.hpp>

#include "drivers/failure.hpp"
#include "drivers/session.hpp"

namespace ringscale::drivers {

void add_published_flags(CLI::App &verb, PublishedFlags &flags) {
  verb.add_option("--published", flags.files, "Files of published tables");
}

int run_published(Session &, const PublishedFlags &) { return exit_usage; }

} // namespace ringscale::drivers
