// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "sphere/core/result.h"
#include "sphere/http/client.h"

namespace sphere::device {

// Whom a client talks to, and what it keeps of that.
struct IdentityRules {
  std::string device_id = {};  // Wanted; empty: whoever is there, but it must prove who it is.
  // Folder for the TLS keys that devices proved to be theirs, a file a device id. Empty: nothing is
  // kept, and each client asks anew.
  std::filesystem::path memory = {};
  // Names the place of the device (its connection path), so that a device without a wanted id need
  // not be asked who it is each time. Empty: it is.
  std::string place = {};
};

// A client that trusts a device's id rather than the name in its certificate. Before its first
// request it asks the device to sign, with the key that is the device id, the TLS key in use
// (POST /sphere/v1/identity), and from then on takes connections with exactly that TLS key. What a
// device proved once is remembered and not asked again; a device with another TLS key than the
// remembered one has to prove it anew. Errors beside those of make_client(): unverified
// (device.identity-changed), when it cannot.
[[nodiscard]] Result<std::unique_ptr<http::Client>> make_identified_client(http::Endpoint endpoint,
                                                                           IdentityRules rules);

}  // namespace sphere::device
