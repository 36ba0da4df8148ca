# SPDX-License-Identifier: Apache-2.0
# <prefix>/bin/ringscale, and <prefix>/share/ringscale with the experiments, their schemas, and the report's Python.
install(TARGETS ringscale RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/experiments" "${PROJECT_SOURCE_DIR}/analysis"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/ringscale"
        PATTERN "__pycache__" EXCLUDE
        PATTERN "results" EXCLUDE)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/ringscale")
