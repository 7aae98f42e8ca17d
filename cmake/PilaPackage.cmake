# What is installed: the programs (component `runtime`), and the engine for other projects (`development`), which
# find_package(pila) and link pila::weights, pila::layers or pila::engine.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # cpack packs what there is, without building the tests

set(libraries pila_kernels_reference pila_kernels_cpu pila_engine pila_layers pila_weights)
if(PILA_CUDA)
  list(APPEND libraries pila_kernels_cuda)
endif()
foreach(library ${libraries})
  string(REPLACE pila_ "" name ${library})
  set_target_properties(${library} PROPERTIES EXPORT_NAME ${name})
endforeach()
target_compile_features(pila_engine INTERFACE cxx_std_20)

# Headers include each other by their place in the source tree, which they keep below include/pila.
set(package "${CMAKE_INSTALL_LIBDIR}/cmake/pila")
set(headers "${CMAKE_INSTALL_INCLUDEDIR}/pila")
install(TARGETS ${libraries} EXPORT pila
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development
  INCLUDES DESTINATION "${headers}")
install(DIRECTORY engine layers weights DESTINATION "${headers}" COMPONENT development
  FILES_MATCHING PATTERN "*.h")
install(DIRECTORY kernels/args DESTINATION "${headers}/kernels" COMPONENT development)
install(FILES kernels/device_api.h kernels/kernel_table.h kernels/random.h
  DESTINATION "${headers}/kernels" COMPONENT development)
install(EXPORT pila NAMESPACE pila:: DESTINATION "${package}" FILE pilaTargets.cmake COMPONENT development)
configure_package_config_file(cmake/pilaConfig.cmake.in "${PROJECT_BINARY_DIR}/pilaConfig.cmake"
  INSTALL_DESTINATION "${package}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/pilaConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/pilaConfig.cmake" "${PROJECT_BINARY_DIR}/pilaConfigVersion.cmake"
  DESTINATION "${package}" COMPONENT development)

install(TARGETS pila-finetune pila-live pila-evaluate pila-dataset pila-export
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT runtime)
# A library that programs load when they need it.
foreach(module pila_video_module pila_window_module)
  if(TARGET ${module})
    install(TARGETS ${module} LIBRARY DESTINATION lib/pila COMPONENT runtime)
  endif()
endforeach()
install(FILES systemd/pila-live@.service DESTINATION lib/systemd/system COMPONENT runtime)
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" RENAME copyright COMPONENT runtime)
install(FILES README.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT runtime)
install(DIRECTORY docs DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT runtime)

# cpack -G DEB makes a package of the programs; of a portable build alone, since it goes to other machines.
if(PILA_PORTABLE)
  set(CPACK_PACKAGE_NAME pila)
  set(CPACK_PACKAGE_VENDOR Pila)
  set(CPACK_PACKAGE_CONTACT "Pila maintainers <maintainers@localhost>")
  set(CPACK_PACKAGE_DESCRIPTION_FILE "${PROJECT_SOURCE_DIR}/cmake/package_description.txt")
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_STRIP_FILES ON)
  set(CPACK_COMPONENTS_ALL runtime)
  set(CPACK_DEB_COMPONENT_INSTALL ON)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME pila)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_SECTION science)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)  # ImageNet weights come by HTTPS
  include(CPack)
endif()
