# find_package(scvi) gives the target scvi::scvi, which links all rooms, and one target a room (scvi::core, ...).
include(CMakePackageConfigHelpers)

get_property(rooms GLOBAL PROPERTY SCVI_ROOMS)
list(TRANSFORM rooms PREPEND scvi_ OUTPUT_VARIABLE room_targets)
add_library(scvi_all INTERFACE)
add_library(scvi::scvi ALIAS scvi_all)
target_link_libraries(scvi_all INTERFACE ${room_targets})
set_target_properties(scvi_all PROPERTIES EXPORT_NAME scvi)

install(TARGETS ${room_targets} scvi_all EXPORT scviTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/scvi DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/scvi)
install(EXPORT scviTargets NAMESPACE scvi:: DESTINATION ${config_dir})
configure_package_config_file(cmake/scviConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/scviConfig.cmake
                              INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/scviConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/scviConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/scviConfigVersion.cmake
              cmake/ScviTorch.cmake DESTINATION ${config_dir})
