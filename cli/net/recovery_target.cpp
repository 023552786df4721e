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
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/link_service.h"
#include "sphere/device/virtual_board.h"
#include "sphere/json/value.h"
#include "sphere/recovery/carrier.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/recovery/table.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/place.h"
#include "sphere/transport/usb.h"
#include "sphere/transport/usb_pipes.h"

namespace sphere::cli {

namespace {

constexpr std::string_view kTcp = "tcp:";
constexpr std::size_t kLongestPid = 32;
constexpr std::chrono::milliseconds kReleasePause{50};
constexpr int kReleaseTries = 40;

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

RecoveryTarget target_at(const std::string& location, const std::string& product,
                         const std::string& serial) {
  return {.path = path_of(location), .location = location, .product = product, .serial = serial};
}

Result<std::vector<RecoveryTarget>> targets_of_ports(std::span<const std::string> ports) {
  std::vector<RecoveryTarget> targets;
  for (const std::string& port : ports) {
    SPHERE_TRY_ASSIGN(auto target, target_of_port(port));
    targets.push_back(std::move(target));
  }
  return targets;
}

// The FT4232H that may be meant: boards, and one that the configuration forces.
Result<std::vector<RecoveryTarget>> ftdi_targets(const Context& context) {
  SPHERE_TRY_ASSIGN(const auto devices, transport::list_usb());
  std::vector<RecoveryTarget> targets;
  for (const transport::UsbDevice& device : devices) {
    if (device.is_board || path_of(device.location) == context.link.usb) {
      targets.push_back(target_at(device.location, device.product, device.serial));
    }
  }
  return targets;
}

bool has_ids(std::span<const recovery::UsbIds> ids, const transport::UsbDeviceInfo& device) {
  return ids.empty() || std::ranges::any_of(ids, [&](const recovery::UsbIds& each) {
           return each.vendor == device.vendor && each.product == device.product;
         });
}

// Devices on USB that a row of the protocol fits. Where its ids do not tell a board from other
// devices, the set or --device must name it.
Result<std::vector<RecoveryTarget>> usb_targets(const Context& context,
                                                const recovery::Protocol& protocol,
                                                const recovery::PreparedRecovery& prepared) {
  SPHERE_TRY_ASSIGN(const auto devices, transport::list_usb_devices());
  std::vector<RecoveryTarget> targets;
  for (const transport::UsbDeviceInfo& device : devices) {
    const bool is_named = !prepared.usb.empty() || path_of(device.location) == context.device;
    const bool fits = std::ranges::any_of(protocol.usb, [&](const recovery::UsbMatch& row) {
      return (row.automatic || is_named) &&
             (recovery::match_usb(row, device, prepared.alternate) != nullptr ||
              recovery::match_usb(row, device) != nullptr);
    });
    if (fits && has_ids(prepared.usb, device)) {
      targets.push_back(target_at(device.location, device.product_text, device.serial));
    }
  }
  return targets;
}

// What was looked for, or what else is there.
Error no_board(const Context& context, const recovery::Protocol& protocol) {
  std::string value = protocol.has(recovery::CarrierKind::uart)
                          ? "looked for 0403:6011 MSFT MT3620 Std Interface"
                          : fmt::format("looked for devices that speak {}", protocol.name);
  std::string next = "plug the board in, or name its recovery UART: --port DEV|tcp:HOST:PORT";
  if (!protocol.usb.empty()) {
    next =
        "plug the board in and put it into its recovery mode; where its USB ids are not enough, "
        "name it: --device, or \"usb\" in recovery.json";
  }
  if (const auto devices = transport::list_usb_devices()) {
    for (const transport::UsbDeviceInfo& device : *devices) {
      for (const recovery::KnownLoader& known : recovery::known_loaders()) {
        if (device.vendor == known.vendor &&
            device.product == known.product.value_or(device.product)) {
          value = fmt::format("{:04x}:{:04x} at {} is {}", device.vendor, device.product,
                              path_of(device.location), known.name);
          next = fmt::format("this command does not speak it; use {}", known.tool);
        }
      }
    }
  }
  return Error{Errc::not_found,
               context.device.empty()
                   ? std::string{"no board on USB"}
                   : fmt::format("no board {} on USB", escape_control(context.device)),
               {.reason = "link.no-board", .value = std::move(value), .next = std::move(next)}};
}

tl::unexpected<Error> ambiguous(std::span<const RecoveryTarget> targets) {
  std::vector<std::string> paths;
  for (const RecoveryTarget& target : targets) {
    paths.push_back(target.path);
  }
  return fail(Errc::invalid_argument, fmt::format("{} boards are attached", targets.size()),
              {.reason = "link.ambiguous",
               .value = join(paths, ", "),
               .next = fmt::format("name one: --device {}; or take all: --all", paths.front())});
}

Result<FileLock> take_lock(const device::UserDirectories& directories, const std::string& path) {
  const auto directory = directories.runtime / "locks";
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

std::unique_ptr<recovery::Carrier> make_carrier(const RecoveryTarget& target,
                                                const recovery::Protocol& protocol,
                                                const recovery::PreparedRecovery& prepared,
                                                bool manual) {
  if (!target.location.empty()) {
    return protocol.has(recovery::CarrierKind::uart)
               ? recovery::make_ftdi_carrier(target.location, manual)
               : recovery::make_usb_carrier(target.location, protocol, prepared.alternate);
  }
  const bool is_tcp = target.port.starts_with(kTcp);
  return recovery::make_stream_carrier(
      [port = target.port, line = prepared.line, is_tcp] {
        return is_tcp ? transport::open_tcp(std::string_view{port}.substr(kTcp.size()))
                      : transport::open_tty(port, line);
      },
      is_tcp);
}

}  // namespace

Result<std::vector<RecoveryTarget>> find_recovery_targets(
    Context& context, const Arguments& arguments, const recovery::Protocol& protocol,
    const recovery::PreparedRecovery& prepared) {
  const auto ports = arguments.list("port");
  const bool all = arguments.has("all");
  if (all && (!ports.empty() || !context.device.empty())) {
    return fail(Errc::invalid_argument, "--all stands for every board that is found",
                {.reason = "usage.bad-value",
                 .value = ports.empty() ? context.device : ports.front(),
                 .next = "leave --all or the board's name out"});
  }
  if (!ports.empty()) {
    return targets_of_ports(ports);
  }
  SPHERE_TRY_ASSIGN(auto targets, protocol.has(recovery::CarrierKind::uart)
                                      ? ftdi_targets(context)
                                      : usb_targets(context, protocol, prepared));
  if (!context.device.empty()) {
    std::erase_if(targets,
                  [&](const RecoveryTarget& target) { return target.path != context.device; });
  }
  std::ranges::sort(targets, {}, &RecoveryTarget::path);
  if (targets.empty()) {
    return tl::make_unexpected(no_board(context, protocol));
  }
  if (targets.size() > 1 && !all) {
    return ambiguous(targets);
  }
  return targets;
}

Result<RecoveryLine> open_recovery_line(const device::UserDirectories& directories,
                                        const RecoveryTarget& target,
                                        const recovery::Protocol& protocol,
                                        const recovery::PreparedRecovery& prepared, bool manual) {
  RecoveryLine line;
  line.service = device::LinkClient::connect(directories.runtime);
  if (line.service &&
      !line.service->ask(json::Value{}.set("op", "release").set("board", target.path))) {
    line.service.reset();  // It does not have the board.
  }
  auto lock = take_lock(directories, target.path);
  for (int i = 0; i < kReleaseTries && line.service && !lock; ++i) {
    std::this_thread::sleep_for(kReleasePause);
    lock = take_lock(directories, target.path);
  }
  if (!lock) {
    return tl::make_unexpected(std::move(lock).error());
  }
  line.lock = *std::move(lock);
  line.carrier = make_carrier(target, protocol, prepared, manual);
  SPHERE_TRY(line.carrier->open());
  return line;
}

}  // namespace sphere::cli
