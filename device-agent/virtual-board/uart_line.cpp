// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/uart_line.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <poll.h>
#include <random>
#include <string>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <time.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::virtual_board {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kSlice{2};  // Bytes of this time pass at once.
constexpr std::chrono::milliseconds kSlack{5};  // Late wake-ups are made good up to this.
constexpr std::uint32_t kBitsPerByte = 10;
constexpr std::uint32_t kMillion = 1'000'000;
constexpr std::size_t kLargestPiece = 4096;

// One direction of the wire.
class OneWay {
 public:
  OneWay(int from, int to, std::uint32_t baud, const LineFaults& faults, std::uint32_t seed)
      : from_{from}, to_{to}, baud_{baud}, faults_{faults}, random_{seed} {
    piece_ = baud == 0 ? kLargestPiece
                       : std::clamp<std::size_t>(
                             baud / kBitsPerByte * static_cast<std::size_t>(kSlice.count()) / 1000,
                             1, kLargestPiece);
  }

  // Moves what time allows. False when an end is gone.
  bool pass(Clock::time_point now) {
    if (now < free_at_) {
      return true;
    }
    if (pending_.empty() && !take(now)) {
      return false;
    }
    if (pending_.empty()) {
      return true;
    }
    const ssize_t count = ::write(to_, pending_.data(), pending_.size());
    if (count < 0) {
      return errno == EAGAIN || errno == EINTR;
    }
    pending_.erase(pending_.begin(), pending_.begin() + count);
    return true;
  }

  // What to poll for, and until when nothing can pass.
  [[nodiscard]] pollfd wanted(Clock::time_point now) const {
    if (now < free_at_) {
      return {.fd = -1, .events = 0, .revents = 0};
    }
    return pending_.empty() ? pollfd{.fd = from_, .events = POLLIN, .revents = 0}
                            : pollfd{.fd = to_, .events = POLLOUT, .revents = 0};
  }
  [[nodiscard]] Clock::time_point free_at() const { return free_at_; }

 private:
  bool take(Clock::time_point now) {
    std::array<std::byte, kLargestPiece> bytes = {};
    const ssize_t count = ::read(from_, bytes.data(), piece_);
    if (count <= 0) {
      return count < 0 && (errno == EAGAIN || errno == EINTR);
    }
    if (baud_ != 0) {
      const auto time = std::chrono::nanoseconds{std::chrono::seconds{1}} * count * kBitsPerByte /
                        static_cast<std::int64_t>(baud_);
      free_at_ = std::max(free_at_, now - kSlack) + time;
    }
    for (const std::byte byte : std::span{bytes}.first(static_cast<std::size_t>(count))) {
      spoil(byte);
    }
    return true;
  }

  void spoil(std::byte byte) {
    if (faults_.drop != 0 && random_() % kMillion < faults_.drop) {
      return;
    }
    if (faults_.flip != 0 && random_() % kMillion < faults_.flip) {
      byte ^= static_cast<std::byte>(1U << random_() % 8);
    }
    pending_.push_back(byte);
  }

  int from_;
  int to_;
  std::uint32_t baud_;
  LineFaults faults_;
  std::mt19937 random_;
  std::size_t piece_ = 0;
  std::vector<std::byte> pending_;
  Clock::time_point free_at_;
};

}  // namespace

Result<LineFaults> parse_line_faults(std::string_view text) {
  LineFaults faults;
  for (const std::string& part : split(text, ',')) {
    const auto mark = part.find('=');
    const std::string_view name = std::string_view{part}.substr(0, mark);
    const std::string_view digits =
        mark == std::string::npos ? std::string_view{} : std::string_view{part}.substr(mark + 1);
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    std::uint32_t* const member = name == "drop"   ? &faults.drop
                                  : name == "flip" ? &faults.flip
                                  : name == "seed" ? &faults.seed
                                                   : nullptr;
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() ||
        member == nullptr || (member != &faults.seed && value > kMillion)) {
      return fail(Errc::invalid_argument,
                  fmt::format("{} is no fault of a line", escape_control(part)),
                  {.reason = "usage.bad-value",
                   .value = escape_control(part),
                   .next = "write drop=N, flip=N (per million bytes) or seed=N"});
    }
    *member = value;
  }
  return faults;
}

Result<std::unique_ptr<UartLine>> UartLine::start(Descriptor far, std::uint32_t baud,
                                                  LineFaults faults) {
  std::array<int, 2> ends = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return tl::make_unexpected(system_error("create", "socket pair", errno));
  }
  Descriptor inner{ends[0]};
  Descriptor near{ends[1]};
  // A UART keeps few bytes.
  constexpr int kBuffer = 4096;
  for (const int end : ends) {
    ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kBuffer, sizeof(kBuffer));
  }
  Descriptor stop{::eventfd(0, EFD_CLOEXEC)};
  if (!stop) {
    return tl::make_unexpected(system_error("create", "event descriptor", errno));
  }
  // NOLINTNEXTLINE(*-owning-memory): private constructor
  return std::unique_ptr<UartLine>{new UartLine{std::move(far), std::move(inner), std::move(near),
                                                std::move(stop), baud, faults}};
}

UartLine::UartLine(Descriptor far, Descriptor inner, Descriptor near, Descriptor stop,
                   std::uint32_t baud, LineFaults faults)
    : far_{std::move(far)},
      inner_{std::move(inner)},
      near_{std::move(near)},
      stop_{std::move(stop)},
      baud_{baud},
      faults_{faults},
      thread_{[this] { loop(); }} {}

UartLine::~UartLine() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

Descriptor UartLine::take_near() { return std::move(near_); }

void UartLine::loop() {
  OneWay to_near{far_.get(), inner_.get(), baud_, faults_, faults_.seed};
  OneWay to_far{inner_.get(), far_.get(), baud_, faults_, faults_.seed + 1};
  while (true) {
    auto now = Clock::now();
    if (!to_near.pass(now) || !to_far.pass(now)) {
      break;
    }
    now = Clock::now();
    std::array polls = {pollfd{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                        to_near.wanted(now), to_far.wanted(now)};
    std::optional<timespec> limit;
    for (const auto free_at : {to_near.free_at(), to_far.free_at()}) {
      if (free_at > now) {
        const auto left = std::chrono::nanoseconds{free_at - now}.count();
        if (!limit || left < limit->tv_nsec) {
          limit = {.tv_sec = 0, .tv_nsec = std::min<std::int64_t>(left, 999'999'999)};
        }
      }
    }
    ::ppoll(polls.data(), polls.size(), limit ? &*limit : nullptr, nullptr);
    if (polls.front().revents != 0) {
      break;
    }
  }
  inner_.reset();
}

}  // namespace sphere::virtual_board
