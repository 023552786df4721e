// SPDX-License-Identifier: MIT
#include "device-agent/agent/debug/app_debug.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device-agent/agent/debug/gdb_stub.h"
#include "device-agent/agent/debug/traced_app.h"
#include "device-agent/agent/sandbox/crash_record.h"
#include "device-agent/agent/sandbox/step.h"
#include "sphere/core/descriptor.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

// A client that the agent sends. Nothing: the agent has closed the socket.
std::optional<Descriptor> receive_client(int agent) {
  std::array<char, 1> byte = {};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  iovec part = {.iov_base = byte.data(), .iov_len = byte.size()};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  if (::recvmsg(agent, &header, MSG_CMSG_CLOEXEC) <= 0) {
    return std::nullopt;
  }
  const auto* rights = CMSG_FIRSTHDR(&header);
  if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS) {
    return Descriptor{};
  }
  int number = -1;
  std::memcpy(&number, CMSG_DATA(rights), sizeof number);
  return Descriptor{number};
}

class Session {
 public:
  Session(TracedApp& app, int agent, int changes)
      : app_{app}, stub_{app}, agent_{agent}, changes_{changes} {}

  json::Value run() {
    // What a client sees first: the program stands at its first instruction.
    [[maybe_unused]] const auto first =
        stub_.on_stop({.value = SIGTRAP, .thread = app_.threads().front()});
    while (true) {
      wait();
      if (stub_.killed()) {
        return json::Value{}.set("signal", SIGKILL);
      }
      // What gdb let go may have met something already.
      if (const auto report = app_.collect()) {
        say(stub_.on_stop(*report));
        if (app_.end()) {
          return end_message();
        }
      }
    }
  }

 private:
  void wait() {
    std::array<pollfd, 3> polled = {
        pollfd{.fd = changes_, .events = POLLIN, .revents = 0},
        pollfd{.fd = agent_, .events = POLLIN, .revents = 0},
        pollfd{.fd = client_ ? client_.get() : -1, .events = POLLIN, .revents = 0}};
    if (::poll(polled.data(), polled.size(), -1) < 0) {
      return;
    }
    if (polled[0].revents != 0) {
      signalfd_siginfo info = {};
      [[maybe_unused]] const auto count = ::read(changes_, &info, sizeof info);
    }
    if (polled[2].revents != 0) {
      on_client();
    }
    if (polled[1].revents != 0) {
      on_agent();
    }
  }

  void on_agent() {
    auto client = receive_client(agent_);
    if (!client) {
      // Stopping, most likely: the app has its grace as any other.
      ::close(agent_);
      agent_ = -1;
      client_.reset();
      app_.set_debugged(false);
      stub_.disconnect();
      app_.release();
      return;
    }
    if (*client) {
      client_ = *std::move(client);
      app_.set_debugged(true);
      stub_.connect();
    }
  }

  void on_client() {
    std::array<char, 4096> bytes = {};
    const auto count = ::recv(client_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (count <= 0) {
      lose_client();
      return;
    }
    say(stub_.on_bytes({bytes.data(), static_cast<std::size_t>(count)}));
    if (stub_.detached()) {
      client_.reset();
      app_.release();
      tell(json::Value{}.set("detached", true));
    }
  }

  void lose_client() {
    client_.reset();
    app_.set_debugged(false);
    stub_.disconnect();
    tell(json::Value{}.set("client", false).set("halted", !stub_.running()));
  }

  // A client that does not read for a while (the agent has set the limit) is none.
  void say(std::string_view bytes) {
    while (client_ && !bytes.empty()) {
      const auto count = ::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) {
        lose_client();
        return;
      }
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  void tell(const json::Value& message) const {
    if (agent_ >= 0) {
      send_message(agent_, message);
    }
  }

  [[nodiscard]] json::Value end_message() const {
    const auto end = app_.end().value_or(ExitStatus{});
    if (end.signal == 0) {
      return json::Value{}.set("exit", end.code);
    }
    auto message = json::Value{}.set("signal", end.signal);
    if (app_.crash()) {
      message.set("crash", to_json(*app_.crash()));
    }
    return message;
  }

  TracedApp& app_;  // NOLINT(cppcoreguidelines-avoid-const-or-ref-data-members): the caller's
  GdbStub stub_;
  int agent_;
  int changes_;
  Descriptor client_;
};

}  // namespace

Descriptor watch_children() {
  sigset_t changes;
  sigemptyset(&changes);
  sigaddset(&changes, SIGCHLD);
  ::pthread_sigmask(SIG_BLOCK, &changes, nullptr);
  return Descriptor{::signalfd(-1, &changes, SFD_CLOEXEC | SFD_NONBLOCK)};
}

json::Value run_app_debug(TracedApp& app, int agent, int changes) {
  return Session{app, agent, changes}.run();
}

}  // namespace sphere::agent
