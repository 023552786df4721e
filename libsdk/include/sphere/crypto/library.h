// SPDX-License-Identifier: MIT
#pragma once

namespace sphere::crypto {

// Prepares OpenSSL for this process without reading openssl.cnf, which costs start-up time and
// could load foreign providers into a signer. Every function of this module does it by itself; code
// that calls OpenSSL on its own (TLS) calls this first. May be called often and from any thread.
void initialise_library();

}  // namespace sphere::crypto
