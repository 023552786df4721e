# SPDX-License-Identifier: MIT
# Builds an app for this PC, for its unit tests. NATIVEAPPLIBS_PATH, or AzureSphereApplibsPath in the
# environment, names the folder with usr/include and usr/lib of the native libapplibs. Calls that
# need an agent reach the one that SPHERE_APPLIBS_SOCKET names at run time.
if(NOT CMAKE_GENERATOR STREQUAL "Ninja")
  message(FATAL_ERROR "Azure Sphere projects must use the Ninja generator, not ${CMAKE_GENERATOR}: pass -G Ninja")
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES NATIVEAPPLIBS_PATH)
set(AZURE_SPHERE_CMAKE_PATH "${CMAKE_CURRENT_LIST_DIR}" CACHE INTERNAL "CMake files of the SDK")
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH _sphere_sdk)
if(DEFINED ENV{AzureSphereSdkPath})
  string(REGEX REPLACE "/+$" "" _sphere_sdk "$ENV{AzureSphereSdkPath}")
endif()
set(AZURE_SPHERE_SDK_PATH "${_sphere_sdk}" CACHE INTERNAL "The SDK")
if(NOT NATIVEAPPLIBS_PATH)
  set(NATIVEAPPLIBS_PATH "$ENV{AzureSphereApplibsPath}")
endif()
if(NOT NATIVEAPPLIBS_PATH)
  set(NATIVEAPPLIBS_PATH "${AZURE_SPHERE_SDK_PATH}/NativeLibs")
endif()
string(REGEX REPLACE "/+$" "" NATIVEAPPLIBS_PATH "${NATIVEAPPLIBS_PATH}")
if(NOT EXISTS "${NATIVEAPPLIBS_PATH}/usr/lib/libapplibs.so")
  message(FATAL_ERROR "${NATIVEAPPLIBS_PATH}/usr/lib has no libapplibs.so: set NATIVEAPPLIBS_PATH")
endif()

set(CMAKE_C_FLAGS_INIT "-isystem \"${NATIVEAPPLIBS_PATH}/usr/include\"")
set(CMAKE_CXX_FLAGS_INIT "${CMAKE_C_FLAGS_INIT}")
set(CMAKE_EXE_LINKER_FLAGS_INIT
    "-L\"${NATIVEAPPLIBS_PATH}/usr/lib\" -Wl,-rpath,\"${NATIVEAPPLIBS_PATH}/usr/lib\"")

include("${AZURE_SPHERE_CMAKE_PATH}/AzureSphereInternal.cmake")
include("${AZURE_SPHERE_CMAKE_PATH}/AzureSphere.cmake")

# There is no package and no API set; a hardware definition gives its headers.
function(azsphere_configure_tools)
endfunction()
function(azsphere_configure_api)
endfunction()
function(azsphere_target_add_image_package target)
endfunction()
