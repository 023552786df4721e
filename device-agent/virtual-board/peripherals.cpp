// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/peripherals.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <iterator>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "device-agent/applibs/src/broker_protocol.h"
#include "device-agent/virtual-board/board_clock.h"
#include "device-agent/virtual-board/board_link.h"
#include "device-agent/virtual-board/edge_follower.h"
#include "device-agent/virtual-board/event_loop.h"
#include "device-agent/virtual-board/frame.h"
#include "device-agent/virtual-board/gpio_bank.h"
#include "device-agent/virtual-board/packet_socket.h"
#include "device-agent/virtual-board/requests.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/writer.h"
#include "sphere/json/value.h"

namespace sphere::virtual_board {
namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
  return std::move(Writer{}.text(text)).take();
}

std::vector<std::byte> int_payload(std::int32_t value) {
  return std::move(Writer{}.little_endian(value)).take();
}

// A file without a name that holds `text`, to be read from its start.
Descriptor file_with(std::string_view text) {
  Descriptor file{::memfd_create("answer", MFD_CLOEXEC)};
  if (!file || !write_all(file.get(), std::as_bytes(std::span{text}), "answer") ||
      ::lseek(file.get(), 0, SEEK_SET) != 0) {
    return Descriptor{};
  }
  return file;
}

Reply envelope(const VirtualAnswer& answer) {
  json::Value whole;
  whole.set("status", answer.status).set("body", answer.body);
  auto text = json::to_compact(whole);
  if (text.size() <= SPHERE_PAYLOAD_MAX) {
    return {.payload = bytes_of(text)};
  }
  const auto body = json::to_compact(answer.body);
  auto file = file_with(body);
  if (!file) {
    return {.status = ENOMEM};
  }
  json::Value head;
  head.set("status", answer.status).set("bodyBytes", std::uint64_t{body.size()});
  return {.payload = bytes_of(json::to_compact(head)), .descriptor = std::move(file)};
}

}  // namespace

Peripherals::Peripherals(EventLoop& loop, const BoardClock& clock, BoardIdentity identity,
                         GpioBank bank, std::string run)
    : loop_{&loop},
      clock_{&clock},
      identity_{std::move(identity)},
      bank_{std::move(bank)},
      run_{std::move(run)} {}

Reply Peripherals::serve(const Frame& request) {
  using board_link::Verb;
  switch (static_cast<Verb>(request.verb)) {
    case Verb::info:
      return request.payload.empty()
                 ? Reply{.payload = bytes_of(json::to_compact(info_of(identity_, bank_)))}
                 : Reply{.status = EPROTO};
    case Verb::open_gpio:
      return open_gpio(request);
    case Verb::virtual_request:
      return serve_virtual(request);
  }
  return {.status = EPROTO};
}

Reply Peripherals::open_gpio(const Frame& request) {
  OpenLine line;
  if (const int error = parse_open_gpio(request.payload, line); error != 0) {
    return {.status = error};
  }
  const int pin = line.pin;
  if (const int error = bank_.open(line, clock_->now_us()); error != 0) {
    return {.status = error};
  }
  auto pair = make_packet_pair();
  if (pair) {
    auto socket = PacketSocket::open(
        *loop_, std::move(pair->first),
        [this, pin](const Frame& frame) { return serve_pin(pin, frame); },
        [this, pin] {
          bank_.close(pin);
          pins_.erase(pin);
        });
    if (socket) {
      pins_.insert_or_assign(pin, *std::move(socket));
      return {.payload = {std::byte{SPHERE_KIND_GPIO}}, .descriptor = std::move(pair->second)};
    }
  }
  bank_.close(pin);
  return {.status = EMFILE};
}

