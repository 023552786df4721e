// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sphere/http/message.h"

namespace sphere::http {

// "Sun, 06 Nov 1994 08:49:37 GMT"
[[nodiscard]] std::string http_date(std::int64_t unix_seconds);

struct ResponseHead {
  int status = 200;
  std::string_view reason = {};
  const Headers* common = nullptr;
  const Headers* own = nullptr;                    // Win over common headers of the same name.
  std::optional<std::size_t> content_length = {};  // Nothing: chunked.
  bool close = false;
  std::string date = {};
};

// The head with its empty line. Control characters in values become blanks, a header whose name is
// not a token is left out: no value can end the head early.
[[nodiscard]] std::string to_text(const ResponseHead& head);

// One chunk of a body in chunked coding; an empty piece gives the last chunk.
[[nodiscard]] std::string to_chunk(std::string_view piece);

}  // namespace sphere::http
