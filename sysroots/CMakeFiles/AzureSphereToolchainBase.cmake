# SPDX-License-Identifier: MIT
# What the toolchains of both kinds of apps share. Toolchain files that a project brings along
# include it, too, after they have set
#   AS_INT_APP_TYPE           HLApp or RTApp; RTApp when unset
#   AZURE_SPHERE_CMAKE_PATH   the folder of this file
#   AZURE_SPHERE_SDK_PATH     the SDK
# CMake reads a toolchain file several times, and again for each compiler check.
if(NOT CMAKE_GENERATOR STREQUAL "Ninja")
  message(FATAL_ERROR "Azure Sphere projects must use the Ninja generator, not ${CMAKE_GENERATOR}: pass -G Ninja")
endif()
if(CMAKE_VERSION VERSION_LESS 3.20)
  message(FATAL_ERROR "CMake ${CMAKE_VERSION} is too old for Azure Sphere projects: 3.20 or newer is needed")
endif()

set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES AZURE_SPHERE_TARGET_API_SET ARM_GNU_PATH AZURE_SPHERE_LTO)

if(NOT AS_INT_APP_TYPE)
  set(AS_INT_APP_TYPE "RTApp" CACHE INTERNAL "Kind of app: HLApp or RTApp")
endif()
set(AZURE_SPHERE_CMAKE_PATH "${CMAKE_CURRENT_LIST_DIR}" CACHE INTERNAL "CMake files of the SDK")
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH _sphere_sdk)
set(AZURE_SPHERE_SDK_PATH "${_sphere_sdk}" CACHE INTERNAL "The SDK")
set(AZURE_SPHERE_MAKE_IMAGE_FILE "${AZURE_SPHERE_CMAKE_PATH}/AzureSphereMakeImage.cmake"
    CACHE INTERNAL "Old way to make the image package")

include("${AZURE_SPHERE_CMAKE_PATH}/AzureSphereInternal.cmake")
include("${AZURE_SPHERE_CMAKE_PATH}/AzureSphere.cmake")
if(AS_INT_APP_TYPE STREQUAL "HLApp")
  _sphere_resolve_api_set()
else()
  get_property(_sphere_is_check GLOBAL PROPERTY IN_TRY_COMPILE)
  get_property(_sphere_is_said GLOBAL PROPERTY AS_INT_WARNED_API_SET)
  if(AZURE_SPHERE_TARGET_API_SET AND NOT _sphere_is_check AND NOT _sphere_is_said)
    set_property(GLOBAL PROPERTY AS_INT_WARNED_API_SET ON)
    message(WARNING "AZURE_SPHERE_TARGET_API_SET has no meaning for real-time capable apps and is ignored")
  endif()
  _sphere_find_arm_gnu()
endif()
