// SPDX-License-Identifier: MIT
#include "device-agent/agent/debug/emulator_relay.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <utility>

#include "device-agent/agent/debug/gdb_packet.h"
#include "device-agent/agent/loop.h"
#include "sphere/core/descriptor.h"

namespace sphere::agent {
namespace {

// Whether the app runs after this packet.
bool lets_run(std::string_view packet) {
  if (packet.empty()) {
    return false;
  }
  return std::string_view{"cCsS"}.find(packet.front()) != std::string_view::npos ||
         packet.starts_with("vCont;");
}

bool is_stop(std::string_view packet) {
  return !packet.empty() && std::string_view{"TSWX"}.find(packet.front()) != std::string_view::npos;
}

void send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) {
      return;  // Whoever does not read is gone, or soon; its hang-up is seen by the loop.
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void limit_sending(int socket) {
  const timeval limit = {.tv_sec = 1, .tv_usec = 0};
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

}  // namespace

EmulatorRelay::EmulatorRelay(Loop& loop, Descriptor emulator, std::function<void()> interrupt)
    : loop_{&loop}, emulator_{std::move(emulator)}, interrupt_{std::move(interrupt)} {
  limit_sending(emulator_.get());
}

EmulatorRelay::~EmulatorRelay() {
  if (client_) {
    loop_->forget(client_.get());
  }
  if (emulator_) {
    loop_->forget(emulator_.get());
  }
}

void EmulatorRelay::start(Events events) {
  events_ = std::move(events);
  loop_->watch(emulator_.get(), POLLIN, [this](short) { on_emulator(); });
}

void EmulatorRelay::take(Descriptor client) {
  client_ = std::move(client);
  limit_sending(client_.get());
  from_client_.clear();
  if (running_) {
    // A gdb that connects expects the app to stand.
    halting_ = true;
    interrupt_();
  }
  loop_->watch(client_.get(), POLLIN, [this](short) { on_client(); });
}

void EmulatorRelay::to_emulator(std::string_view bytes) { send_all(emulator_.get(), bytes); }
void EmulatorRelay::to_client(std::string_view bytes) {
  if (client_) {
    send_all(client_.get(), bytes);
  }
}

void EmulatorRelay::on_client() {
  std::array<char, 4096> bytes = {};
  const auto count = ::recv(client_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (count <= 0) {
    detaching_ ? let_go() : lose_client();
    return;
  }
  const std::string_view text{bytes.data(), static_cast<std::size_t>(count)};
  if (detaching_) {  // It has taken the answer: its next write would fail otherwise.
    let_go();
    return;
  }
  if (halting_) {
    early_ += text.substr(0, kGdbPacketBytes - std::min(early_.size(), kGdbPacketBytes));
    return;
  }
  for (const auto& item : from_client_.feed(text)) {
    from_client(item);
  }
}

void EmulatorRelay::from_client(const GdbReader::Item& item) {
  if (item.kind == GdbReader::Kind::interrupt) {
    if (running_) {
      interrupt_();
    }
    return;
  }
  if (item.kind == GdbReader::Kind::damaged) {
    to_client("-");
    return;
  }
  if (item.kind == GdbReader::Kind::packet) {
    last_request_ = item.payload;
    running_ = running_ || lets_run(item.payload);
  }
  to_emulator(item.raw);
}

void EmulatorRelay::on_emulator() {
  std::array<char, 4096> bytes = {};
  const auto count = ::recv(emulator_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (count <= 0) {
    // The app ends: its process says how. gdb has got the packet about it.
    loop_->forget(emulator_.get());
    emulator_.reset();
    if (client_) {
      loop_->forget(client_.get());
      client_.reset();
    }
    return;
  }
  const std::string_view text{bytes.data(), static_cast<std::size_t>(count)};
  for (const auto& item : from_emulator_.feed(text)) {
    if (detached_) {
      return;
    }
    if (halting_ || cleaning_ || !client_) {
      on_own_answer(item);
    } else {
      on_answer(item);
    }
  }
}

void EmulatorRelay::on_answer(const GdbReader::Item& item) {
  to_client(item.raw);
  if (item.kind != GdbReader::Kind::packet) {
    return;
  }
  const auto request = std::exchange(last_request_, {});
  if (running_ && is_stop(item.payload)) {
    running_ = false;
  } else if (item.payload == "OK" && request.starts_with('Z')) {
    breakpoints_.insert(request.substr(1));
  } else if (item.payload == "OK" && request.starts_with('z')) {
    breakpoints_.erase(request.substr(1));
  } else if (item.payload == "OK" && request.starts_with('D')) {
    detaching_ = true;
  }
}

// Nobody but the relay listens.
void EmulatorRelay::on_own_answer(const GdbReader::Item& item) {
  if (item.kind != GdbReader::Kind::packet) {
    return;
  }
  to_emulator("+");
  if (running_ && is_stop(item.payload)) {
    running_ = false;
    if (std::exchange(halting_, false) && client_) {
      for (const auto& early : from_client_.feed(std::exchange(early_, {}))) {
        from_client(early);
      }
      return;
    }
    clean_up(run_after_);
    return;
  }
  if (!own_.empty()) {
    own_.pop_front();
    send_own();
  }
}

void EmulatorRelay::lose_client() {
  loop_->forget(client_.get());
  client_.reset();
  early_.clear();
  from_client_.clear();
  last_request_.clear();
  cleaning_ = true;
  if (halting_) {
    run_after_ = true;  // It had just come: nothing has changed.
  } else if (running_) {
    halting_ = true;
    run_after_ = true;
    interrupt_();
  } else {
    clean_up(false);
  }
}

// Breakpoints are code that only the gdb that is gone knows of.
void EmulatorRelay::clean_up(bool run_after) {
  run_after_ = run_after;
  for (const auto& breakpoint : std::exchange(breakpoints_, {})) {
    own_.push_back("z" + breakpoint);
  }
  send_own();
}

void EmulatorRelay::send_own() {
  if (!own_.empty()) {
    to_emulator(gdb_packet(own_.front()));
    return;
  }
  running_ = std::exchange(run_after_, false);
  if (running_) {
    to_emulator(gdb_packet("c"));
  }
  cleaning_ = false;
  events_.left(!running_);
}

void EmulatorRelay::let_go() {
  detached_ = true;
  // Its next packet would find nobody: with this half closed it sees that it is alone and goes on.
  ::shutdown(emulator_.get(), SHUT_WR);
  loop_->forget(client_.get());
  client_.reset();
  const auto tell = events_.detached;
  tell();
}

}  // namespace sphere::agent
