# Dropping a file into norms/, models/ or datasets/ is enough: the build writes the tables that cli and
# tests include, one NL_ENTRY(name) a file.
foreach(folder norms models datasets)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*.c)
  set(table "")
  foreach(file ${files})
    get_filename_component(name ${file} NAME_WE)
    string(APPEND table "NL_ENTRY(${name})\n")
  endforeach()
  file(CONFIGURE OUTPUT generated/${folder}_table.inc CONTENT "${table}")
endforeach()
add_library(normlab_registry INTERFACE)
target_include_directories(normlab_registry INTERFACE ${PROJECT_BINARY_DIR}/generated)

# The references that methods cite go into the program, byte by byte.
file(READ paper/refs.bib refs HEX)
string(REGEX REPLACE "(..)" "0x\\1," refs "${refs}")
file(CONFIGURE OUTPUT generated/refs_bib.inc CONTENT "${refs}\n")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS paper/refs.bib)
