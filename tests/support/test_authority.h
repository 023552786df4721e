// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace sphere::test {

// A certificate authority and a server certificate made for one test.
struct TestAuthority {
  std::string ca_pem;
  std::string chain_pem;  // Leaf, then CA.
  std::string key_pem;    // Of the leaf.
};

// A leaf for *.devices.sphere.azure.local, board.test and 127.0.0.1 that is valid until 2049, or
// expired in 2021.
[[nodiscard]] TestAuthority make_test_authority(bool expired = false);

}  // namespace sphere::test
