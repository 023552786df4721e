// SPDX-License-Identifier: MIT
// Layouts and values that binaries of API sets 2 to 15 rely on. tests/unit/applibs/abi.c has the
// same for the device's compiler.
#include <catch2/catch.hpp>

extern "C" {
#include "tests/unit/applibs/abi.h"
}

TEST_CASE("Types are laid out as the API defines", "[applibs]") {
  CHECK(sphere_abi_failures() == 0);
}
