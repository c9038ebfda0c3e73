# Flags every target shares: normlab_flags. Same arithmetic in debug and release: no contraction to
# fused multiply-add, no -ffast-math.
add_library(normlab_flags INTERFACE)
target_compile_definitions(normlab_flags INTERFACE _GNU_SOURCE)
target_compile_options(normlab_flags INTERFACE
  -ffp-contract=off -fno-math-errno -fno-trapping-math -fvisibility=hidden -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -Wno-sign-conversion -Wno-double-promotion -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Wformat=2 -Wundef -Wcast-align)
if(CMAKE_C_COMPILER_ID STREQUAL Clang)
  target_compile_options(normlab_flags INTERFACE -Wno-unknown-pragmas) # GCC ivdep
endif()
set(CMAKE_C_FLAGS_RELEASE "-O3 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")
if(NORMLAB_WERROR)
  target_compile_options(normlab_flags INTERFACE -Werror)
endif()
if(NORMLAB_NATIVE)
  target_compile_options(normlab_flags INTERFACE -march=native)
endif()
if(NORMLAB_SANITIZE)
  target_compile_options(normlab_flags INTERFACE
    $<$<NOT:$<BOOL:$<TARGET_PROPERTY:NORMLAB_UNSANITIZED>>>:-fsanitize=${NORMLAB_SANITIZE}>
    -fno-sanitize-recover=all)
  target_link_options(normlab_flags INTERFACE -fsanitize=${NORMLAB_SANITIZE})
endif()
if(NORMLAB_COVERAGE)
  target_compile_options(normlab_flags INTERFACE --coverage)
  target_link_options(normlab_flags INTERFACE --coverage)
endif()
target_include_directories(normlab_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
