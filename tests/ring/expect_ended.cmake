# SPDX-License-Identifier: Apache-2.0
# cmake -DCOMMAND="a|b|c" -DFAULT=... -DWITHIN_S=n [-DEXPECT_CODE=c] [-DEXPECT_TEXT=regex] -P expect_ended.cmake
# The job must end by itself within WITHIN_S seconds, not with 0, and say on standard error what EXPECT_TEXT wants.
string(REPLACE "|" ";" COMMAND "${COMMAND}")
set(ENV{RINGSCALE_TEST_FAULT} "${FAULT}")
set(ENV{OMP_NUM_THREADS} 1)
set(ENV{OMP_PROC_BIND} false)
execute_process(COMMAND ${COMMAND} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE errors
                TIMEOUT ${WITHIN_S})
message("exit code: ${code}\nstandard error:\n${errors}")
if(NOT code MATCHES "^[0-9]+$")
  message(FATAL_ERROR "the job did not end within ${WITHIN_S} s: ${code}")
endif()
if(code EQUAL 0)
  message(FATAL_ERROR "the job ended with 0 although a rank was lost")
endif()
if(DEFINED EXPECT_CODE AND NOT code EQUAL EXPECT_CODE)
  message(FATAL_ERROR "exit code ${code} instead of ${EXPECT_CODE}")
endif()
if(DEFINED EXPECT_TEXT AND NOT errors MATCHES "${EXPECT_TEXT}")
  message(FATAL_ERROR "standard error does not match ${EXPECT_TEXT}")
endif()
