# Everything the project links, found in one place. All of it is in Debian 12 (see ./dev).

find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(ZLIB REQUIRED)
find_package(EXPAT REQUIRED)
find_package(CURL REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET libzip)
pkg_check_modules(libarchive REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(xlsxwriter REQUIRED IMPORTED_TARGET xlsxwriter)
pkg_check_modules(libdeflate REQUIRED IMPORTED_TARGET libdeflate)
# Highway: vectors in the width of the machine, chosen at run time.
pkg_check_modules(libhwy REQUIRED IMPORTED_TARGET libhwy)

# cairo: pictures in pixels, and the measures of text.
pkg_check_modules(cairo REQUIRED IMPORTED_TARGET cairo)

# igraph: Leiden clustering.
pkg_check_modules(igraph REQUIRED IMPORTED_TARGET igraph)

# libsvm, which has neither CMake's nor pkg-config's description: support vector machines.
find_path(SCVI_LIBSVM_INCLUDE svm.h PATH_SUFFIXES libsvm REQUIRED)
find_library(SCVI_LIBSVM_LIBRARY svm REQUIRED)
mark_as_advanced(SCVI_LIBSVM_INCLUDE SCVI_LIBSVM_LIBRARY)
add_library(scvi_libsvm INTERFACE)
target_include_directories(scvi_libsvm SYSTEM INTERFACE ${SCVI_LIBSVM_INCLUDE})
target_link_libraries(scvi_libsvm INTERFACE ${SCVI_LIBSVM_LIBRARY})

# HDF5 as one target, whatever the age of CMake's module.
add_library(scvi_hdf5 INTERFACE)
target_include_directories(scvi_hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
target_link_libraries(scvi_hdf5 INTERFACE ${HDF5_C_LIBRARIES})

include(ScviTorch)

# Flags of all our own targets.
add_library(scvi_flags INTERFACE)
target_compile_options(scvi_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  # GCC 12 sees overflows in std::string's operator+ that are not there (its bugs 105329 and 105651), and both it and
  # GCC 13 see them in std::vector<bool>, which LibTorch's headers use; GCC 13 takes references to statics for dangling.
  target_compile_options(scvi_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict;-Wno-stringop-overflow;-Wno-array-bounds>)
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-Wdangling-reference SCVI_HAS_WDANGLING_REFERENCE)
  if(SCVI_HAS_WDANGLING_REFERENCE)
    target_compile_options(scvi_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-dangling-reference>)
  endif()
endif()
if(SCVI_WARNINGS_AS_ERRORS)
  target_compile_options(scvi_flags INTERFACE -Werror)
endif()
if(SCVI_SANITIZE)
  target_compile_options(scvi_flags INTERFACE -fsanitize=${SCVI_SANITIZE} -fno-omit-frame-pointer -g1)
  target_link_options(scvi_flags INTERFACE -fsanitize=${SCVI_SANITIZE})
endif()
