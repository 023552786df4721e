// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>

namespace sphere::crypto {

// Prepares OpenSSL for this process without reading openssl.cnf, which costs start-up time and
// could load foreign providers into a signer. Every function of this module does it by itself; code
// that calls OpenSSL on its own (TLS) calls this first. May be called often and from any thread.
void initialise_library();

// The libcrypto that this process computes with.
struct LibraryVersion {
  std::string version;         // "OpenSSL 3.0.22 9 Jun 2026"
  std::filesystem::path file;  // The shared library; empty when it is a part of the program.
};
[[nodiscard]] LibraryVersion library_version();

// From now on this process leaves no core dump and other processes of the user cannot read its
// memory. For programs that hold private keys or passphrases. Without effect under a sanitizer,
// whose leak check reads the process from outside.
void keep_out_of_core_dumps();

}  // namespace sphere::crypto
