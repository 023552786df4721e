// SPDX-License-Identifier: MIT
#include "device-agent/agent/debug/debug_target.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "device-agent/agent/loop.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/step.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::agent {
namespace {

class NativeTarget final : public DebugTarget {
 public:
  NativeTarget(Loop& loop, Descriptor init) : loop_{&loop}, init_{std::move(init)} {}
  ~NativeTarget() override {
    if (watched_) {
      loop_->forget(init_.get());
    }
  }
  NativeTarget(const NativeTarget&) = delete;
  NativeTarget& operator=(const NativeTarget&) = delete;
  NativeTarget(NativeTarget&&) = delete;
  NativeTarget& operator=(NativeTarget&&) = delete;

  void start(Events events) override {
    events_ = std::move(events);
    watched_ = true;
    loop_->watch(init_.get(), POLLIN, [this](short) { on_message(); });
  }

  void take(Descriptor client) override {
    // The stub writes to it without a loop of its own.
    const timeval limit = {.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    std::array<char, 1> byte = {'c'};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
    iovec part = {.iov_base = byte.data(), .iov_len = byte.size()};
    msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    auto* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = client.get();
    std::memcpy(CMSG_DATA(rights), &number, sizeof number);
    busy_ = ::sendmsg(init_.get(), &header, MSG_NOSIGNAL) > 0;
  }

  [[nodiscard]] bool busy() const override { return busy_; }

 private:
  void on_message() {
    const auto message = receive_message(init_.get());
    if (!message) {
      loop_->forget(init_.get());  // The app has ended: its process says how.
      watched_ = false;
      return;
    }
    busy_ = false;
    if (message->boolean_at("detached").value_or(false)) {
      const auto tell = events_.detached;
      tell();  // May be the end of this object.
      return;
    }
    events_.left(message->boolean_at("halted").value_or(false));
  }

  Loop* loop_;
  Descriptor init_;
  Events events_;
  bool watched_ = false;
  bool busy_ = false;
};

}  // namespace

std::unique_ptr<DebugTarget> make_native_target(Loop& loop, Descriptor init) {
  return std::make_unique<NativeTarget>(loop, std::move(init));
}

Result<Descriptor> connect_to_emulator(pid_t app) {
  const auto path = fmt::format("/proc/{}/root{}", app, kEmulatorDebugSocket);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(static_cast<char*>(address.sun_path), path.data(), path.size());
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int number = errno;
    return number == ENOENT || number == ECONNREFUSED
               ? fail(Errc::busy, "the emulator does not wait for gdb yet")
               : Result<Descriptor>{
                     tl::unexpected<Error>{system_error("connect to", "the emulator", number)}};
  }
  ::unlink(path.c_str());  // Nobody else has business there, the app least of all.
  return socket;
}

}  // namespace sphere::agent
