# SPDX-License-Identifier: MIT
# Inner functions of the SDK's CMake files.
set(AS_INT_KNOWN_TOOLS 20.04 20.07 20.10 20.11 21.01 21.02 21.04 21.07 21.10 22.02 22.07 22.09 22.11)

# Sets <number> and <beta> from an API set's name: "5" gives 5 and "", "5+Beta2004" 5 and 2004. Both
# are empty for anything else.
function(_sphere_split_api_set name number beta)
  if(name MATCHES "^([0-9]+)(\\+Beta([0-9]+))?$")
    set(${number} "${CMAKE_MATCH_1}" PARENT_SCOPE)
    set(${beta} "${CMAKE_MATCH_3}" PARENT_SCOPE)
  else()
    set(${number} "" PARENT_SCOPE)
    set(${beta} "" PARENT_SCOPE)
  endif()
endfunction()

# Sets <names> to all API sets of the SDK, <lts> to the highest plain number and <beta> to the
# highest beta set, <lts> when there is none.
function(_sphere_list_api_sets names lts beta)
  file(GLOB found RELATIVE "${AZURE_SPHERE_SDK_PATH}/Sysroots" "${AZURE_SPHERE_SDK_PATH}/Sysroots/*")
  set(known "")
  set(best_lts 0)
  set(best_beta "")
  set(best_beta_version 0.0)
  foreach(name IN LISTS found)
    _sphere_split_api_set("${name}" set_number set_beta)
    if(set_number STREQUAL "" OR NOT IS_DIRECTORY "${AZURE_SPHERE_SDK_PATH}/Sysroots/${name}/usr")
      continue()
    endif()
    list(APPEND known "${name}")
    if(set_beta STREQUAL "" AND set_number GREATER best_lts)
      set(best_lts ${set_number})
    elseif(set_beta AND "${set_number}.${set_beta}" VERSION_GREATER best_beta_version)
      set(best_beta "${name}")
      set(best_beta_version "${set_number}.${set_beta}")
    endif()
  endforeach()
  if(best_lts EQUAL 0)
    message(FATAL_ERROR "${AZURE_SPHERE_SDK_PATH}/Sysroots holds no API set: the SDK is not complete")
  endif()
  if(best_beta STREQUAL "")
    set(best_beta ${best_lts})
  endif()
  list(SORT known COMPARE NATURAL)
  set(${names} "${known}" PARENT_SCOPE)
  set(${lts} ${best_lts} PARENT_SCOPE)
  set(${beta} "${best_beta}" PARENT_SCOPE)
endfunction()

# Sets the cache variables of the API set from AZURE_SPHERE_TARGET_API_SET.
macro(_sphere_resolve_api_set)
  _sphere_list_api_sets(_sphere_sets _sphere_lts _sphere_beta)
  set(_sphere_wanted "${AZURE_SPHERE_TARGET_API_SET}")
  if(_sphere_wanted STREQUAL "")
    set(_sphere_wanted "$ENV{AzureSphereTargetApiSet}")
  endif()
  if(_sphere_wanted STREQUAL "")
    set(_sphere_wanted "latest-lts")
  endif()
  set(AS_INT_USER_API_SET "${_sphere_wanted}" CACHE INTERNAL "API set asked for")
  if(_sphere_wanted STREQUAL "latest-lts")
    set(_sphere_wanted "${_sphere_lts}")
  elseif(_sphere_wanted STREQUAL "latest-beta")
    set(_sphere_wanted "${_sphere_beta}")
  elseif(NOT _sphere_wanted IN_LIST _sphere_sets)
    list(JOIN _sphere_sets ", " _sphere_sets)
    message(FATAL_ERROR "Unknown API set ${_sphere_wanted}. ${AZURE_SPHERE_SDK_PATH}/Sysroots has ${_sphere_sets}; "
                        "latest-lts is ${_sphere_lts}, latest-beta is ${_sphere_beta}.")
  endif()
  set(AS_INT_ACTUAL_LATEST_LTS "${_sphere_lts}" CACHE INTERNAL "Highest API set")
  set(AS_INT_ACTUAL_LATEST_BETA "${_sphere_beta}" CACHE INTERNAL "Highest beta API set")
  set(AS_INT_RESOLVED_API_SET "${_sphere_wanted}" CACHE INTERNAL "API set in use")
  set(AZURE_SPHERE_API_SET_DIR "${AZURE_SPHERE_SDK_PATH}/Sysroots/${_sphere_wanted}" CACHE INTERNAL
      "Sysroot of the API set")
endmacro()

# Finds the folder of arm-none-eabi-gcc: ARM_GNU_PATH, the environment, PATH. Sets ARM_GNU_BIN_PATH,
# ARM_GNU_BASE_PATH, and ArmGnuBinPath, ArmGnuBasePath in the environment.
macro(_sphere_find_arm_gnu)
  set(_sphere_arm "${ARM_GNU_PATH}")
  foreach(_sphere_variable ArmGnuPath DefaultArmToolsetPath ArmGnuBinPath)
    if(_sphere_arm STREQUAL "")
      set(_sphere_arm "$ENV{${_sphere_variable}}")
    endif()
  endforeach()
  if(_sphere_arm STREQUAL "")
    find_program(_sphere_arm_gcc arm-none-eabi-gcc NO_CMAKE_FIND_ROOT_PATH)
    if(_sphere_arm_gcc)
      cmake_path(GET _sphere_arm_gcc PARENT_PATH _sphere_arm)
    endif()
    unset(_sphere_arm_gcc CACHE)
  endif()
  if(NOT _sphere_arm STREQUAL "")
    string(REPLACE "\\" "/" _sphere_arm "${_sphere_arm}")
    string(REGEX REPLACE "/$" "" _sphere_arm "${_sphere_arm}")
    if(NOT _sphere_arm MATCHES "bin$")
      string(APPEND _sphere_arm "/bin")
    endif()
    cmake_path(GET _sphere_arm PARENT_PATH _sphere_arm_base)
    set(ENV{ArmGnuBasePath} "${_sphere_arm_base}")
    set(ENV{ArmGnuBinPath} "${_sphere_arm}")
    set(ARM_GNU_BASE_PATH "${_sphere_arm_base}" CACHE INTERNAL "Compiler for real-time cores")
    set(ARM_GNU_BIN_PATH "${_sphere_arm}" CACHE INTERNAL "Programs of the compiler for real-time cores")
  endif()
