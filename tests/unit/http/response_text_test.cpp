// SPDX-License-Identifier: MIT
#include "libsdk/src/http/response_text.h"

#include <catch2/catch.hpp>

#include "sphere/http/message.h"

using sphere::http::Headers;
using sphere::http::http_date;
using sphere::http::to_chunk;
using sphere::http::to_text;

TEST_CASE("http_date has the fixed form", "[http]") {
  CHECK(http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST_CASE("own headers win over common ones, reserved ones are the server's", "[http]") {
  const Headers common{{"A", "1"}, {"B", "2"}};
  const Headers own{{"a", "3"}, {"Content-Length", "99"}, {"connection", "close"}};
  CHECK(to_text({.status = 200,
                 .reason = "OK",
                 .common = &common,
                 .own = &own,
                 .content_length = 5,
                 .close = false,
                 .date = "D"}) ==
        "HTTP/1.1 200 OK\r\nB: 2\r\na: 3\r\nDate: D\r\nContent-Length: 5\r\n"
        "Connection: keep-alive\r\n\r\n");
}

TEST_CASE("chunks", "[http]") {
  CHECK(to_chunk("0123456789abcdef") == "10\r\n0123456789abcdef\r\n");
  CHECK(to_chunk("") == "0\r\n\r\n");
}
