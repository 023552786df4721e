# SPDX-License-Identifier: MIT
# Every third-party package, once. Owner modules are in tests/lint/check_layers.py;
# the Debian packages that provide them are in packaging/dependencies.
find_package(tl-expected REQUIRED) # libexpected-dev
find_package(fmt REQUIRED) # libfmt-dev
find_package(OpenSSL 3.0 REQUIRED) # libssl-dev
# Programs with the property SPHERE_STATIC_CRYPTO get the archive. Nothing else may: beside the shared
# libssl there must be one libcrypto only.
add_library(sphere_libcrypto INTERFACE)
target_include_directories(sphere_libcrypto INTERFACE ${OPENSSL_INCLUDE_DIR})
set(libcrypto OpenSSL::Crypto)
if(SPHERE_STATIC_CRYPTO)
  find_library(SPHERE_LIBCRYPTO_ARCHIVE NAMES libcrypto.a REQUIRED)
  set(libcrypto
      "$<IF:$<BOOL:$<TARGET_PROPERTY:SPHERE_STATIC_CRYPTO>>,${SPHERE_LIBCRYPTO_ARCHIVE},OpenSSL::Crypto>")
endif()
target_link_libraries(sphere_libcrypto INTERFACE ${libcrypto})
find_package(CURL REQUIRED) # libcurl4-openssl-dev
find_package(Threads REQUIRED)
find_library(SPHERE_LIBSECCOMP seccomp REQUIRED) # libseccomp-dev
find_package(Boost 1.81 REQUIRED) # libboost1.81-dev, headers only: Beast and Asio
find_package(CLI11 REQUIRED) # libcli11-dev
# Archives, so that `sphere` does not load them at every start. A shared object takes the shared
# library: Debian's libzstd.a is for programs only. So does a program with the property
# SPHERE_SHARED_COMPRESSION, which has to be small.
find_path(SPHERE_LZMA_INCLUDE lzma.h REQUIRED) # liblzma-dev
find_library(SPHERE_LZMA_ARCHIVE NAMES liblzma.a REQUIRED)
find_library(SPHERE_LZMA_SHARED NAMES lzma REQUIRED)
find_path(SPHERE_ZSTD_INCLUDE zstd.h REQUIRED) # libzstd-dev
find_library(SPHERE_ZSTD_ARCHIVE NAMES libzstd.a REQUIRED)
find_library(SPHERE_ZSTD_SHARED NAMES zstd REQUIRED)
add_library(sphere_compression INTERFACE)
target_include_directories(sphere_compression INTERFACE ${SPHERE_LZMA_INCLUDE} ${SPHERE_ZSTD_INCLUDE})
target_link_libraries(
  sphere_compression
  INTERFACE
    $<IF:$<BOOL:$<TARGET_PROPERTY:SPHERE_SHARED_COMPRESSION>>,${SPHERE_LZMA_SHARED},${SPHERE_LZMA_ARCHIVE}>
    $<IF:$<AND:$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>,$<NOT:$<BOOL:$<TARGET_PROPERTY:SPHERE_SHARED_COMPRESSION>>>>,${SPHERE_ZSTD_ARCHIVE},${SPHERE_ZSTD_SHARED}>
    Threads::Threads)
find_package(ZLIB REQUIRED) # zlib1g-dev
find_package(PkgConfig REQUIRED) # pkg-config
pkg_check_modules(lwip REQUIRED IMPORTED_TARGET lwip) # liblwip-dev
pkg_check_modules(libusb REQUIRED IMPORTED_TARGET libusb-1.0) # libusb-1.0-0-dev
if(SPHERE_TESTS)
  find_package(Catch2 2.13 REQUIRED) # catch2
endif()
if(SPHERE_TESTS OR SPHERE_FUZZ)
  find_package(nlohmann_json REQUIRED) # nlohmann-json3-dev
endif()
find_package(Python3 REQUIRED COMPONENTS Interpreter)
