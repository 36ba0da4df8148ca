# SPDX-License-Identifier: Apache-2.0
# ringscale::cblas: a BLAS with the C interface cblas.h. OpenBLAS comes first; BLA_VENDOR asks FindBLAS for another one,
# CBLAS_INCLUDE_DIR names the folder of cblas.h where it is in none of the usual places. Included by
# RingscaleDependencies.cmake and by scripts/probe, which reads CBLAS_FOUND and CBLAS_HEADER.
include(CheckCXXSourceCompiles)
include(CheckLinkerFlag)

set(blas_vendor "${BLA_VENDOR}")
if(NOT BLA_VENDOR)
  set(BLA_VENDOR OpenBLAS)
  find_package(BLAS QUIET)
endif()
if(NOT BLAS_FOUND)
  set(BLA_VENDOR "${blas_vendor}")
  if(NOT BLA_VENDOR)
    unset(BLA_VENDOR)
  endif()
  find_package(BLAS QUIET)
endif()

set(CBLAS_FOUND FALSE)
if(BLAS_FOUND)
  # The header that belongs to the library lies beside it: <prefix>/lib/x.so, <prefix>/include/cblas.h.
  set(prefixes "")
  foreach(library IN LISTS BLAS_LIBRARIES)
    if(IS_ABSOLUTE "${library}")
      cmake_path(GET library PARENT_PATH folder)
      cmake_path(GET folder PARENT_PATH prefix)
      list(APPEND prefixes "${prefix}")
    endif()
  endforeach()
  find_path(CBLAS_INCLUDE_DIR cblas.h
            HINTS ${prefixes} PATH_SUFFIXES include include/openblas include/cblas openblas cblas
            DOC "Folder of cblas.h")
  # Reference BLAS keeps the C interface in a library of its own.
  foreach(extra IN ITEMS "" cblas)
    if(CBLAS_FOUND OR NOT CBLAS_INCLUDE_DIR)
      break()
    endif()
    set(CMAKE_REQUIRED_INCLUDES "${CBLAS_INCLUDE_DIR}")
    set(CMAKE_REQUIRED_LIBRARIES ${extra} ${BLAS_LIBRARIES} ${BLAS_LINKER_FLAGS})
    check_cxx_source_compiles("
      #include <cblas.h>
      int main() {
        float x = 1.0F;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, 1, 1, 1, 1.0F, &x, 1, &x, 1, 0.0F, &x, 1);
        return 0;
      }" CBLAS_LINKS_WITH_${extra}BLAS)
    if(CBLAS_LINKS_WITH_${extra}BLAS)
      set(CBLAS_FOUND TRUE)
      set(CBLAS_HEADER "${CBLAS_INCLUDE_DIR}/cblas.h")
      # OpenBLAS says which kernels it chose and obeys a number of threads.
      check_cxx_source_compiles("
        #include <cblas.h>
        int main() { openblas_set_num_threads(1); return openblas_get_corename()[0] + openblas_get_config()[0]; }"
        CBLAS_IS_OPENBLAS)
      add_library(ringscale_cblas INTERFACE)
      add_library(ringscale::cblas ALIAS ringscale_cblas)
      target_include_directories(ringscale_cblas SYSTEM INTERFACE "${CBLAS_INCLUDE_DIR}")
      target_link_libraries(ringscale_cblas INTERFACE ${CMAKE_REQUIRED_LIBRARIES})
      # A program that calls no BLAS must not load one: OpenBLAS starts threads and maps buffers as it is loaded.
      check_linker_flag(CXX LINKER:--as-needed RINGSCALE_LINKER_KNOWS_AS_NEEDED)
      if(RINGSCALE_LINKER_KNOWS_AS_NEEDED)
        target_link_options(ringscale_cblas INTERFACE LINKER:--as-needed)
      endif()
      if(CBLAS_IS_OPENBLAS)
        target_compile_definitions(ringscale_cblas INTERFACE RINGSCALE_OPENBLAS)
      endif()
    endif()
    unset(CMAKE_REQUIRED_INCLUDES)
    unset(CMAKE_REQUIRED_LIBRARIES)
  endforeach()
endif()
set(BLA_VENDOR "${blas_vendor}")
