// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace ringscale::drivers {

class Session;

/// Flags of validate --published.
struct PublishedFlags {
  std::vector<std::string> files;
  std::string machines; ///< folder of machine files; empty: the one that ships
};

void add_published_flags(CLI::App &verb, PublishedFlags &flags);

/// Predicts every cell of the published tables and prints the error.
int run_published(Session &session, const PublishedFlags &flags);

} // namespace ringscale::drivers
