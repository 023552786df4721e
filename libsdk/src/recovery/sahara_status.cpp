// SPDX-License-Identifier: MIT
#include <array>
#include <cstdint>
#include <string_view>

#include "libsdk/src/recovery/sahara.h"

namespace sphere::recovery {

std::string_view sahara_status(std::uint32_t status) {
  static constexpr auto kNames =
      std::to_array<std::string_view>({"success",
                                       "invalid command",
                                       "protocol mismatch",
                                       "invalid target protocol",
                                       "invalid host protocol",
                                       "invalid packet size",
                                       "unexpected image id",
                                       "invalid header size",
                                       "invalid data size",
                                       "invalid image type",
                                       "invalid sending length",
                                       "invalid receiving length",
                                       "a transfer failed",
                                       "reading data failed",
                                       "unsupported number of program headers",
                                       "invalid program header size",
                                       "several shared segments",
                                       "uninitialised header location",
                                       "invalid destination",
                                       "invalid size in the image header",
                                       "invalid ELF header",
                                       "an unknown error of the host",
                                       "receiving took too long",
                                       "sending took too long",
                                       "invalid mode of the host",
                                       "invalid memory read",
                                       "invalid size of a data request",
                                       "memory debug is not supported",
                                       "invalid mode switch",
                                       "executing a command failed",
                                       "invalid parameter of a command",
                                       "unsupported command",
                                       "a command without data",
                                       "the hash table is not authentic",
                                       "a segment's hash differs",
                                       "the hash table is missing",
                                       "the target could not be initialised",
                                       "the image is not authentic",
                                       "invalid hash table size",
                                       "enumeration failed",
                                       "a bulk transfer failed"});
  return status < kNames.size() ? kNames.at(status) : std::string_view{"unknown status"};
}

}  // namespace sphere::recovery
