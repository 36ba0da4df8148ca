# SPDX-License-Identifier: Apache-2.0
# Language level and warnings of every target; nothing is set globally.
function(ringscale_target_defaults target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor>
    $<$<AND:$<BOOL:${RINGSCALE_WARNINGS_AS_ERRORS}>,$<COMPILE_LANG_AND_ID:CXX,GNU,Clang>>:-Werror>)
  if(RINGSCALE_SANITIZE)
    list(JOIN RINGSCALE_SANITIZE "," sanitizers)
    target_compile_options(${target} PUBLIC -fsanitize=${sanitizers} -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${sanitizers})
  endif()
  target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/src")
endfunction()

# The same bits at every level of optimisation: no product and sum become one rounding where the processor could.
function(ringscale_exact_arithmetic target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang>:-ffp-contract=off>)
endfunction()

# ringscale_room(NAME SOURCES ... LINKS ...): the static library ringscale_NAME of one room.
function(ringscale_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINKS" ${ARGN})
  add_library(ringscale_${name} STATIC ${ROOM_SOURCES})
  add_library(ringscale::${name} ALIAS ringscale_${name})
  ringscale_target_defaults(ringscale_${name})
  target_link_libraries(ringscale_${name} PUBLIC ${ROOM_LINKS})
endfunction()

# ringscale_unit_test(NAME SOURCES ... LINKS ... [LABELS ...] [TIMEOUT s]): one GoogleTest program, one ctest.
function(ringscale_unit_test name)
  cmake_parse_arguments(TEST "" "TIMEOUT" "SOURCES;LINKS;LABELS" ${ARGN})
  if(NOT TEST_LABELS)
    set(TEST_LABELS unit)
  endif()
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  add_executable(test_${name} ${TEST_SOURCES})
  ringscale_target_defaults(test_${name})
  target_link_libraries(test_${name} PRIVATE ${TEST_LINKS} GTest::gtest GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND test_${name})
  set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT ${TEST_TIMEOUT})
endfunction()

# ringscale_mpi_test(NAME TARGET t RANKS n [ARGS ...] [LABELS ...]): runs a test program under mpiexec.
function(ringscale_mpi_test name)
  cmake_parse_arguments(TEST "" "TARGET;RANKS;TIMEOUT" "ARGS;LABELS" ${ARGN})
  if(NOT TEST_LABELS)
    set(TEST_LABELS mpi)
  endif()
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  add_test(NAME ${name} COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${TEST_RANKS} ${MPIEXEC_PREFLAGS}
                                $<TARGET_FILE:${TEST_TARGET}> ${MPIEXEC_POSTFLAGS} ${TEST_ARGS})
  set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT ${TEST_TIMEOUT} PROCESSORS 2
                       ENVIRONMENT "OMP_NUM_THREADS=1;OMP_PROC_BIND=false")
endfunction()
