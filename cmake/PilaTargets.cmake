# How every Pila target is compiled, and the two helpers that declare one.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
find_package(Threads REQUIRED)

add_library(pila_options INTERFACE)
target_include_directories(pila_options INTERFACE "${PROJECT_SOURCE_DIR}")
target_link_libraries(pila_options INTERFACE Threads::Threads)
# Options for C++ alone; CUDA's compiler reads others.
function(pila_cxx_options)
  target_compile_options(pila_options INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${ARGN}>")
endfunction()

# Sums keep the order and rounding that the source says: equal bits everywhere.
pila_cxx_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12
   AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  pila_cxx_options(-Wno-restrict)  # GCC 12 sees overlaps in std::string's operator+ (its bug 105651)
endif()
if(NOT PILA_MARCH)
  set(PILA_MARCH native)
  if(PILA_PORTABLE AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(PILA_MARCH x86-64-v2)
  elseif(PILA_PORTABLE)
    set(PILA_MARCH armv8-a+crypto)  # what Highway takes NEON to be; nothing here encrypts
  endif()
endif()
pila_cxx_options(-march=${PILA_MARCH})
if(PILA_SANITIZE)
  # Three builds must fit into one test run, and instrumented code takes twice as long to compile: so it is
  # optimised little, tests and command lines not at all, has line tables alone, and checks by calls. Of undefined
  # behaviour, what AddressSanitizer catches as well is left to it; tests and command lines, to the compiler's
  # warnings.
  set(quick $<BOOL:$<TARGET_PROPERTY:PILA_COMPILE_QUICKLY>>)
  pila_cxx_options($<IF:${quick},-O0,-Og> -g1 -fno-omit-frame-pointer -fno-sanitize-recover=all)
  string(REPLACE "," ";" sanitizers "${PILA_SANITIZE}")
  foreach(sanitizer ${sanitizers})
    if(sanitizer STREQUAL undefined)
      set(undefined -fsanitize=undefined
        -fno-sanitize=vptr,null,alignment,object-size,nonnull-attribute,returns-nonnull-attribute)
      pila_cxx_options("$<$<NOT:${quick}>:${undefined}>")
    else()
      pila_cxx_options(-fsanitize=${sanitizer})
    endif()
  endforeach()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    pila_cxx_options(--param=asan-instrumentation-with-call-threshold=0)
    pila_cxx_options(-Wno-maybe-uninitialized)  # instrumented, std::regex looks uninitialised to GCC 12
  endif()
  target_link_options(pila_options INTERFACE -fsanitize=${PILA_SANITIZE})
endif()

# pila_library(NAME [TYPE STATIC|SHARED] SOURCES ... [PUBLIC libs ...] [PRIVATE libs ...])
function(pila_library name)
  cmake_parse_arguments(ARG "" "TYPE" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  if(NOT ARG_TYPE)
    set(ARG_TYPE STATIC)
  endif()
  add_library(${name} ${ARG_TYPE} ${ARG_SOURCES})
  # The options stay at home; threads go along to whoever links an installed library.
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC}
    PRIVATE $<BUILD_INTERFACE:pila_options> Threads::Threads ${ARG_PRIVATE})
endfunction()

# pila_compile_quickly(NAME LEVEL): for command lines (-O1) and tests (-O0), which nobody waits for while they run.
function(pila_compile_quickly name level)
  if(NOT PILA_SANITIZE)
    target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${level}>")
  endif()
  set_target_properties(${name} PROPERTIES PILA_COMPILE_QUICKLY ON)
endfunction()

# pila_program(NAME SOURCES ... LIBS ...)
function(pila_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE pila_options ${ARG_LIBS})
endfunction()
