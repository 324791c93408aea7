# Files of torch archives go both ways between this library and Python's torch: once with the system's interpreter, once
# with -DSCVI_INTEROP_TORCH_PYTHON=<interpreter>, meant for the newest torch. Skipped, loudly, where torch is missing.
set(SCVI_INTEROP_TORCH_PYTHON "" CACHE FILEPATH "Python interpreter with a recent torch, for the tests with it")
find_program(scvi_system_python NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)

add_executable(torch_archive_tool ${CMAKE_CURRENT_LIST_DIR}/torch_archive_tool.cpp)
target_link_libraries(torch_archive_tool PRIVATE scvi_flags scvi_io nlohmann_json::nlohmann_json)

set(scvi_torch_script ${CMAKE_CURRENT_LIST_DIR}/check_torch_archive.py)
function(scvi_add_torch_interop_test name python hint)
  set(test io.interop.torch_archive_${name})
  if(python)
    add_test(NAME ${test} COMMAND ${python} ${scvi_torch_script} exchange $<TARGET_FILE:torch_archive_tool>)
  else()
    add_test(NAME ${test} COMMAND sh -c "echo 'NO PYTHON: ${hint}; this test did not run'; exit 77")
  endif()
  set_tests_properties(${test} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
endfunction()
scvi_add_torch_interop_test(system "${scvi_system_python}" "install python3-torch")
scvi_add_torch_interop_test(given "${SCVI_INTEROP_TORCH_PYTHON}" "set SCVI_INTEROP_TORCH_PYTHON")
