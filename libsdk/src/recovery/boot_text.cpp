// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/boot_text.h"

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

namespace sphere::recovery {

std::optional<std::string> BootText::take(std::byte byte) {
  const char character = static_cast<char>(std::to_integer<unsigned char>(byte));
  if (character == '\n') {
    return std::exchange(line_, {});
  }
  if (character != '\r' && line_.size() < kLimit) {
    line_.push_back(character);
  }
  return std::nullopt;
}

}  // namespace sphere::recovery
