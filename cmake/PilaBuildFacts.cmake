# What --version says of a build. As a script (cmake -P), it writes the commit, which no configuration knows,
# into a header that changes when the commit does.
if(CMAKE_SCRIPT_MODE_FILE)
  set(commit "")
  execute_process(COMMAND git -C "${SOURCE_DIR}" rev-parse --show-cdup
    RESULT_VARIABLE failed OUTPUT_VARIABLE up ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(failed STREQUAL 0 AND up STREQUAL "")  # not of a repository that the sources only lie in
    execute_process(COMMAND git -C "${SOURCE_DIR}" describe --always --exclude * --abbrev=12 --dirty=+changes
      OUTPUT_VARIABLE commit ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  endif()
  file(CONFIGURE OUTPUT "${HEADER}" CONTENT "#define PILA_COMMIT \"${commit}\"\n")
  return()
endif()

# For the target with core/build_facts.cpp.
function(pila_build_facts target)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/facts")
  add_custom_target(pila_commit
    COMMAND "${CMAKE_COMMAND}" -D "SOURCE_DIR=${PROJECT_SOURCE_DIR}" -D "HEADER=${folder}/pila_commit.h"
      -P "${CMAKE_CURRENT_FUNCTION_LIST_FILE}"
    BYPRODUCTS "${folder}/pila_commit.h" VERBATIM)
  add_dependencies(${target} pila_commit)

  set(cuda none)
  if(PILA_CUDA)
    string(REPLACE ";" " " cuda "${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
  endif()
  set(kind "${CMAKE_BUILD_TYPE}")
  if(PILA_SANITIZE)
    string(APPEND kind ", with sanitizers: ${PILA_SANITIZE}")
  endif()
  set_source_files_properties(core/build_facts.cpp PROPERTIES
    INCLUDE_DIRECTORIES "${folder}"
    OBJECT_DEPENDS "${folder}/pila_commit.h"
    COMPILE_DEFINITIONS
      "PILA_VERSION=\"${PROJECT_VERSION}\";PILA_COMPILER=\"${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}\";PILA_BUILD_TYPE=\"${kind}\";PILA_PROCESSOR=\"${CMAKE_SYSTEM_PROCESSOR}, -march=${PILA_MARCH}\";PILA_CUDA_COMPILER=\"${cuda}\"")
endfunction()
