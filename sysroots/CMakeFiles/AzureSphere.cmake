# SPDX-License-Identifier: MIT
# The functions that projects call.
if(EXISTS "${CMAKE_SOURCE_DIR}/app_manifest.json")
  file(READ "${CMAKE_SOURCE_DIR}/app_manifest.json" AZURE_SPHERE_APP_MANIFEST_CONTENTS)
endif()

# azsphere_configure_tools(TOOLS_REVISION <yy.mm>)
#
# Records the release of the tools the project was written for.
function(azsphere_configure_tools)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "TOOLS_REVISION" "")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "azsphere_configure_tools: unknown argument ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TOOLS_REVISION)
    message(FATAL_ERROR "azsphere_configure_tools: TOOLS_REVISION is missing")
  endif()
  list(GET AS_INT_KNOWN_TOOLS -1 latest)
  if(NOT arg_TOOLS_REVISION MATCHES "^[0-9][0-9]\\.[0-9][0-9]$")
    message(FATAL_ERROR "azsphere_configure_tools: TOOLS_REVISION '${arg_TOOLS_REVISION}' is not of the form yy.mm")
  endif()
  if(NOT arg_TOOLS_REVISION IN_LIST AS_INT_KNOWN_TOOLS AND arg_TOOLS_REVISION VERSION_LESS latest)
    list(JOIN AS_INT_KNOWN_TOOLS ", " known)
    message(WARNING "azsphere_configure_tools: no release of the tools is named ${arg_TOOLS_REVISION}; there are ${known}")
  endif()
  set(AS_INT_SELECTED_TOOLS "${arg_TOOLS_REVISION}" CACHE INTERNAL "Tools revision")
endfunction()

# azsphere_configure_api(TARGET_API_SET <n>)
#
# Makes packages for API set <n>, whatever set the toolchain has chosen.
function(azsphere_configure_api)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET_API_SET" "")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "azsphere_configure_api: unknown argument ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TARGET_API_SET)
    message(FATAL_ERROR "azsphere_configure_api: TARGET_API_SET is missing")
  endif()
  if(AS_INT_APP_TYPE STREQUAL "RTApp")
    message(WARNING "azsphere_configure_api has no meaning for real-time capable apps and is ignored")
    return()
  endif()
  _sphere_list_api_sets(sets lts beta)
  if(NOT arg_TARGET_API_SET IN_LIST sets)
    list(JOIN sets ", " sets)
    message(FATAL_ERROR "azsphere_configure_api: unknown API set ${arg_TARGET_API_SET}. "
                        "${AZURE_SPHERE_SDK_PATH}/Sysroots has ${sets}.")
  endif()
  if(NOT arg_TARGET_API_SET STREQUAL AS_INT_RESOLVED_API_SET)
    message(STATUS "The package is made for API set ${arg_TARGET_API_SET} instead of ${AS_INT_RESOLVED_API_SET}")
  endif()
  set_property(GLOBAL PROPERTY AS_INT_PACKAGE_API_SET "${arg_TARGET_API_SET}")
endfunction()

# azsphere_target_hardware_definition(<target> [TARGET_DIRECTORY <dir>...] TARGET_DEFINITION <file.json>)
#
# Takes peripheral names from a hardware definition: its header for the sources, its values for the
# manifest. The first directory that has the file wins; the SDK's is the last.
function(azsphere_target_hardware_definition target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TARGET_DEFINITION" "TARGET_DIRECTORY")
  set(me "azsphere_target_hardware_definition")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${me}: unknown argument ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TARGET_DEFINITION)
    message(FATAL_ERROR "${me}: TARGET_DEFINITION is missing")
  endif()
  if(NOT arg_TARGET_DEFINITION MATCHES "\\.json$")
    message(FATAL_ERROR "${me}: TARGET_DEFINITION ${arg_TARGET_DEFINITION} is not a .json file")
  endif()
  set(directories "")
  foreach(directory IN LISTS arg_TARGET_DIRECTORY)
    _sphere_absolute("${directory}" directory)
    if(NOT EXISTS "${directory}")
      message(FATAL_ERROR "${me}: TARGET_DIRECTORY ${directory} does not exist")
    elseif(NOT IS_DIRECTORY "${directory}")
      message(FATAL_ERROR "${me}: TARGET_DIRECTORY ${directory} is not a directory")
    endif()
    list(APPEND directories "${directory}")
  endforeach()
  list(APPEND directories "${AZURE_SPHERE_SDK_PATH}/HardwareDefinitions")
  list(REMOVE_DUPLICATES directories)

  set(definition "")
  foreach(directory IN LISTS directories)
    if(EXISTS "${directory}/${arg_TARGET_DEFINITION}" AND NOT definition)
      set(definition "${directory}/${arg_TARGET_DEFINITION}")
    endif()
  endforeach()
  if(NOT definition)
    list(JOIN directories "\n  " places)
    message(FATAL_ERROR "${me}: TARGET_DEFINITION ${arg_TARGET_DEFINITION} is in none of\n  ${places}")
  elseif(IS_DIRECTORY "${definition}")
    message(FATAL_ERROR "${me}: TARGET_DEFINITION ${definition} is a directory")
  endif()
  _sphere_use_definition_headers(${target} "${definition}" "${directories}")
  list(JOIN directories "," joined)
  set_target_properties(
    ${target} PROPERTIES AS_PKG_HWD_ARGS
                         "--hardware-definitions;${joined};--target-definition-filename;${arg_TARGET_DEFINITION}"
                         AS_PKG_HWD_FILE "${definition}")
