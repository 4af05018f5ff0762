# The GPU kernels, csrc/ops/*.cu, as data in the library: where a CUDA compiler is found. Nothing of CUDA is linked; csrc/device opens the
# driver at run time and takes its kernels from kernel_image(). To add a kernel file, name it in _ops.
#
#   by nvcc         one fatbin a file: cubins for the architectures below and PTX for the oldest and the newest. Drivers of nvcc's own major
#                   version and newer load it.
#   by NVRTC 12.6   a cubin for SM87 and PTX, for drivers from 12.6 to before 13: JetPack 6, and desktops that have not been updated.
#
# nvcc is looked for in CUDACXX, PATH, /usr/local/cuda and among Python's packages (nvidia-cuda-nvcc, -runtime, -crt, nvidia-nvvm); NVRTC in
# AFFECTRT_NVRTC_LIBRARY and among Python's packages (nvidia-cuda-nvrtc-cu12), also those that lie beside nvcc's.

set(AFFECTRT_CUDA AUTO CACHE STRING "GPU kernels: AUTO (if nvcc is found), ON (fail without nvcc), OFF")
set_property(CACHE AFFECTRT_CUDA PROPERTY STRINGS AUTO ON OFF)

set(_ops affect align detection emotion_layernorm image_to_tensor masked_attention memory_top_k sharpness skip_crf)
set(_architectures 75 80 87 89 90 110 120)
set(_ptx_architectures 75 120)

set(_incbins "")
set(_rows "")
set(_images "")

# One file into read-only data, and its row in the table.
function(_affectrt_carry op file sm min_driver below_driver)
  list(LENGTH _images number)
  set(symbol affectrt_kernel_image_${number})
  set(_incbins "${_incbins}asm(R\"(.pushsection .rodata
.balign 16
.global ${symbol}
.hidden ${symbol}
${symbol}: .incbin \"${file}\"
.global ${symbol}_end
.hidden ${symbol}_end
${symbol}_end: .byte 0
.popsection)\");
extern \"C\" const std::byte ${symbol}[], ${symbol}_end[];
" PARENT_SCOPE)
  set(_rows "${_rows}      {\"${op}\", ${symbol}, static_cast<std::size_t>(${symbol}_end - ${symbol}), ${sm}, ${min_driver}, ${below_driver}},\n" PARENT_SCOPE)
  set(_images ${_images} ${file} PARENT_SCOPE)
endfunction()

if(NOT AFFECTRT_CUDA STREQUAL OFF)
  find_package(Python COMPONENTS Interpreter QUIET)
  find_program(AFFECTRT_NVCC NAMES $ENV{CUDACXX} nvcc HINTS /usr/local/cuda/bin)
  if(NOT AFFECTRT_NVCC AND Python_FOUND)
    execute_process(
      COMMAND ${Python_EXECUTABLE} -c "import importlib.util as u, glob
spec = u.find_spec('nvidia')
print(';'.join(p for folder in (spec.submodule_search_locations if spec else []) for p in glob.glob(folder + '/cu1*/bin')), end='')"
      OUTPUT_VARIABLE _nvcc_folders ERROR_QUIET)
    find_program(AFFECTRT_NVCC NAMES nvcc HINTS ${_nvcc_folders})
  endif()
  if(AFFECTRT_CUDA STREQUAL ON AND NOT AFFECTRT_NVCC)
    message(FATAL_ERROR "AFFECTRT_CUDA=ON, but no nvcc was found: set CUDACXX to one, or `pip install nvidia-cuda-nvcc nvidia-cuda-runtime nvidia-cuda-crt nvidia-nvvm`")
  endif()
endif()

# An nvcc that lacks a part of itself, or a host compiler, must not keep the library from being built without kernels.
set(_nvcc_works OFF)
if(NOT AFFECTRT_CUDA STREQUAL OFF AND AFFECTRT_NVCC)
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/nvcc_probe.cu "extern \"C\" __global__ void probe(float* p) { *p = expf(*p); }\n")
  execute_process(COMMAND ${AFFECTRT_NVCC} -std=c++17 -allow-unsupported-compiler -arch=sm_75 -cubin -o nvcc_probe.cubin nvcc_probe.cu
                  WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} RESULT_VARIABLE _nvcc_result OUTPUT_VARIABLE _nvcc_said ERROR_VARIABLE _nvcc_said)
  if(_nvcc_result EQUAL 0)
    set(_nvcc_works ON)
  elseif(AFFECTRT_CUDA STREQUAL ON)
    message(FATAL_ERROR "AFFECTRT_CUDA=ON, but ${AFFECTRT_NVCC} does not compile a kernel for SM75:\n${_nvcc_said}")
  else()
    message(WARNING "GPU kernels: left out, since ${AFFECTRT_NVCC} does not compile a kernel for SM75:\n${_nvcc_said}")
  endif()
endif()

