# Python's anndata and loompy must read what we write, and we what they write and what pandas pickles. Runs wherever a
# python3 has them: the system's (Debian's python3-anndata, python3-loompy), and one more given by
# -DSCVI_INTEROP_PYTHON=... for the newest releases.

add_executable(interop_h5ad ${CMAKE_CURRENT_LIST_DIR}/interop_h5ad.cpp)
target_link_libraries(interop_h5ad PRIVATE scvi_testing scvi_io scvi_hdf5)
add_executable(interop_files ${CMAKE_CURRENT_LIST_DIR}/interop_files.cpp)
target_link_libraries(interop_files PRIVATE scvi_testing scvi_io)

set(SCVI_INTEROP_PYTHON "" CACHE FILEPATH "One more python3 with anndata, loompy or pandas to check our files against")
find_program(SCVI_SYSTEM_PYTHON python3 HINTS /usr/bin)

function(scvi_add_interop_test name python package tool)
  add_test(NAME io.interop.${name}
           COMMAND ${python} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/check_with_${package}.py $<TARGET_FILE:${tool}>
                   ${PROJECT_SOURCE_DIR})
  # 77: the package is not there; the script says so loudly.
  set_tests_properties(io.interop.${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900)
endfunction()

if(SCVI_SYSTEM_PYTHON)
  scvi_add_interop_test(anndata ${SCVI_SYSTEM_PYTHON} anndata interop_h5ad)
  scvi_add_interop_test(loompy ${SCVI_SYSTEM_PYTHON} loompy interop_files)
  scvi_add_interop_test(pandas ${SCVI_SYSTEM_PYTHON} pandas interop_files)
else()
  message(WARNING "NO python3: the files we write are not checked against Python's anndata and loompy")
endif()
if(SCVI_INTEROP_PYTHON)
  scvi_add_interop_test(anndata_given ${SCVI_INTEROP_PYTHON} anndata interop_h5ad)
  scvi_add_interop_test(loompy_given ${SCVI_INTEROP_PYTHON} loompy interop_files)
  scvi_add_interop_test(pandas_given ${SCVI_INTEROP_PYTHON} pandas interop_files)
endif()
