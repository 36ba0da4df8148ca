// SPDX-License-Identifier: Apache-2.0
// Preloaded by a test: sleeps 0 to 2 ms before every call that posts a message, and 20 ms before one in a hundred, so
// that ranks meet in orders that a quiet machine never shows. The delays are a function of RINGSCALE_DELAY_SEED, the
// rank and the number of the call.
#include <mpi.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "problem/counter_random.hpp"

namespace {

std::uint64_t delays = 0;

void delay() {
  static const std::uint64_t seed = [] {
    const char *text = std::getenv("RINGSCALE_DELAY_SEED");
    return text == nullptr ? std::uint64_t{1} : std::stoull(text);
  }();
  static const int rank = [] {
    int world_rank = 0;
    PMPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
    return world_rank;
  }();
  const double random = ringscale::problem::random_uniform(seed, static_cast<std::uint64_t>(rank), delays++);
  const double rare = ringscale::problem::random_uniform(seed + 1, static_cast<std::uint64_t>(rank), delays);
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(rare < 0.01 ? 20.0 : 2.0 * random));
}

} // namespace

extern "C" {

long ringscale_test_random_delays() { return static_cast<long>(delays); }

int MPI_Send(const void *buffer, int count, MPI_Datatype type, int destination, int tag, MPI_Comm communicator) {
  delay();
  return PMPI_Send(buffer, count, type, destination, tag, communicator);
}

int MPI_Recv(void *buffer, int count, MPI_Datatype type, int source, int tag, MPI_Comm communicator,
             MPI_Status *status) {
  delay();
  return PMPI_Recv(buffer, count, type, source, tag, communicator, status);
}

int MPI_Isend(const void *buffer, int count, MPI_Datatype type, int destination, int tag, MPI_Comm communicator,
              MPI_Request *request) {
  delay();
  return PMPI_Isend(buffer, count, type, destination, tag, communicator, request);
}

int MPI_Irecv(void *buffer, int count, MPI_Datatype type, int source, int tag, MPI_Comm communicator,
              MPI_Request *request) {
  delay();
  return PMPI_Irecv(buffer, count, type, source, tag, communicator, request);
}

int MPI_Start(MPI_Request *request) {
  delay();
  return PMPI_Start(request);
}

int MPI_Put(const void *buffer, int count, MPI_Datatype type, int target, MPI_Aint address, int target_count,
            MPI_Datatype target_type, MPI_Win window) {
  delay();
  return PMPI_Put(buffer, count, type, target, address, target_count, target_type, window);
}

int MPI_Rput(const void *buffer, int count, MPI_Datatype type, int target, MPI_Aint address, int target_count,
             MPI_Datatype target_type, MPI_Win window, MPI_Request *request) {
  delay();
  return PMPI_Rput(buffer, count, type, target, address, target_count, target_type, window, request);
}

int MPI_Iallgatherv(const void *buffer, int count, MPI_Datatype type, void *gathered, const int *counts,
                    const int *offsets, MPI_Datatype gathered_type, MPI_Comm communicator, MPI_Request *request) {
  delay();
  return PMPI_Iallgatherv(buffer, count, type, gathered, counts, offsets, gathered_type, communicator, request);
}
}