endfunction()

# azsphere_target_add_image_package(<target> [RESOURCE_FILES <file>...] [DEBUG_LIB libmalloc] [APP_MANIFEST <path>])
#
# Makes <project>.imagepackage from the target, its resource files and the manifest, whenever one of
# them changes, as part of the target ALL.
function(azsphere_target_add_image_package target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "DEBUG_LIB;APP_MANIFEST" "RESOURCE_FILES")
  set(me "azsphere_target_add_image_package")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${me}: unknown argument ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT TARGET ${target})
    message(FATAL_ERROR "${me}: there is no target ${target}")
  endif()
  _sphere_name_package(${target} folder name make_target)
  set(approot "${folder}/approot${name}")
  if(make_target STREQUAL "MakeImage")
    set(AZURE_SPHERE_APPROOT_DIR "${approot}" CACHE INTERNAL "Content of the image package")
  endif()
  set_target_properties(${target} PROPERTIES OUTPUT_NAME "${name}.out" AS_RESOURCE_FILES "${arg_RESOURCE_FILES}"
                                             AS_DEBUG_LIB "${arg_DEBUG_LIB}")

  _sphere_use_old_definition(${target})

  set(manifest app_manifest.json)
  if(arg_APP_MANIFEST)
    set(manifest "${arg_APP_MANIFEST}")
  endif()
  _sphere_absolute("${manifest}" manifest)
  if(NOT EXISTS "${manifest}")
    message(FATAL_ERROR "${me}: the app manifest ${manifest} does not exist")
  endif()

  # What is in the package is what this file says now.
  file(REMOVE_RECURSE "${approot}")
  add_custom_command(
    OUTPUT "${approot}/bin/app"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${approot}/bin"
    COMMAND ${CMAKE_COMMAND} -E copy "$<TARGET_FILE:${target}>" "${approot}/bin/app"
    COMMAND "${CMAKE_STRIP}" --strip-unneeded "${approot}/bin/app"
    DEPENDS ${target} "$<TARGET_FILE:${target}>"
    COMMENT "Stripping ${name}"
    VERBATIM)
  set(contents "${approot}/bin/app")
  foreach(file IN LISTS arg_RESOURCE_FILES)
    _sphere_add_resource("${file}" "${approot}" contents)
  endforeach()
  if(arg_DEBUG_LIB)
    _sphere_add_debug_library("${arg_DEBUG_LIB}" "${approot}" contents)
  endif()

  set(api_set "")
  if(AS_INT_APP_TYPE STREQUAL "HLApp")
    get_property(api_set GLOBAL PROPERTY AS_INT_PACKAGE_API_SET)
    if(NOT api_set)
      set(api_set "${AS_INT_RESOLVED_API_SET}")
    endif()
    set(api_set --target-api-set ${api_set})
  endif()
  set(package "${folder}/${name}.imagepackage")
  add_custom_command(
    OUTPUT "${package}"
    COMMAND
      "${AZURE_SPHERE_SDK_PATH}/Tools/sphere" image-package pack-application --verbose --application-manifest
      "${manifest}" --package-directory "${approot}" --output-file "${package}" ${api_set}
      "$<TARGET_PROPERTY:${target},AS_PKG_HWD_ARGS>" "$<$<BOOL:${SPHERE_NO_SOURCE_WRITES}>:--frozen>"
    DEPENDS "${manifest}" ${contents} "$<TARGET_PROPERTY:${target},AS_PKG_HWD_FILE>"
    COMMENT "Packing ${name}.imagepackage"
    COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(${make_target} ALL DEPENDS "${package}")
endfunction()

# Adds the allocator that traces memory use.
function(_sphere_add_debug_library library approot outputs)
  set(me "azsphere_target_add_image_package: DEBUG_LIB")
  if(NOT library STREQUAL "libmalloc")
    message(FATAL_ERROR "${me}: ${library} is unknown; the only debug library is libmalloc")
  endif()
  set(file "${AZURE_SPHERE_API_SET_DIR}/usr/lib/libmalloc.so.0")
  if(NOT EXISTS "${file}")
    message(FATAL_ERROR "${me}: API set ${AS_INT_RESOLVED_API_SET} has no libmalloc: ${file} does not exist")
  endif()
  add_custom_command(
    OUTPUT "${approot}/libmalloc.so.0"
    COMMAND ${CMAKE_COMMAND} -E copy "${file}" "${approot}/libmalloc.so.0"
    DEPENDS "${file}"
    VERBATIM)
  set(${outputs} ${${outputs}} "${approot}/libmalloc.so.0" PARENT_SCOPE)
endfunction()
