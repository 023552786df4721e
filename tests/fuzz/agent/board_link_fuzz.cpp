// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>

#include "device-agent/applibs/src/broker_protocol.h"
#include "device-agent/virtual-board/board_link.h"
#include "device-agent/virtual-board/edge_follower.h"
#include "device-agent/virtual-board/frame.h"
#include "device-agent/virtual-board/gpio_bank.h"
#include "device-agent/virtual-board/pins.h"
#include "device-agent/virtual-board/requests.h"
#include "sphere/core/reader.h"
#include "sphere/json/value.h"

// The link of a board without its sockets. The input is a row of packets, each with its length
// (u16) before it; between two packets a millisecond passes. An open pin takes a packet in place of
// the link when the packet's verb is one of a pin.
namespace {

using namespace sphere::virtual_board;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

struct Session {
  BoardIdentity identity{.board_id = "mt3620-rdb", .name = "fuzz"};
  GpioBank bank{*gpio_lines("mt3620-rdb")};
  std::optional<EdgeFollower> follower;
  int pin = 8;  // The one that pin verbs go to.
  std::int64_t now = 0;
};

void ask_board(Session& session, const Frame& frame) {
  const auto request = parse_virtual_request(frame.payload);
  const auto answer = request
                          ? answer_virtual(session.identity, session.bank, *request, session.now)
                          : refuse_request(request.error());
  if (answer.stream) {
    session.follower.emplace("run", answer.stream->after_seq, answer.stream->follow, session.now);
    return;
  }
  require(answer.status == 200 || answer.body.find("error") != nullptr);
  const auto text = sphere::json::to_compact(answer.body);
  const auto again = sphere::json::parse(text);
  require(again && *again == answer.body);
}

void serve(Session& session, const Frame& frame) {
  using sphere::board_link::Verb;
  OpenLine line;
  if (frame.verb == static_cast<std::uint16_t>(Verb::open_gpio)) {
    if (parse_open_gpio(frame.payload, line) == 0 && session.bank.open(line, session.now) == 0) {
      session.pin = line.pin;
      require(session.bank.find(line.pin)->owner == line.owner);
    }
  } else if (frame.verb == static_cast<std::uint16_t>(Verb::virtual_request)) {
    ask_board(session, frame);
  } else if (frame.verb == SPHERE_VERB_GPIO_SET && frame.payload.size() == 1) {
    session.bank.set(session.pin, std::to_integer<int>(frame.payload.front()) & 1, session.now);
  } else if (frame.verb == SPHERE_VERB_GPIO_GET) {
    session.bank.close(session.pin);
  }
}

void check(Session& session) {
  session.bank.advance(session.now);
  std::uint64_t edges = 0;
  for (const auto& [pin, line] : session.bank.lines()) {
    require(line.level == 0 || line.level == 1);
    require(line.open != line.owner.empty());
    edges += line.edges;
  }
  require(edges + 1 == session.bank.trace().next_seq());
  while (session.follower) {
    const auto text = session.follower->line(session.bank.trace(), session.now);
    if (!text) {
      break;
    }
    require(text->size() < 4096 && sphere::json::parse(*text).has_value());
    session.follower->line_sent(session.bank.trace(), session.now);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Session session;
  sphere::Reader reader{std::as_bytes(std::span{data, size})};
  while (const auto length = reader.little_endian<std::uint16_t>()) {
    const auto packet = reader.bytes(*length);
    if (!packet) {
      break;
    }
    const auto frame = parse_request(*packet);
    require(encode_reply(frame, 0).size() == SPHERE_FRAME_HEADER);
    if (frame.valid) {
      require(frame.payload.size() + SPHERE_FRAME_HEADER == packet->size());
      serve(session, frame);
    }
    session.now += 1000;
    check(session);
  }
  return 0;
}
