# SPDX-License-Identifier: Apache-2.0
# Google Benchmark programs of the kernels; each is also a quick test, so that it cannot rot.
add_executable(benchmark_kernels
  benchmark_backward.cpp
  benchmark_dense.cpp
  benchmark_dilated_variants.cpp
  benchmark_kernels.cpp
  benchmark_pattern_gradients.cpp
  benchmark_patterns.cpp
  benchmark_multihead.cpp
  benchmark_peers.cpp
  benchmark_precision.cpp
  benchmark_support.cpp
  blas_core.cpp
)
ringscale_target_defaults(benchmark_kernels)
target_link_libraries(benchmark_kernels PRIVATE ringscale::kernels ringscale::problem benchmark::benchmark)
set_target_properties(benchmark_kernels PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
if(RINGSCALE_ENABLE_TESTS)
  add_test(NAME benchmark_kernels_smoke
           COMMAND benchmark_kernels --smoke --benchmark_min_time=0.001)
  set_tests_properties(benchmark_kernels_smoke PROPERTIES LABELS unit TIMEOUT 120
                       ENVIRONMENT "OMP_NUM_THREADS=1;OMP_PROC_BIND=false")
endif()

# The exchanges of the ring beside each other, on ranks of MPI.
add_executable(benchmark_exchanges benchmark_exchanges.cpp)
ringscale_target_defaults(benchmark_exchanges)
target_link_libraries(benchmark_exchanges PRIVATE ringscale::ring ringscale::statistics)
set_target_properties(benchmark_exchanges PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
if(RINGSCALE_ENABLE_TESTS)
  ringscale_mpi_test(benchmark_exchanges_smoke TARGET benchmark_exchanges RANKS 2 ARGS 2)
endif()
