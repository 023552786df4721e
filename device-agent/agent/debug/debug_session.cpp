// SPDX-License-Identifier: MIT
#include "device-agent/agent/debug/debug_session.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "device-agent/agent/debug/debug_target.h"
#include "device-agent/agent/loop.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

Descriptor accept_client(const Descriptor& listener) {
  return Descriptor{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
}

}  // namespace

std::filesystem::path DebugSession::socket_path(std::uint16_t port) const {
  return folder_ / (std::to_string(port) + ".sock");
}

Result<std::unique_ptr<DebugSession>> DebugSession::open(Loop& loop,
                                                         const std::filesystem::path& folder) {
  // NOLINTNEXTLINE(*-owning-memory): private constructor
  std::unique_ptr<DebugSession> session{new DebugSession{loop, folder}};
  SPHERE_TRY_ASSIGN(session->gdb_, http::listen_unix(session->socket_path(kGdbPort)));
  SPHERE_TRY_ASSIGN(session->output_, http::listen_unix(session->socket_path(kOutputPort)));
  return session;
}

DebugSession::~DebugSession() {
  stop_waiting();
  hang_up_pending();
  drop_reader();
  loop_->forget(gdb_.get());
  loop_->forget(output_.get());
  if (gdb_) {
    ::unlink(socket_path(kGdbPort).c_str());
  }
  if (output_) {
    ::unlink(socket_path(kOutputPort).c_str());
  }
}

void DebugSession::serve(std::unique_ptr<DebugTarget> target, Events events) {
  target_ = std::move(target);
  events_ = std::move(events);
  target_->start({.left = [this](bool halted) { on_left(halted); },
                  .detached = [this] { events_.detached(); }});
  loop_->watch(gdb_.get(), POLLIN, [this](short) { on_gdb(); });
  loop_->watch(output_.get(), POLLIN, [this](short) { on_reader(); });
  wait_for_gdb();
}

std::unique_ptr<DebugTarget> DebugSession::take_target() {
  loop_->forget(gdb_.get());
  return std::move(target_);
}

void DebugSession::wait_for_gdb() {
  stop_waiting();
  waiting_ = loop_->after(kGdbLimit, [this] {
    waiting_.reset();
    const auto tell = events_.abandoned;
    tell();
  });
}

void DebugSession::stop_waiting() {
  if (waiting_) {
    loop_->cancel(*std::exchange(waiting_, std::nullopt));
  }
}

void DebugSession::on_gdb() {
  auto client = accept_client(gdb_);
  if (!client) {
    return;
  }
  if (!target_->busy()) {
    give(std::move(client));
  } else if (!pending_) {
    pending_ = std::move(client);
    pending_limit_ = loop_->after(kTurnLimit, [this] { hang_up_pending(); });
  }
}

void DebugSession::hang_up_pending() {
  pending_.reset();
  if (pending_limit_) {
    loop_->cancel(*std::exchange(pending_limit_, std::nullopt));
  }
}

void DebugSession::give(Descriptor client) {
  target_->take(std::move(client));
  stop_waiting();
  if (!std::exchange(was_attached_, true)) {
    events_.attached();
  }
}

void DebugSession::on_left(bool halted) {
  if (pending_) {
    auto client = std::move(pending_);
    hang_up_pending();
    give(std::move(client));
  } else if (halted) {
    wait_for_gdb();
  }
}

void DebugSession::on_reader() {
  auto client = accept_client(output_);
  if (reader_) {
    on_reader_ready(POLLIN);  // The one before may have left just now.
  }
  if (!client || reader_) {
    return;
  }
  reader_ = std::move(client);
  reader_waits_ = true;
  loop_->watch(reader_.get(), POLLIN | POLLOUT, [this](short events) { on_reader_ready(events); });
}

void DebugSession::drop_reader() {
  if (reader_) {
    loop_->forget(reader_.get());
    reader_.reset();
  }
}

void DebugSession::on_reader_ready(short events) {
  if ((events & POLLIN) != 0 || (events & (POLLHUP | POLLERR)) != 0) {
    std::array<char, 256> bytes = {};
    const auto count = ::recv(reader_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
      drop_reader();
      return;
    }
  }
  if ((events & POLLOUT) != 0) {
    send_output();
  }
}

void DebugSession::send_output() {
  while (reader_ && !ring_.empty()) {
    const auto count =
        ::send(reader_.get(), ring_.data(), ring_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count <= 0) {
      break;  // A hang-up is seen by the loop.
    }
    ring_.erase(0, static_cast<std::size_t>(count));
  }
  const bool waits = !ring_.empty();
  if (reader_ && waits != std::exchange(reader_waits_, waits)) {
    loop_->forget(reader_.get());
    loop_->watch(reader_.get(), static_cast<short>(waits ? POLLIN | POLLOUT : POLLIN),
                 [this](short events) { on_reader_ready(events); });
  }
}

void DebugSession::add_output(std::string_view bytes) {
  ring_ += bytes;
  if (ring_.size() > kRingBytes) {
    const auto surplus = ring_.size() - kRingBytes;
    dropped_ += surplus;
    ring_.erase(0, surplus);
  }
  if (!reader_waits_ || !reader_) {
    send_output();
  }
}

json::Value DebugSession::status() const {
  const auto number = [](std::size_t value) { return static_cast<std::int64_t>(value); };
  return json::Value{}
      .set("gdb", json::Value{}
                      .set("port", static_cast<std::int64_t>(kGdbPort))
                      .set("listening", static_cast<bool>(target_))
                      .set("client", target_ && target_->busy()))
      .set("out", json::Value{}
                      .set("port", static_cast<std::int64_t>(kOutputPort))
                      .set("listening", static_cast<bool>(target_))
                      .set("client", static_cast<bool>(reader_))
                      .set("bufferedBytes", number(ring_.size()))
                      .set("droppedBytes", number(dropped_)))
      .set("waitingForGdb", waiting_.has_value());
}

}  // namespace sphere::agent