endmacro()

# Sets <result> to the absolute form of a path that counts from the project's folder.
function(_sphere_absolute path result)
  cmake_path(ABSOLUTE_PATH path BASE_DIRECTORY "${CMAKE_SOURCE_DIR}" NORMALIZE OUTPUT_VARIABLE absolute)
  string(REGEX REPLACE "(.)/$" "\\1" absolute "${absolute}")
  set(${result} "${absolute}" PARENT_SCOPE)
endfunction()

# Adds the headers of a hardware definition directory; a definition without a header gets one in
# the build tree.
function(_sphere_use_definition_headers target definition directories)
  cmake_path(GET definition STEM name)
  cmake_path(GET definition PARENT_PATH home)
  set(includes "")
  foreach(directory IN LISTS directories)
    foreach(folder inc inc/hw)
      if(IS_DIRECTORY "${directory}/${folder}")
        list(APPEND includes "${directory}/${folder}")
      endif()
    endforeach()
  endforeach()
  if(NOT IS_DIRECTORY "${home}/inc/hw")
    set(copy "${CMAKE_CURRENT_BINARY_DIR}/hw/${name}")
    file(MAKE_DIRECTORY "${copy}/inc/hw")
    file(COPY "${definition}" DESTINATION "${copy}")
    execute_process(
      COMMAND "${AZURE_SPHERE_SDK_PATH}/Tools/sphere" hardware-definition generate-header
              --hardware-definition-file "${copy}/${name}.json"
      RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
    if(NOT status EQUAL 0)
      message(FATAL_ERROR "azsphere_target_hardware_definition: ${home} has no inc/hw folder, and no header "
                          "could be made from ${definition}:\n${text}")
    endif()
    message(STATUS "${definition} has no header: made ${copy}/inc/hw/${name}.h")
    list(PREPEND includes "${copy}/inc" "${copy}/inc/hw")
  endif()
  target_include_directories(${target} SYSTEM PUBLIC ${includes})
endfunction()

# Adds a rule that copies one resource file into the approot, and appends the copy to <outputs>.
function(_sphere_add_resource file approot outputs)
  string(REPLACE "\\" "/" file "${file}")
  if(IS_ABSOLUTE "${file}" OR file MATCHES "(^|/)\\.\\.(/|$)" OR file STREQUAL "")
    message(FATAL_ERROR "azsphere_target_add_image_package: RESOURCE_FILES: '${file}' is not a path inside the "
                        "project: name files relative to the folder of CMakeLists.txt")
  endif()
  cmake_path(SET file NORMALIZE "${file}")
  cmake_path(GET file PARENT_PATH folder)
  add_custom_command(
    OUTPUT "${approot}/${file}"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${approot}/${folder}"
    COMMAND ${CMAKE_COMMAND} -E copy "${CMAKE_CURRENT_SOURCE_DIR}/${file}" "${approot}/${file}"
    DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${file}"
    COMMENT "Copying resource ${file}"
    VERBATIM)
  set(${outputs} ${${outputs}} "${approot}/${file}" PARENT_SCOPE)
endfunction()

# Sets <result> to the folder and file of a target's package: <folder>/<name>.imagepackage. The first
# package of a build is named after the project, any other after its target.
function(_sphere_name_package target folder name make_target)
  get_property(first GLOBAL PROPERTY AS_INT_FIRST_PACKAGE)
  if(NOT first)
    set_property(GLOBAL PROPERTY AS_INT_FIRST_PACKAGE ${target})
    set(${folder} "${CMAKE_BINARY_DIR}" PARENT_SCOPE)
    set(${name} "${PROJECT_NAME}" PARENT_SCOPE)
    set(${make_target} MakeImage PARENT_SCOPE)
  else()
    set(${folder} "${CMAKE_CURRENT_BINARY_DIR}" PARENT_SCOPE)
    set(${name} "${target}" PARENT_SCOPE)
    set(${make_target} MakeImage_${target} PARENT_SCOPE)
  endif()
endfunction()

# Takes the hardware definition of a target that names none from the variables of old projects.
function(_sphere_use_old_definition target)
  set(directory "${AZURE_SPHERE_TARGET_HARDWARE_DEFINITION_DIRECTORY}")
  set(definition "${AZURE_SPHERE_TARGET_HARDWARE_DEFINITION}")
  if(directory STREQUAL "")
    set(directory "$ENV{AzureSphereTargetHardwareDefinitionDirectory}")
  endif()
  if(definition STREQUAL "")
    set(definition "$ENV{AzureSphereTargetHardwareDefinition}")
  endif()
  get_target_property(known ${target} AS_PKG_HWD_FILE)
  if(known OR definition STREQUAL "")
    return()
  endif()
  if(AS_INT_SELECTED_TOOLS)
    message(WARNING "AZURE_SPHERE_TARGET_HARDWARE_DEFINITION is older than azsphere_configure_tools: call "
                    "azsphere_target_hardware_definition instead")
  endif()
  azsphere_target_hardware_definition(${target} TARGET_DIRECTORY ${directory} TARGET_DEFINITION ${definition})
endfunction()
