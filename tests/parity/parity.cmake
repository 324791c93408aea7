# The golden cases: those of SCVI_GOLDEN (default: ../shared/golden beside the source), and always the subset kept here.
set(golden_dir $ENV{SCVI_GOLDEN})
if(NOT golden_dir)
  set(golden_dir ${PROJECT_SOURCE_DIR}/../shared/golden)
endif()
file(GLOB golden_cases CONFIGURE_DEPENDS ${golden_dir}/*.h5)
if(NOT golden_cases)
  message(WARNING "NO GOLDEN CASES in ${golden_dir}: parity is checked on the subset in tests/golden only "
                  "(set SCVI_GOLDEN)")
endif()
file(GLOB kept_cases CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/golden/*.h5)

function(scvi_add_parity_test file prefix)
  cmake_path(GET file STEM case)
  add_test(NAME ${prefix}.${case} COMMAND scvi-parity --quiet ${ARGN} ${file})
  # A case of a model that does not exist yet is shown as skipped.
  set_tests_properties(${prefix}.${case} PROPERTIES SKIP_RETURN_CODE 3 TIMEOUT 300)
endfunction()

foreach(file ${golden_cases})
  scvi_add_parity_test(${file} parity)
  # Models run on either road.
  if(file MATCHES "/(traj_|posterior_)?(vae|ldvae|autozi|vaec|scanvi|classifier|scale_sampler)[_.]")
    scvi_add_parity_test(${file} parity-aten --aten)
  endif()
endforeach()
foreach(file ${kept_cases})
  scvi_add_parity_test(${file} parity-kept)
endforeach()
