# CUDA as a language, and how device code is compiled.

# Before the language is enabled: CMake's own default is too old for current compilers.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES "80-real;87-real;89-real;90-real;90-virtual" CACHE STRING
    "GPUs to compile for: machine code (-real) and PTX for later ones (-virtual)")
endif()
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)

set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)

# Beside pila_options, whose flags are the host compiler's. --fmad=false as -ffp-contract=off: only what is
# written as a fused operation is one. -Wpedantic is left out: it rejects the code that nvcc itself writes.
add_library(pila_cuda_options INTERFACE)
target_compile_options(pila_cuda_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Werror all-warnings --fmad=false>"
  "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Xcompiler=-Wall,-Wextra,-Wshadow,-Wnon-virtual-dtor,-Werror,-ffp-contract=off>")
target_link_libraries(pila_cuda_options INTERFACE CUDA::cudart_static)
