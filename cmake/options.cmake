# SPDX-License-Identifier: MIT
# What we compile with. Link it PRIVATE, so that users of the library do not get it.
add_library(sphere_options INTERFACE)
target_compile_options(
  sphere_options
  INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
            $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual>
            $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>)

# sphere_module(<name> SOURCES <file>... [PUBLIC <target>...] [PRIVATE <target>...])
#
# Defines the libsdk module <name> as sphere_<name> with the alias sphere::<name>. Public headers
# are libsdk/include/sphere/<name>/*.h; sources are relative to the calling directory.
function(sphere_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;PUBLIC;PRIVATE")
  add_library(sphere_${name} STATIC ${arg_SOURCES})
  add_library(sphere::${name} ALIAS sphere_${name})
  target_include_directories(
    sphere_${name}
    PUBLIC ${PROJECT_SOURCE_DIR}/libsdk/include
    PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(
    sphere_${name}
    PUBLIC ${arg_PUBLIC}
    PRIVATE ${arg_PRIVATE} sphere_options)
endfunction()

# sphere_small(<target>): compiled for size where the build type optimises. For what the agent is
# made of, whose program has a limit (docs/performance.md), and which is in no inner loop.
function(sphere_small target)
  target_compile_options(${target} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-Os>)
endfunction()
