# Python's anndata must read what we write, and we what it writes. Runs wherever a python3 has anndata: the system's
# (Debian's python3-anndata), and one more given by -DSCVI_INTEROP_PYTHON=... for the newest release.

add_executable(interop_h5ad ${CMAKE_CURRENT_LIST_DIR}/interop_h5ad.cpp)
target_link_libraries(interop_h5ad PRIVATE scvi_testing scvi_io scvi_hdf5)

set(SCVI_INTEROP_PYTHON "" CACHE FILEPATH "One more python3 with anndata to check .h5ad files against")
find_program(SCVI_SYSTEM_PYTHON python3 HINTS /usr/bin)

function(scvi_add_interop_test name python)
  add_test(NAME io.interop.${name}
           COMMAND ${python} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/check_with_anndata.py $<TARGET_FILE:interop_h5ad>
                   ${PROJECT_SOURCE_DIR})
  # 77: no anndata there; the script says so loudly.
  set_tests_properties(io.interop.${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900)
endfunction()

if(SCVI_SYSTEM_PYTHON)
  scvi_add_interop_test(anndata ${SCVI_SYSTEM_PYTHON})
else()
  message(WARNING "NO python3: the .h5ad files we write are not checked against Python's anndata")
endif()
if(SCVI_INTEROP_PYTHON)
  scvi_add_interop_test(anndata_given ${SCVI_INTEROP_PYTHON})
endif()
