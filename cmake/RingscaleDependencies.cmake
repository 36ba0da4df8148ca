# SPDX-License-Identifier: Apache-2.0
# Kokkos: a site's own (Spack, module, -DKokkos_ROOT) comes first; scripts/setup builds one into .deps where none is.
find_package(Kokkos 4.7 CONFIG QUIET)
if(NOT Kokkos_FOUND)
  find_package(Kokkos 4.7 CONFIG REQUIRED PATHS "${PROJECT_SOURCE_DIR}/.deps/kokkos" NO_DEFAULT_PATH)
endif()
# Only the C interface of MPI is used; libmpicxx would tie the program to one C++ runtime.
set(MPI_CXX_SKIP_MPICXX ON)
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(nlohmann_json 3.10 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(Threads REQUIRED)
if(RINGSCALE_ENABLE_TESTS)
  find_package(GTest REQUIRED)
endif()
if(RINGSCALE_ENABLE_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
