# What the pages of comparisons are made of: analysis/page, and the libraries they draw with, fetched
# by npm at the pinned versions and joined into one file. analysis/assets.c puts both into the program.
# Without npm the file is empty, and pages have drawings by gnuplot instead.
option(NORMLAB_CHARTS "Charts in pages that can be filtered and saved (npm, when building)" ON)
set(NORMLAB_PAGE ${PROJECT_SOURCE_DIR}/analysis/page)
set(NORMLAB_PAGE_LIBRARIES ${PROJECT_BINARY_DIR}/page/libraries.js)
find_program(NPM npm)
if(NORMLAB_CHARTS AND NPM)
  add_custom_command(OUTPUT ${NORMLAB_PAGE_LIBRARIES}
    COMMAND ${CMAKE_COMMAND} -DNPM=${NPM} -DFROM=${NORMLAB_PAGE} -DTO=${NORMLAB_PAGE_LIBRARIES}
            -P ${PROJECT_SOURCE_DIR}/cmake/join.cmake
    DEPENDS ${NORMLAB_PAGE}/package.json ${NORMLAB_PAGE}/package-lock.json
            ${PROJECT_SOURCE_DIR}/cmake/join.cmake
    COMMENT "Fetching what pages draw with" VERBATIM)
else()
  if(NORMLAB_CHARTS)
    message(STATUS "npm is not installed: pages have drawings instead of charts")
  endif()
  file(CONFIGURE OUTPUT ${NORMLAB_PAGE_LIBRARIES} CONTENT "")
endif()
add_custom_target(normlab_page DEPENDS ${NORMLAB_PAGE_LIBRARIES})

function(normlab_assets target)
  set(assets ${PROJECT_SOURCE_DIR}/analysis/assets.c)
  set_source_files_properties(${assets} PROPERTIES
    COMPILE_DEFINITIONS "NL_PAGE=\"${NORMLAB_PAGE}\";NL_PAGE_LIBRARIES=\"${NORMLAB_PAGE_LIBRARIES}\""
    OBJECT_DEPENDS "${NORMLAB_PAGE}/page.css;${NORMLAB_PAGE}/page.js;${NORMLAB_PAGE_LIBRARIES}")
  add_dependencies(${target} normlab_page)
endfunction()
