# SPDX-License-Identifier: Apache-2.0
# What a result says about the program that made it. Compiler and flags are fixed at configuration; the commit is
# asked at every build, because a hash taken at configuration is wrong after the next commit. Run as a script
# (cmake -P) this file does the second part and rewrites its header only when something changed.
if(CMAKE_SCRIPT_MODE_FILE)
  set(commit "unknown")
  set(dirty "false")
  if(GIT_EXECUTABLE)
    execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE_DIR} rev-parse --show-toplevel
                    OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
    # A tarball unpacked inside another repository must not borrow that one's commit.
    file(REAL_PATH "${SOURCE_DIR}" source)
    if(NOT failed AND top STREQUAL source)
      execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE_DIR} rev-parse --verify --quiet HEAD
                      OUTPUT_VARIABLE head OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
      if(NOT failed)
        set(commit "${head}")
        execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE_DIR} status --porcelain --untracked-files=no
                        OUTPUT_VARIABLE changes ERROR_QUIET)
        if(NOT changes STREQUAL "")
          set(dirty "true")
        endif()
      endif()
    endif()
  endif()
  file(WRITE "${HEADER}.new" "// SPDX-License-Identifier: Apache-2.0
#pragma once

// Written at every build by cmake/RingscaleProvenance.cmake.
namespace ringscale::report::built {
inline constexpr const char *commit = \"${commit}\";
inline constexpr bool dirty = ${dirty};
} // namespace ringscale::report::built
")
  execute_process(COMMAND ${CMAKE_COMMAND} -E copy_if_different "${HEADER}.new" "${HEADER}")
  file(REMOVE "${HEADER}.new")
  return()
endif()

# ringscale_provenance(TARGET): gives TARGET the headers built_commit.hpp and built_configuration.hpp.
function(ringscale_provenance target)
  find_package(Git QUIET)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/provenance")
  set(header "${folder}/built_commit.hpp")
  add_custom_target(${target}_commit
    COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DHEADER=${header}
            -DGIT_EXECUTABLE=${GIT_EXECUTABLE} -P ${PROJECT_SOURCE_DIR}/cmake/RingscaleProvenance.cmake
    BYPRODUCTS ${header}
    COMMENT "Asking git for the commit"
    VERBATIM)
  add_dependencies(${target} ${target}_commit)

  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  set(flags "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}")
  # Kokkos carries the architecture flags that the kernels are compiled with.
  if(TARGET Kokkos::kokkoscore)
    get_target_property(kokkos_flags Kokkos::kokkoscore INTERFACE_COMPILE_OPTIONS)
    if(kokkos_flags)
      string(REGEX REPLACE "\\$<\\$<[A-Z_]+:[A-Z]+>:([^<>]*)>" "\\1" kokkos_flags "${kokkos_flags}")
      string(JOIN " " flags "${flags}" ${kokkos_flags})
    endif()
  endif()
  string(STRIP "${flags}" flags)
  file(CONFIGURE OUTPUT "${folder}/built_configuration.hpp" CONTENT [[// SPDX-License-Identifier: Apache-2.0
#pragma once

// Written at configuration by cmake/RingscaleProvenance.cmake.
namespace ringscale::report::built {
inline constexpr const char *version = "@PROJECT_VERSION@";
inline constexpr const char *build_type = "@CMAKE_BUILD_TYPE@";
inline constexpr const char *compiler = "@CMAKE_CXX_COMPILER_ID@ @CMAKE_CXX_COMPILER_VERSION@";
inline constexpr const char *flags = R"flags(@flags@)flags";
inline constexpr const char *kokkos_version = "@Kokkos_VERSION@";
} // namespace ringscale::report::built
]] @ONLY)
  target_include_directories(${target} PRIVATE "${folder}")
endfunction()
