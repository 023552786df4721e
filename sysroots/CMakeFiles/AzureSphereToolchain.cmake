# SPDX-License-Identifier: MIT
# Toolchain of high-level apps: ARMv7-A, hard float, musl.
set(AS_INT_APP_TYPE "HLApp" CACHE INTERNAL "Kind of app: HLApp or RTApp")
include("${CMAKE_CURRENT_LIST_DIR}/AzureSphereToolchainBase.cmake")

set(_sphere_compiler_dir
    "${AZURE_SPHERE_API_SET_DIR}/tools/sysroots/x86_64-pokysdk-linux/usr/bin/arm-poky-linux-musleabi")
set(CMAKE_C_COMPILER "${_sphere_compiler_dir}/arm-poky-linux-musleabi-gcc" CACHE INTERNAL "C compiler")
set(CMAKE_CXX_COMPILER "${_sphere_compiler_dir}/arm-poky-linux-musleabi-g++" CACHE INTERNAL "C++ compiler")
set(CMAKE_STRIP "${_sphere_compiler_dir}/arm-poky-linux-musleabi-strip" CACHE INTERNAL "strip")
set(CMAKE_FIND_ROOT_PATH "${AZURE_SPHERE_API_SET_DIR}")
set(CMAKE_SYSTEM_PROCESSOR arm)

string(
  JOIN
  " "
  _sphere_flags
  -march=armv7ve
  -mthumb
  -mfpu=neon-vfpv4
  -mfloat-abi=hard
  -mcpu=cortex-a7
  "--sysroot=\"${AZURE_SPHERE_API_SET_DIR}\""
  "-B \"${_sphere_compiler_dir}\""
  -fPIC
  -ffunction-sections
  -fdata-sections
  -fno-strict-aliasing
  -fno-omit-frame-pointer
  -fno-exceptions
  -fstack-protector-strong
  -Wall
  -Wswitch
  -Wempty-body
  -Wconversion
  -Wreturn-type
  -Wparentheses
  -Wno-format
  -Wuninitialized
  -Wunreachable-code
  -Wunused-function
  -Wunused-value
  -Wunused-variable
  -D_POSIX_C_SOURCE)
set(CMAKE_C_FLAGS_INIT
    "${_sphere_flags} -std=c11 -Wstrict-prototypes -Wno-pointer-sign -Werror=implicit-function-declaration")
# The last C flag is an error of the C language; GCC says so when it meets it with C++.
set(CMAKE_CXX_FLAGS_INIT "${_sphere_flags} -fno-rtti")
set(CMAKE_ASM_FLAGS_INIT "${_sphere_flags}")
foreach(_sphere_language C CXX)
  # As cache entries, because an _INIT value gets CMake's own (-g, -O3 -DNDEBUG) appended.
  set(CMAKE_${_sphere_language}_FLAGS_DEBUG "-ggdb -O0" CACHE STRING "Flags of Debug")
  set(CMAKE_${_sphere_language}_FLAGS_RELEASE "-g1 -Os" CACHE STRING "Flags of Release")
endforeach()
# 4 KiB pages: with a larger size this ld aligns the end of the read-only data to it, and each program
# carries up to 60 KiB of zeros.
string(
  JOIN
  " "
  CMAKE_EXE_LINKER_FLAGS_INIT
  -nodefaultlibs
  -pie
  -Wl,--no-undefined
  -Wl,--gc-sections
  -Wl,-z,max-page-size=4096
  -Wl,--hash-style=gnu
  -Wl,-z,relro
  -Wl,-z,noexecstack
  -Wl,--build-id)
if(AZURE_SPHERE_LTO)
  string(APPEND CMAKE_C_FLAGS_INIT " -flto")
  string(APPEND CMAKE_CXX_FLAGS_INIT " -flto")
  string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -flto")
endif()
