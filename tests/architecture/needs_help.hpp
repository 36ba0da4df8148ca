// SPDX-License-Identifier: Apache-2.0
// Deliberately not self-contained: it uses std::string and includes nothing.
#ifndef RINGSCALE_TESTS_ARCHITECTURE_NEEDS_HELP_HPP
#define RINGSCALE_TESTS_ARCHITECTURE_NEEDS_HELP_HPP
inline std::string needs_help() { return "the header <string>"; }
#endif
