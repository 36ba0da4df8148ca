// SPDX-License-Identifier: Apache-2.0
#include "ring/mpi_check.hpp"

#include <mpi.h>

#include <array>

namespace ringscale::ring {

std::string describe(const Site &site) {
  std::string text = site.what;
  const auto append = [&](const char *label, std::int64_t value) {
    if (value >= 0) {
      text += (text.empty() ? "" : ", ") + std::string(label) + std::to_string(value);
    }
  };
  append("rank ", site.rank);
  append("step ", site.step);
  append("receiving from rank ", site.receive_from);
  append("sending to rank ", site.send_to);
  return text;
}

void check_mpi(int code, const char *call, const Site &site) {
  if (code == MPI_SUCCESS) {
    return;
  }
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) {
    length = 0;
  }
  std::string reason(text.data(), static_cast<std::size_t>(length));
  for (char &letter : reason) {
    letter = letter == '\n' ? ' ' : letter;
  }
  throw MpiFailure(std::string(call) + " failed at " + describe(site) + ": " +
                   (reason.empty() ? "error code " + std::to_string(code) : reason));
}

} // namespace ringscale::ring