if(_nvcc_works)
  execute_process(COMMAND ${AFFECTRT_NVCC} --version OUTPUT_VARIABLE _nvcc_version)
  string(REGEX MATCH "release ([0-9]+)\\.([0-9]+)" _ "${_nvcc_version}")
  set(_nvcc_major ${CMAKE_MATCH_1})
  set(_nvcc_release ${CMAKE_MATCH_1}.${CMAKE_MATCH_2})
  execute_process(COMMAND ${AFFECTRT_NVCC} --list-gpu-arch OUTPUT_VARIABLE _known)
  string(REGEX REPLACE "[\n ]+" ";" _known "${_known}")
  set(_gencode "")
  set(_made "")
  foreach(_arch ${_architectures})
    if(compute_${_arch} IN_LIST _known)
      list(APPEND _gencode -gencode arch=compute_${_arch},code=sm_${_arch})
      list(APPEND _made sm_${_arch})
    endif()
  endforeach()
  foreach(_arch ${_ptx_architectures})
    if(compute_${_arch} IN_LIST _known)
      list(APPEND _gencode -gencode arch=compute_${_arch},code=compute_${_arch})
      list(APPEND _made compute_${_arch})
    endif()
  endforeach()

  set(_nvrtc "")
  if(Python_FOUND)
    get_filename_component(_packages ${AFFECTRT_NVCC} REALPATH)
    get_filename_component(_packages ${_packages}/../../../.. ABSOLUTE)
    execute_process(COMMAND ${Python_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/nvrtc_compile.py --find --hint ${_packages}
                    OUTPUT_VARIABLE _nvrtc ERROR_VARIABLE _nvrtc_error)
    if(_nvrtc)
      list(GET _nvrtc 1 _nvrtc_release)
      list(GET _nvrtc 0 _nvrtc)
    endif()
  endif()
  if(_nvrtc AND NOT _nvrtc_release VERSION_EQUAL 12.6)
    set(_nvrtc_why " (${_nvrtc} is of ${_nvrtc_release})")
    set(_nvrtc "")
  endif()

  # A fifth of the size, for some milliseconds at load. Nvcc 12 need not know the option.
  set(_compress "")
  if(_nvcc_major GREATER 12)
    set(_compress --compress-mode=size)
  endif()

  set(_kernel_folder ${CMAKE_CURRENT_BINARY_DIR}/kernels)
  file(MAKE_DIRECTORY ${_kernel_folder})
  file(GLOB _kernel_headers CONFIGURE_DEPENDS csrc/ops/*_gpu.h csrc/ops/*.cuh)
  foreach(_op ${_ops})
    set(_source ${CMAKE_CURRENT_SOURCE_DIR}/csrc/ops/${_op}.cu)
    set(_file ${_kernel_folder}/${_op}.fatbin)
    # No host code comes of it, so that which host compiler reads the source does not matter.
    add_custom_command(OUTPUT ${_file}
      COMMAND ${AFFECTRT_NVCC} -std=c++17 -O3 --threads 2 -allow-unsupported-compiler ${_compress} -I${CMAKE_CURRENT_BINARY_DIR}/include ${_gencode}
              -fatbin -o ${_file} ${_source}
      DEPENDS ${_source} ${_kernel_headers} COMMENT "Kernels ${_op} by nvcc" VERBATIM)
    math(EXPR _oldest "${_nvcc_major} * 1000")
    _affectrt_carry(${_op} ${_file} 0 ${_oldest} 0)
    if(_nvrtc AND _nvcc_major GREATER 12)
      foreach(_target sm_87 compute_75)
        set(_file ${_kernel_folder}/${_op}.${_target})
        add_custom_command(OUTPUT ${_file}
          COMMAND ${Python_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/nvrtc_compile.py --library ${_nvrtc}
                  --include ${CMAKE_CURRENT_BINARY_DIR}/include --architecture ${_target} ${_source} ${_file}
          DEPENDS ${_source} ${_kernel_headers} ${CMAKE_CURRENT_LIST_DIR}/nvrtc_compile.py
          COMMENT "Kernels ${_op} for ${_target} by NVRTC" VERBATIM)
        if(_target STREQUAL sm_87)
          _affectrt_carry(${_op} ${_file} 87 12060 13000)
        else()
          _affectrt_carry(${_op} ${_file} 0 12060 13000)
        endif()
      endforeach()
    endif()
  endforeach()
  list(JOIN _made " " _made)
  message(STATUS "GPU kernels: by nvcc ${_nvcc_release} (${AFFECTRT_NVCC}) for ${_made}")
  if(_nvrtc)
    message(STATUS "GPU kernels: for JetPack 6 by NVRTC ${_nvrtc_release}")
  elseif(_nvcc_major GREATER 12)
    message(STATUS "GPU kernels: none for drivers before CUDA 13 (JetPack 6), since NVRTC 12.6 was not found${_nvrtc_why}: `pip install nvidia-cuda-nvrtc-cu12==12.6.*`")
  endif()
  configure_file(${CMAKE_CURRENT_LIST_DIR}/kernel_images.cc.in ${CMAKE_CURRENT_BINARY_DIR}/kernel_images.cc @ONLY)
  set_source_files_properties(${CMAKE_CURRENT_BINARY_DIR}/kernel_images.cc PROPERTIES OBJECT_DEPENDS "${_images}")
  target_sources(affectrt PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/kernel_images.cc)
  set_source_files_properties(csrc/device/kernel_images.cc PROPERTIES COMPILE_DEFINITIONS AFFECTRT_KERNELS)
else()
  message(STATUS "GPU kernels: none (AFFECTRT_CUDA=${AFFECTRT_CUDA}, nvcc: ${AFFECTRT_NVCC})")
endif()
