# One precompiled header for every target that uses LibTorch: its headers cost seconds a file.
add_library(scvi_pch OBJECT ${CMAKE_CURRENT_SOURCE_DIR}/cmake/pch.cpp)
target_link_libraries(scvi_pch PRIVATE scvi_flags scvi_torch)
target_precompile_headers(scvi_pch PRIVATE
  <ATen/ATen.h> <torch/types.h> <torch/nn/module.h> <torch/csrc/autograd/custom_function.h>)

# For programs: the precompiled header was made with -fPIC, so they are compiled with it, too.
function(scvi_use_torch target)
  target_link_libraries(${target} PRIVATE scvi_torch)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${target} PRIVATE -fPIC)
  target_precompile_headers(${target} REUSE_FROM scvi_pch)
endfunction()

# scvi_add_room(NAME [ROOMS below...] [PRIVATE_LIBS libs...] [TORCH])
# A room is a shared library made of src/NAME/*.cpp and the folders in it; its public headers are include/scvi/NAME/*.hpp.
# Private headers are included by their path below src/NAME.
function(scvi_add_room name)
  cmake_parse_arguments(ARG "TORCH" "" "ROOMS;PRIVATE_LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS
    ${CMAKE_CURRENT_SOURCE_DIR}/src/${name}/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/src/${name}/*/*.cpp)
  if(NOT sources)
    add_library(scvi_${name} INTERFACE)
    return()
  endif()
  add_library(scvi_${name} SHARED ${sources})
  add_library(scvi::${name} ALIAS scvi_${name})
  target_include_directories(scvi_${name} PUBLIC
    $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src/${name})
  target_compile_features(scvi_${name} PUBLIC cxx_std_20)
  set_target_properties(scvi_${name} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
                        EXPORT_NAME ${name})
  foreach(room ${ARG_ROOMS})
    target_link_libraries(scvi_${name} PUBLIC scvi_${room})
  endforeach()
  target_link_libraries(scvi_${name} PRIVATE $<BUILD_INTERFACE:scvi_flags>)
  foreach(lib ${ARG_PRIVATE_LIBS})
    target_link_libraries(scvi_${name} PRIVATE $<BUILD_INTERFACE:${lib}>)
  endforeach()
  if(ARG_TORCH)
    target_link_libraries(scvi_${name} PUBLIC $<BUILD_INTERFACE:scvi_torch>)
    target_precompile_headers(scvi_${name} REUSE_FROM scvi_pch)
  endif()
  set_property(GLOBAL APPEND PROPERTY SCVI_ROOMS ${name})
endfunction()
