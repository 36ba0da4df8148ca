# SPDX-License-Identifier: Apache-2.0
option(RINGSCALE_ENABLE_TESTS "Build the tests" ON)
option(RINGSCALE_ENABLE_BENCHMARKS "Build the Google Benchmark programs" ON)
option(RINGSCALE_WARNINGS_AS_ERRORS "Treat compiler warnings as errors" OFF)
option(RINGSCALE_ENABLE_CUDA "Refuse a Kokkos that was built without CUDA" OFF)
set(RINGSCALE_SANITIZE "" CACHE STRING "Sanitizers for our own targets, for example address;undefined")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
