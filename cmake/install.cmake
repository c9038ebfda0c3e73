# What `cmake --install` puts where: the programs (libraries.cmake), the headers a plugin needs, the
# licence, and the manual page when it was made (`./dev docs`).
include(GNUInstallDirs)
install(DIRECTORY src/base src/par src/kernel src/core
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/normlab FILES_MATCHING PATTERN "*.h")
install(FILES LICENSE CITATION.cff CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY paper DESTINATION ${CMAKE_INSTALL_DATADIR}/normlab)
install(FILES ${PROJECT_BINARY_DIR}/man/normlab.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL)

find_program(HELP2MAN help2man)
if(HELP2MAN)
  add_custom_target(man
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/man
    COMMAND ${HELP2MAN} --no-info --no-discard-stderr --version-string=${PROJECT_VERSION}
            --name ${PROJECT_DESCRIPTION} --output ${PROJECT_BINARY_DIR}/man/normlab.1
            $<TARGET_FILE:normlab_program_f32>
    DEPENDS normlab_program_f32 VERBATIM)
endif()
