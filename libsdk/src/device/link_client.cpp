// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <optional>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <utility>

#include <tl/expected.hpp>

#include "libsdk/src/device/link_errors.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/device/link_service.h"
#include "sphere/json/value.h"

namespace sphere::device {

namespace {

constexpr std::size_t kAnswerLimit = std::size_t{4} << 20U;
constexpr int kSecond = 1000;
constexpr int kAnswerSeconds = 10;

}  // namespace

std::optional<LinkClient> LinkClient::connect(const std::filesystem::path& runtime) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = (runtime / "link.sock").string();
  if (path.size() >= sizeof(address.sun_path)) {
    return std::nullopt;
  }
  std::memcpy(static_cast<char*>(address.sun_path), path.data(), path.size());
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return std::nullopt;
  }
  return LinkClient{std::move(socket)};
}

std::optional<std::string> LinkClient::read_more() {
  if (!rest_.empty()) {
    return std::exchange(rest_, {});
  }
  pollfd poll{.fd = socket_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&poll, 1, kSecond) <= 0) {
    return std::string{};
  }
  std::array<char, 65536> piece = {};
  const ssize_t count = ::recv(socket_.get(), piece.data(), piece.size(), 0);
  if (count <= 0) {
    return std::nullopt;
  }
  return std::string{piece.data(), static_cast<std::size_t>(count)};
}

Result<json::Value> LinkClient::ask(const json::Value& request) {
  const std::string line = json::to_compact(request) + "\n";
  SPHERE_TRY(write_all(socket_.get(), std::as_bytes(std::span{line}), "link.sock"));
  std::string answer;
  for (int waited = 0; answer.find('\n') == std::string::npos;) {
    auto piece = read_more();
    if (!piece || answer.size() > kAnswerLimit) {
      return fail(Errc::io, "sphere link serve ended the conversation",
                  {.reason = "link.no-answer", .next = "start it again: sphere link serve"});
    }
    if (piece->empty() && ++waited == kAnswerSeconds) {
      return fail(Errc::timeout, "sphere link serve does not answer",
                  {.reason = "link.no-answer", .next = "end it and start it again"});
    }
    answer += *piece;
  }
  const auto end = answer.find('\n');
  rest_ = answer.substr(end + 1);
  SPHERE_TRY_ASSIGN(auto value,
                    json::parse(std::string_view{answer}.substr(0, end), {.bytes = kAnswerLimit}));
  if (const json::Value* const error = value.find("error")) {
    return tl::make_unexpected(link_error_from(*error));
  }
  return value;
}

}  // namespace sphere::device
