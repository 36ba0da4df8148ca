// SPDX-License-Identifier: Apache-2.0
// Preloaded by a test: makes every standard send synchronous, persistent ones too, so that a program that only works
// because MPI buffers small messages hangs at once.
#include <mpi.h>

static long synchronous_sends = 0;

extern "C" {

long ringscale_test_synchronous_sends() { return synchronous_sends; }

int MPI_Send(const void *buffer, int count, MPI_Datatype type, int destination, int tag, MPI_Comm communicator) {
  ++synchronous_sends;
  return PMPI_Ssend(buffer, count, type, destination, tag, communicator);
}

int MPI_Isend(const void *buffer, int count, MPI_Datatype type, int destination, int tag, MPI_Comm communicator,
              MPI_Request *request) {
  ++synchronous_sends;
  return PMPI_Issend(buffer, count, type, destination, tag, communicator, request);
}

int MPI_Send_init(const void *buffer, int count, MPI_Datatype type, int destination, int tag, MPI_Comm communicator,
                  MPI_Request *request) {
  ++synchronous_sends;
  return PMPI_Ssend_init(buffer, count, type, destination, tag, communicator, request);
}
}