Reply Peripherals::serve_pin(int pin, const Frame& request) {
  const auto now = clock_->now_us();
  if (request.verb == SPHERE_VERB_GPIO_GET && request.payload.empty()) {
    bank_.advance(now);
    return {.payload = int_payload(bank_.find(pin)->level)};
  }
  if (request.verb == SPHERE_VERB_GPIO_SET && request.payload.size() == 1) {
    const auto value = std::to_integer<int>(request.payload.front());
    if (value > 1) {
      return {.status = EINVAL};
    }
    bank_.set(pin, value, now);
    return {.payload = int_payload(0)};
  }
  return {.status = EPROTO};
}

Reply Peripherals::serve_virtual(const Frame& request) {
  const auto parsed = parse_virtual_request(request.payload);
  if (!parsed) {
    // Not the agent's fault: the text is what a REST client sent.
    return envelope(refuse_request(parsed.error()));
  }
  const auto answer = answer_virtual(identity_, bank_, *parsed, clock_->now_us());
  return answer.stream ? open_stream(*answer.stream) : envelope(answer);
}

Reply Peripherals::open_stream(const EdgeStream& wanted) {
  if (streams_.size() >= kFollowerLimit) {
    return envelope(refuse_follower(kFollowerLimit));
  }
  std::array<int, 2> ends = {};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return {.status = EMFILE};
  }
  Descriptor read{ends[0]};
  Descriptor write{ends[1]};
  ::fcntl(write.get(), F_SETFL, O_NONBLOCK);  // Our end alone may not block.
  const auto place = streams_.insert(
      streams_.end(),
      Stream{.follower = EdgeFollower{run_, wanted.after_seq, wanted.follow, clock_->now_us()},
             .pipe = std::move(write),
             .watch = {}});
  auto watch = loop_->watch(place->pipe.get(), 0, [this, place](std::uint32_t events) {
    if ((events & EPOLLERR) != 0) {  // The reader has gone.
      streams_.erase(place);
      return;
    }
    place->full = false;  // advance() goes on.
    place->watch.change(0);
  });
  if (!watch) {
    streams_.erase(place);
    return {.status = EMFILE};
  }
  place->watch = *std::move(watch);
  auto reply = envelope({});
  reply.descriptor = std::move(read);
  return reply;
}

void Peripherals::release_all() {
  for (const auto& [pin, socket] : pins_) {
    bank_.close(pin);
  }
  pins_.clear();
}

void Peripherals::advance() {
  const auto now = clock_->now_us();
  bank_.advance(now);
  for (auto stream = streams_.begin(); stream != streams_.end();) {
    stream = feed(*stream, now) ? std::next(stream) : streams_.erase(stream);
  }
}

// Writes what is due and fits. False when the stream is at its end.
bool Peripherals::feed(Stream& stream, std::int64_t now_us) const {
  while (!stream.full) {
    const auto line = stream.follower.line(bank_.trace(), now_us);
    if (!line) {
      return !stream.follower.is_finished(bank_.trace());
    }
    // Lines are shorter than PIPE_BUF: written whole or not at all.
    if (::write(stream.pipe.get(), line->data(), line->size()) < 0) {
      if (errno != EAGAIN) {
        return false;
      }
      stream.full = true;
      stream.watch.change(EPOLLOUT);
      return true;
    }
    stream.follower.line_sent(bank_.trace(), now_us);
  }
  return true;
}

void Peripherals::end_streams(std::string_view reason) {
  advance();
  const auto line = json::to_compact(json::Value{}.set("end", reason)) + "\n";
  for (const auto& stream : streams_) {
    [[maybe_unused]] const auto sent = ::write(stream.pipe.get(), line.data(), line.size());
  }
  streams_.clear();
}

std::optional<std::chrono::microseconds> Peripherals::until_due() const {
  auto due = bank_.next_deadline();
  for (const auto& stream : streams_) {
    if (!stream.full) {
      due =
          std::min(due.value_or(stream.follower.heartbeat_due()), stream.follower.heartbeat_due());
    }
  }
  if (!due) {
    return std::nullopt;
  }
  return std::chrono::microseconds{std::max<std::int64_t>(*due - clock_->now_us(), 0)};
}

}  // namespace sphere::virtual_board
