// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sphere/core/file.h"
#include "sphere/http/message.h"
#include "sphere/http/server.h"
#include "tests/support/test_authority.h"

namespace sphere::test {

// A server on a Unix socket and a free port of 127.0.0.1, with these answers:
//
//   GET /hello        "hello"                    /big?n   n bytes
//   any /echo         the body, collected        /count   the number of bytes of the body
//   any /refuse       403, the body is not read  /short   takes 10 bytes, then 413
//   /stream           three pieces               /follow  a line each 10 ms for ever
//   /blocks?n         n pieces of 64 KiB
//   /bye              closes                     /after   sets after_ran when sent
//   /slow             answers after 200 ms       else     404
class TestServer {
 public:
  explicit TestServer(http::ServerOptions options = {},
                      TestAuthority authority = make_test_authority());

  [[nodiscard]] const std::filesystem::path& socket() const { return socket_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const TestAuthority& authority() const { return authority_; }
  [[nodiscard]] http::Server& server() { return *server_; }

  std::atomic<int> followers{0};  // Streams of /follow that have not ended.
  std::atomic<bool> after_ran{false};
  std::atomic<std::size_t> largest_piece{0};
  std::atomic<int> sinks_unfinished{0};          // Sinks that ended without finish().
  std::atomic<int> at_work{0}, most_at_work{0};  // Of /slow.

 private:
  class Answers final : public http::Handler {
   public:
    explicit Answers(TestServer& owner) : owner_{&owner} {}
    http::Decision on_request(const http::Request& request,
                              std::optional<std::uint64_t> content_length) override;

   private:
    http::Response slow();
    http::Response follow();
    TestServer* owner_;
  };

  TestAuthority authority_;
  TemporaryDirectory directory_;
  std::filesystem::path socket_;
  std::uint16_t port_ = 0;
  Answers answers_{*this};
  std::unique_ptr<http::Server> server_;
};

}  // namespace sphere::test
