# cmake -DNPM=npm -DFROM=analysis/page -DTO=FILE -P join.cmake: installs what FROM/package.json pins
# beside FILE and joins it into FILE, in the order of use. A script inside a page must not hold the
# text that ends it. When npm fails, FILE is empty: remove it to try again.
get_filename_component(folder ${TO} DIRECTORY)
file(COPY ${FROM}/package.json ${FROM}/package-lock.json DESTINATION ${folder})
execute_process(COMMAND ${NPM} ci --ignore-scripts --no-audit --no-fund --loglevel=error
  WORKING_DIRECTORY ${folder} RESULT_VARIABLE failed OUTPUT_QUIET ERROR_VARIABLE said)
file(WRITE ${TO}.part "")
if(failed)
  message("npm could not fetch what pages draw with; they have drawings instead: ${said}")
else()
  foreach(library vega vega-lite vega-embed)
    file(READ ${folder}/node_modules/${library}/build/${library}.min.js text)
    string(REPLACE "</script" "<\\/script" text "${text}")
    file(APPEND ${TO}.part "${text}\n")
  endforeach()
endif()
file(RENAME ${TO}.part ${TO})
