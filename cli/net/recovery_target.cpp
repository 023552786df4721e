// SPDX-License-Identifier: MIT
#include "cli/net/recovery_target.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/text.h"
#include "sphere/json/value.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/place.h"
#include "sphere/transport/usb.h"

namespace sphere::cli {

namespace {

constexpr std::string_view kTcp = "tcp:";
constexpr std::size_t kLongestPid = 32;
constexpr std::chrono::milliseconds kReleasePause{50};
constexpr int kReleaseTries = 40;

transport::LineSettings first_line() {
  return {.baud = 115200, .flow = transport::FlowControl::none, .event_character = std::byte{0}};
}

std::string path_of(const std::string& location) {
  return transport::connection_path({.kind = transport::PlaceKind::usb, .target = location});
}

Result<RecoveryTarget> target_of_port(const std::string& port) {
  if (port.starts_with(kTcp)) {
    SPHERE_TRY_ASSIGN(const auto place,
                      transport::parse_tcp_target(std::string_view{port}.substr(kTcp.size())));
    return RecoveryTarget{.path = transport::connection_path(place), .location = {}, .port = port};
  }
  if (!port.starts_with("/dev/")) {
    return fail(Errc::invalid_argument,
                fmt::format("--port {} names no port", escape_control(port)),
                {.reason = "usage.bad-value",
                 .value = escape_control(port),
                 .next = "give a serial device (/dev/ttyUSB3) or tcp:HOST:PORT"});
  }
  return RecoveryTarget{
      .path = transport::connection_path({.kind = transport::PlaceKind::tty, .target = port}),
      .location = {},
      .port = port};
}

// The FT4232H that may be meant: boards, and one that the configuration forces.
Result<std::vector<transport::UsbDevice>> candidates(const Context& context) {
  SPHERE_TRY_ASSIGN(auto devices, transport::list_usb());
  const std::string wanted = context.device.empty() ? context.link.usb : context.device;
  std::erase_if(devices, [&](const transport::UsbDevice& device) {
    const std::string path = path_of(device.location);
    if (!context.device.empty()) {
      return path != wanted || (!device.is_board && path != context.link.usb);
    }
    return !device.is_board && path != context.link.usb;
  });
  return devices;
}

Result<FileLock> take_lock(Context& context, const std::string& path) {
  const auto directory = context.directories.runtime / "locks";
  SPHERE_TRY(make_directories(directory, 0700));
  const auto file = directory / (path + ".lock");
  auto lock = FileLock::try_acquire(file);
  if (!lock && lock.error().code() != Errc::busy) {
    return lock;
  }
  if (lock) {
    const std::string pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(lock->descriptor(), 0) != 0) {
      return tl::make_unexpected(system_error("write", file, errno));
    }
    SPHERE_TRY(write_all(lock->descriptor(), std::as_bytes(std::span{pid}), file));
    return lock;
  }
  const auto holder = read_text_file(file, kLongestPid);
  return fail(Errc::busy, fmt::format("the board {} is in use", path),
              {.reason = "link.busy",
               .value = holder ? fmt::format("process {}", trim(*holder)) : path,
               .next = "end the command that uses it, then run again"});
}

}  // namespace

Result<RecoveryTarget> find_recovery_target(Context& context, const Arguments& arguments) {
  if (const auto port = arguments.value("port")) {
    return target_of_port(*port);
  }
  SPHERE_TRY_ASSIGN(const auto devices, candidates(context));
  if (devices.empty()) {
    return fail(Errc::not_found,
                context.device.empty()
                    ? std::string{"no board on USB"}
                    : fmt::format("no board {} on USB", escape_control(context.device)),
                {.reason = "link.no-board",
                 .value = "looked for 0403:6011 MSFT MT3620 Std Interface",
                 .next = "plug the board in, or name its recovery UART: --port DEV|tcp:HOST:PORT"});
  }
  if (devices.size() > 1) {
    std::vector<std::string> paths;
    for (const auto& device : devices) {
      paths.push_back(path_of(device.location));
    }
    return fail(Errc::invalid_argument, fmt::format("{} boards are attached", devices.size()),
                {.reason = "link.ambiguous",
                 .value = join(paths, ", "),
                 .next = "name one: --device " + paths.front()});
  }
  const transport::UsbDevice& device = devices.front();
  return RecoveryTarget{.path = path_of(device.location),
                        .location = device.location,
                        .product = device.product,
                        .serial = device.serial};
}

Result<RecoveryLine> open_recovery_line(Context& context, const RecoveryTarget& target,
                                        bool manual) {
  RecoveryLine line;
  line.service = device::LinkClient::connect(context.directories.runtime);
  if (line.service &&
      !line.service->ask(json::Value{}.set("op", "release").set("board", target.path))) {
    line.service.reset();  // It does not have the board.
  }
  auto lock = take_lock(context, target.path);
  for (int i = 0; i < kReleaseTries && line.service && !lock; ++i) {
    std::this_thread::sleep_for(kReleasePause);
    lock = take_lock(context, target.path);
  }
  if (!lock) {
    return tl::make_unexpected(std::move(lock).error());
  }
  line.lock = *std::move(lock);
  if (!target.location.empty()) {
    SPHERE_TRY_ASSIGN(line.carrier, recovery::open_ftdi_carrier(target.location, manual));
    return line;
  }
  auto stream = target.port.starts_with(kTcp)
                    ? transport::open_tcp(std::string_view{target.port}.substr(kTcp.size()))
                    : transport::open_tty(target.port, first_line());
  if (!stream) {
    return tl::make_unexpected(std::move(stream).error());
  }
  line.carrier = recovery::make_stream_carrier(*std::move(stream));
  return line;
}

}  // namespace sphere::cli
