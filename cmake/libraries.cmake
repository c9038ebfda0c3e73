# What normlab stands on, and the two functions that make a library and a program of one precision.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(HDF5 REQUIRED IMPORTED_TARGET hdf5-serial) # never the generic hdf5.pc: MPI takes it over
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)

# Kernels are compiled once for each CPU variant; nl_cpu_level() chooses at run time.
set(NORMLAB_VARIANT_base "")
set(NORMLAB_VARIANT_avx2 -mavx2 -mfma)
set(NORMLAB_VARIANT_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512)

function(normlab_library precision)
  file(GLOB sources CONFIGURE_DEPENDS src/base/*.c src/par/*.c src/core/*.c src/layers/*.c
       src/optim/*.c src/io/*.c src/train/*.c src/train/probes/*.c analysis/*.c)
  add_library(normlab_${precision} STATIC ${sources} src/kernel/cpu.c)
  file(GLOB kernels CONFIGURE_DEPENDS src/kernel/*.c)
  list(FILTER kernels EXCLUDE REGEX "/cpu\\.c$")
  foreach(variant base avx2 avx512)
    add_library(normlab_kernel_${variant}_${precision} OBJECT ${kernels})
    target_compile_definitions(normlab_kernel_${variant}_${precision} PRIVATE NL_CPU_VARIANT=${variant})
    target_compile_options(normlab_kernel_${variant}_${precision} PRIVATE ${NORMLAB_VARIANT_${variant}})
    normlab_settings(normlab_kernel_${variant}_${precision} ${precision})
    # Sanitized kernels take minutes to compile; one number type tells, and what is fuzzed reads files.
    if(NORMLAB_FUZZ OR precision STREQUAL f64)
      set_target_properties(normlab_kernel_${variant}_${precision} PROPERTIES NORMLAB_UNSANITIZED ON)
    endif()
    target_sources(normlab_${precision} PRIVATE $<TARGET_OBJECTS:normlab_kernel_${variant}_${precision}>)
  endforeach()
  normlab_settings(normlab_${precision} ${precision})
  normlab_assets(normlab_${precision})
  file(GLOB entries CONFIGURE_DEPENDS norms/*.c models/*.c datasets/*.c)
  add_library(normlab_entries_${precision} OBJECT ${entries})
  normlab_settings(normlab_entries_${precision} ${precision})
endfunction()

function(normlab_settings target precision)
  target_link_libraries(${target} PUBLIC normlab_flags PkgConfig::HDF5 PkgConfig::YAML ZLIB::ZLIB
                        Threads::Threads m ${CMAKE_DL_LIBS} hdf5_serial_hl)
  if(${precision} STREQUAL f64)
    target_compile_definitions(${target} PUBLIC NL_F64)
  endif()
endfunction()

# `normlab` (float) and `normlab-f64`; plugins find the library's symbols in the program.
function(normlab_program precision)
  set(name_f32 normlab)
  set(name_f64 normlab-f64)
  file(GLOB sources CONFIGURE_DEPENDS src/cli/*.c)
  add_executable(normlab_program_${precision} ${sources} $<TARGET_OBJECTS:normlab_entries_${precision}>)
  set_target_properties(normlab_program_${precision} PROPERTIES OUTPUT_NAME ${name_${precision}}
                        ENABLE_EXPORTS ON)
  target_link_libraries(normlab_program_${precision} PRIVATE normlab_${precision} normlab_registry)
  install(TARGETS normlab_program_${precision})
endfunction()
