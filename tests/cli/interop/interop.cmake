# What `scvi convert` writes must be what Python's anndata and loompy read: the system's (Debian's python3-anndata and
# python3-loompy). Skipped, loudly, where they are missing.
find_program(SCVI_SYSTEM_PYTHON python3 HINTS /usr/bin)
if(SCVI_SYSTEM_PYTHON)
  add_test(NAME cli.interop.converted_files_open_in_python
    COMMAND ${SCVI_SYSTEM_PYTHON} ${CMAKE_CURRENT_LIST_DIR}/check_converted.py $<TARGET_FILE:scvi> ${PROJECT_SOURCE_DIR})
  set_tests_properties(cli.interop.converted_files_open_in_python PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900)
  add_test(NAME cli.interop.clustered_files_open_in_python
    COMMAND ${SCVI_SYSTEM_PYTHON} ${CMAKE_CURRENT_LIST_DIR}/check_clustered.py $<TARGET_FILE:scvi>)
  set_tests_properties(cli.interop.clustered_files_open_in_python PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
else()
  message(WARNING "NO python3: converted files are not checked against Python's anndata and loompy")
endif()
