# LibTorch as the target scvi_torch: Debian's, or another one that CMAKE_PREFIX_PATH names (what
# torch.utils.cmake_prefix_path of a pip-installed torch prints will do). Torch's own package file is not used: that of a
# CUDA build wants the CUDA toolkit and a GPU, though nothing here compiles CUDA.

set(scvi_torch_roots "")
set(scvi_prefixes ${CMAKE_PREFIX_PATH})
string(REPLACE ":" ";" scvi_environment_prefixes "$ENV{CMAKE_PREFIX_PATH}")
foreach(prefix ${scvi_prefixes} ${scvi_environment_prefixes})
  list(APPEND scvi_torch_roots ${prefix} ${prefix}/../..)
endforeach()

find_path(SCVI_TORCH_INCLUDE_DIR ATen/ATen.h HINTS ${scvi_torch_roots} PATH_SUFFIXES include)
foreach(library torch torch_cpu c10)
  find_library(SCVI_TORCH_${library}_LIBRARY ${library} HINTS ${scvi_torch_roots} PATH_SUFFIXES lib)
  if(NOT SCVI_TORCH_${library}_LIBRARY)
    message(FATAL_ERROR "LibTorch is not there (lib${library}.so). Install Debian's libtorch-dev, or set "
                        "CMAKE_PREFIX_PATH to what `python3 -c 'import torch; print(torch.utils.cmake_prefix_path)'` prints.")
  endif()
endforeach()
if(NOT SCVI_TORCH_INCLUDE_DIR)
  message(FATAL_ERROR "LibTorch's headers are not there (ATen/ATen.h). Install Debian's libtorch-dev.")
endif()
file(STRINGS ${SCVI_TORCH_c10_LIBRARY} scvi_torch_new_abi REGEX "__cxx11" LIMIT_COUNT 1)
if(NOT scvi_torch_new_abi)
  message(FATAL_ERROR "${SCVI_TORCH_c10_LIBRARY} was built with the old C++ ABI, which fits no other library here. "
                      "Use Debian's libtorch-dev, or torch 2.7 or newer.")
endif()

add_library(scvi_torch INTERFACE)
# Foreign headers: their warnings are not ours.
target_include_directories(scvi_torch SYSTEM INTERFACE
  ${SCVI_TORCH_INCLUDE_DIR} ${SCVI_TORCH_INCLUDE_DIR}/torch/csrc/api/include)
# The library of C++ goes first: LibTorch as PyPI has it (seen in 2.11) exports pieces of std::filesystem of its own, which
# crash when they are found before the real ones.
# libtorch itself holds no symbol that we use, but it brings in the GPU's part where there is one.
target_link_libraries(scvi_torch INTERFACE stdc++
  "-Wl,--push-state,--no-as-needed" ${SCVI_TORCH_torch_LIBRARY} "-Wl,--pop-state"
  ${SCVI_TORCH_torch_cpu_LIBRARY} ${SCVI_TORCH_c10_LIBRARY})
