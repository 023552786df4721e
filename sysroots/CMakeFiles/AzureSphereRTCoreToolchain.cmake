# SPDX-License-Identifier: MIT
# Toolchain of real-time capable apps: Cortex-M4, arm-none-eabi-gcc. ARM_GNU_PATH, or ArmGnuPath in
# the environment, names its folder; otherwise it is looked for in PATH.
set(AS_INT_APP_TYPE "RTApp" CACHE INTERNAL "Kind of app: HLApp or RTApp")
include("${CMAKE_CURRENT_LIST_DIR}/AzureSphereToolchainBase.cmake")
if(NOT EXISTS "${ARM_GNU_BIN_PATH}/arm-none-eabi-gcc")
  message(FATAL_ERROR "No arm-none-eabi-gcc in '${ARM_GNU_BIN_PATH}' or PATH: install gcc-arm-none-eabi, or set "
                      "ARM_GNU_PATH to the folder of a GNU Arm Embedded toolchain")
endif()

set(CMAKE_C_COMPILER "${ARM_GNU_BIN_PATH}/arm-none-eabi-gcc" CACHE INTERNAL "C compiler")
set(CMAKE_CXX_COMPILER "${ARM_GNU_BIN_PATH}/arm-none-eabi-g++" CACHE INTERNAL "C++ compiler")
set(CMAKE_AR "${ARM_GNU_BIN_PATH}/arm-none-eabi-ar" CACHE INTERNAL "ar")
set(CMAKE_STRIP "${ARM_GNU_BIN_PATH}/arm-none-eabi-strip" CACHE INTERNAL "strip")
set(CMAKE_FIND_ROOT_PATH "${ARM_GNU_BASE_PATH}")
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_FLAGS_INIT "-mcpu=cortex-m4 -mthumb")
set(CMAKE_CXX_FLAGS_INIT "-mcpu=cortex-m4 -mthumb")
set(CMAKE_ASM_FLAGS_INIT "-mcpu=cortex-m4 -mthumb")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-nostartfiles -Wl,--no-undefined -Wl,-n -T \"${CMAKE_SOURCE_DIR}/linker.ld\"")
if(AZURE_SPHERE_LTO)
  string(APPEND CMAKE_C_FLAGS_INIT " -flto")
  string(APPEND CMAKE_CXX_FLAGS_INIT " -flto")
  string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -flto")
endif()
