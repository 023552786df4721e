# SPDX-License-Identifier: MIT
# Every third-party package, once. Owner modules are in tests/lint/check_layers.py;
# the Debian packages that provide them are in packaging/dependencies.
find_package(tl-expected REQUIRED) # libexpected-dev
find_package(fmt REQUIRED) # libfmt-dev
find_package(OpenSSL 3.0 REQUIRED) # libssl-dev
find_package(CURL REQUIRED) # libcurl4-openssl-dev
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED) # libboost1.81-dev, headers only: Beast and Asio
find_package(CLI11 REQUIRED) # libcli11-dev
if(SPHERE_TESTS)
  find_package(Catch2 2.13 REQUIRED) # catch2
endif()
if(SPHERE_TESTS OR SPHERE_FUZZ)
  find_package(nlohmann_json REQUIRED) # nlohmann-json3-dev
endif()
find_package(Python3 REQUIRED COMPONENTS Interpreter)
