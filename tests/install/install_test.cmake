# Installs the build into a folder of its own, builds the example against it with find_package, and runs both it and
# the installed program. Variables: BUILD_DIR, SOURCE_DIR, WORK_DIR, PREFIX_PATH.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN} failed (${status}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${WORK_DIR}/prefix)
run(${WORK_DIR}/prefix/bin/scvi train --help)
run(${CMAKE_COMMAND} -S ${SOURCE_DIR}/tests/install -B ${WORK_DIR}/consumer -G Ninja -DCMAKE_BUILD_TYPE=Release
    -DEXAMPLE=${SOURCE_DIR}/examples/train_vae.cpp "-DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix;${PREFIX_PATH}")
run(${CMAKE_COMMAND} --build ${WORK_DIR}/consumer)
run(${WORK_DIR}/consumer/train_vae)
if(NOT output MATCHES "adjusted Rand index of the clusters (1|0\\.9)")
  message(FATAL_ERROR "the example did not find the clusters:\n${output}")
endif()
file(REMOVE_RECURSE ${WORK_DIR})
