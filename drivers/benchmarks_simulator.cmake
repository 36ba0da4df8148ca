# SPDX-License-Identifier: Apache-2.0
add_executable(benchmark_simulator ${CMAKE_CURRENT_LIST_DIR}/benchmark_simulator.cpp)
ringscale_target_defaults(benchmark_simulator)
target_link_libraries(benchmark_simulator PRIVATE ringscale::simulator benchmark::benchmark)
set_target_properties(benchmark_simulator PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
if(RINGSCALE_ENABLE_TESTS)
  # A benchmark that no longer runs is found by the tests; its figures are not.
  add_test(NAME benchmark_simulator COMMAND benchmark_simulator --benchmark_filter=plain/4096|folded)
  set_tests_properties(benchmark_simulator PROPERTIES LABELS unit TIMEOUT 120)
endif()
