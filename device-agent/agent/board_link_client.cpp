// SPDX-License-Identifier: MIT
#include "device-agent/agent/board_link_client.h"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

#include "device-agent/agent/broker/frame.h"
#include "device-agent/agent/packet.h"
#include "device-agent/applibs/src/broker_protocol.h"
#include "device-agent/virtual-board/board_link.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

// The board answers out of memory; this is for one that hangs.
constexpr std::chrono::milliseconds kAnswerLimit{5000};

std::string_view text_of(std::span<const std::byte> bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes seen as characters.
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A body that came as a file, because it does not fit a frame.
Result<json::Value> read_body(int file, std::int64_t bytes) {
  constexpr std::int64_t kLimit = 65536;
  if (bytes < 0 || bytes > kLimit) {
    return fail(Errc::corrupt, "the board sent a body of a wrong length");
  }
  std::string text(static_cast<std::size_t>(bytes), '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const std::span<char> rest = std::span{text}.subspan(filled);
    const ssize_t count = ::read(file, rest.data(), rest.size());
    if (count <= 0) {
      return fail(Errc::corrupt, "the board sent a body that is cut off");
    }
    filled += static_cast<std::size_t>(count);
  }
  return json::parse(text);
}

}  // namespace

Result<SocketBoardLink::Reply> SocketBoardLink::ask(board_link::Verb verb,
                                                    std::span<const std::byte> payload) {
  if (payload.size() > SPHERE_PAYLOAD_MAX) {
    return fail(Errc::too_large, "request to the board is longer than 4080 bytes");
  }
  const std::lock_guard guard{lock_};
  const auto id = ++ids_;
  const auto request = write_frame({.version = SPHERE_BROKER_VERSION,
                                    .verb = static_cast<std::uint16_t>(verb),
                                    .id = id,
                                    .status = 0,
                                    .payload = payload});
  if (!send_packet(socket_.get(), request)) {
    return fail(Errc::unavailable, "the board link is closed");
  }
  while (true) {
    pollfd polled = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, static_cast<int>(kAnswerLimit.count())) == 0) {
      return fail(Errc::timeout, "the board did not answer within 5 s");
    }
    bool ended = false;
    auto packet = receive_packet(socket_.get(), false, ended);
    if (!packet) {
      if (ended) {
        return fail(Errc::unavailable, "the board link is closed");
      }
      continue;
    }
    const auto frame = read_frame(packet->bytes);
    if (!frame) {
      return fail(Errc::corrupt, "the board sent a malformed answer");
    }
    if (frame->id == id) {  // Else: the late answer to a question that was given up.
      return Reply{.status = frame->status,
                   .payload = {frame->payload.begin(), frame->payload.end()},
                   .descriptor = std::move(packet->descriptor)};
    }
  }
}

Result<BoardFacts> SocketBoardLink::info() {
  SPHERE_TRY_ASSIGN(const auto reply, ask(board_link::Verb::info, {}));
  SPHERE_TRY_ASSIGN(const auto value, json::parse(text_of(reply.payload)));
  BoardFacts facts{.board_id = value.string_at("boardId").value_or(""),
                   .name = value.string_at("name").value_or(""),
                   .pins = {}};
  if (const auto* pins = value.find("pins")) {
    for (const auto& pin : pins->items()) {
      if (const auto number = pin.integer()) {
        facts.pins.push_back(*number);
      }
    }
  }
  return facts;
}

PinAnswer SocketBoardLink::open_pin(const PinRequest& request) {
  Writer payload;
  payload.little_endian(static_cast<std::uint32_t>(request.pin))
      .little_endian(static_cast<std::uint8_t>(request.output ? 1 : 0))
      .little_endian(request.mode)
      .little_endian(request.value)
      .text(request.component_id);
  auto reply = ask(board_link::Verb::open_gpio, payload.data());
  if (!reply) {
    return {.status = EAGAIN};
  }
  if (reply->status != 0) {
    return {.status = reply->status};
  }
  if (!reply->descriptor || reply->payload.empty()) {
    return {.status = EIO};
  }
  return {.status = 0,
          .kind = std::to_integer<std::uint8_t>(reply->payload.front()),
          .descriptor = std::move(reply->descriptor)};
}

Result<VirtualAnswer> SocketBoardLink::forward(std::string_view method, std::string_view path,
                                               std::string_view body) {
  const auto text =
      json::to_compact(json::Value{}.set("method", method).set("path", path).set("body", body));
  SPHERE_TRY_ASSIGN(auto reply,
                    ask(board_link::Verb::virtual_request, std::as_bytes(std::span{text})));
  if (reply.status != 0) {
    return fail(Errc::unavailable, "the board refused the request");
  }
  SPHERE_TRY_ASSIGN(const auto value, json::parse(text_of(reply.payload)));
  const auto status = static_cast<int>(value.integer_at("status").value_or(500));
  if (const auto bytes = value.integer_at("bodyBytes")) {
    SPHERE_TRY_ASSIGN(auto from_file, read_body(reply.descriptor.get(), *bytes));
    return VirtualAnswer{.status = status, .body = std::move(from_file), .stream = {}};
  }
  const auto* answer = value.find("body");
  return VirtualAnswer{.status = status,
                       .body = answer != nullptr ? *answer : json::Value{},
                       .stream = std::move(reply.descriptor)};
}

}  // namespace sphere::agent
