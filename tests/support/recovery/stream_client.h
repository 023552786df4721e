// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::test {

// Runs a client over a stream in real time to its end. Its events go to stderr.
[[nodiscard]] recovery::Outcome run_client(
    recovery::Driver& driver, transport::ByteStream& stream,
    const std::map<std::string, std::vector<std::byte>>& files);

}  // namespace sphere::test
