// SPDX-License-Identifier: MIT
// What `sphere doctor` says about links, and the udev rule: the parts that need USB code.
#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/doctor_device.h"
#include "cli/output/output.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/device/attached.h"
#include "sphere/device/direct_link.h"
#include "sphere/device/link_service.h"
#include "sphere/json/value.h"
#include "sphere/recovery/table.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/board_link.h"
#include "sphere/transport/place.h"
#include "sphere/transport/usb.h"
#include "sphere/transport/usb_pipes.h"

namespace sphere::cli {
namespace {

constexpr std::chrono::milliseconds kProbeLimit{2500};
constexpr std::chrono::milliseconds kRecoveryLimit{1200};
constexpr std::string_view kRuleFile = "/etc/udev/rules.d/70-sphere.rules";

json::Value failed(const std::string& name, const Error& error) {
  return doctor_row(name, "fail", error.message(), error.hint().next);
}

// A connection to the board's port 443, to see whether it answers.
Descriptor knock(const std::filesystem::path& socket_path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  socket_path.string().copy(static_cast<char*>(address.sun_path), sizeof(address.sun_path) - 1);
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return {};
  }
  return socket;
}

// Rungs 4 and 5: does it answer, and if not, what does it do? Then those above.
json::Array probe(const Context& context, const transport::Place& place, const std::string& name) {
  auto link = device::DirectLink::open(place, context.directories.runtime / "locks");
  if (!link) {
    return {failed(name, link.error())};
  }
  const Descriptor connection = knock((*link)->socket());
  const auto until = std::chrono::steady_clock::now() + kProbeLimit;
  transport::LinkReport report = (*link)->link().report();
  while (report.connections.last == slip::Attempt::none &&
         report.state == transport::LinkState::open && std::chrono::steady_clock::now() < until &&
         !context.interrupted) {
    constexpr std::chrono::milliseconds kPause{20};
    std::this_thread::sleep_for(kPause);
    report = (*link)->link().report();
  }
  if (report.connections.last == slip::Attempt::none) {
    report.connections.last = slip::Attempt::silent;
  }
  if (report.connections.last == slip::Attempt::connected) {
    auto device = device::attached_at(place, context.directories.data / "device-api-ca.pem");
    device.endpoint.unix_socket = (*link)->socket();
    json::Array rows = device_rungs(context, device);
    rows.insert(rows.begin(), doctor_row(name, "ok", "answers over SLIP"));
    return rows;
  }
  link->reset();  // The recovery port belongs to the same device.
  if (place.kind == transport::PlaceKind::usb) {
    const auto heard = transport::listen_for_recovery(place.target, kRecoveryLimit);
    if (heard && !heard->empty()) {
      return {doctor_row(name, "fail", fmt::format("waits for recovery; it says {}", *heard),
                         "sphere device recover --images SET")};
    }
  }
  const auto why = transport::explain(report, transport::connection_path(place));
  return {why ? failed(name, *why) : doctor_row(name, "warn", "gives no answer")};
}

json::Value check_place(const Context& context, const transport::Place& place,
                        const std::vector<transport::UsbDevice>& usb) {
  const std::string path = transport::connection_path(place);
  const std::string name = "link: " + path;
  const auto device = std::ranges::find(usb, place.target, &transport::UsbDevice::location);
  if (place.kind == transport::PlaceKind::usb && device != usb.end() &&
      device->access == transport::UsbAccess::denied) {
    return doctor_row(name, "fail", fmt::format("this user may not open {}", device->node),
                      "sudo sphere doctor --install-udev");
  }
  const auto lock = FileLock::try_acquire(context.directories.runtime / "locks" / (path + ".lock"));
  if (!lock && lock.error().code() == Errc::busy) {
    return doctor_row(name, "ok", "in use by another command or sphere link serve");
  }
  return {};  // Free: to be probed.
}

// A board that waits in its boot ROM or loader, or a loader of others that people take for one.
json::Value describe_loader(const transport::UsbDeviceInfo& device) {
  const std::string name = fmt::format(
      "usb: {}",
      transport::connection_path({.kind = transport::PlaceKind::usb, .target = device.location}));
  const std::string ids = fmt::format("{:04x}:{:04x}", device.vendor, device.product);
  for (const recovery::Protocol& protocol : recovery::protocols()) {
    for (const recovery::UsbMatch& match : protocol.usb) {
      if (!match.automatic || recovery::match_usb(match, device) == nullptr) {
        continue;
      }
      if (device.access == transport::UsbAccess::denied) {
        return doctor_row(
            name, "fail", fmt::format("this user may not open {} ({})", device.node, ids),
            fmt::format("sudo sphere doctor --install-udev; the rule for it alone: {}",
                        recovery::udev_rule(device.vendor, device.product)));
      }
      return doctor_row(
          name, "warn", fmt::format("{} waits in its loader: {}", ids, protocol.name),
          fmt::format("sphere device recover --images SET --protocol {}", protocol.id));
    }
  }
  for (const recovery::KnownLoader& known : recovery::known_loaders()) {
    if (known.vendor == device.vendor && known.product.value_or(device.product) == device.product) {
      return doctor_row(name, "warn", fmt::format("{} waits in its loader: {}", ids, known.name),
                        fmt::format("sphere does not speak it; use {}", known.tool));
    }
  }
  return {};
}

Result<Output> check(Context& context, const Arguments& /*arguments*/) {
  Output output{.data = json::Array{}};
  SPHERE_TRY_ASSIGN(const auto all, transport::list_usb_devices());
  for (const transport::UsbDeviceInfo& device : all) {
    if (json::Value loader = describe_loader(device); !loader.is_null()) {
      output.data.push(std::move(loader));
    }
  }
  SPHERE_TRY_ASSIGN(const auto usb, transport::list_usb());
  SPHERE_TRY_ASSIGN(const auto places, device::find_link_places(context.link));
  for (const transport::UsbDevice& device : usb) {
    if (!device.is_board) {
      output.data.push(doctor_row(
          "link: " + transport::connection_path(
                         {.kind = transport::PlaceKind::usb, .target = device.location}),
          "warn",
          fmt::format("an FT4232H that calls itself \"{}\", not \"{}\"", device.product,
                      transport::kBoardProductText),
          "if it is a board without its EEPROM's text, name it in the configuration: link.usb"));
    }
  }
  for (const transport::Place& place : places) {
    json::Value known = check_place(context, place, usb);
    if (!known.is_null()) {
      output.data.push(std::move(known));
      continue;
    }
    for (auto& found : probe(context, place, "link: " + transport::connection_path(place))) {
      output.data.push(std::move(found));
    }
  }
  if (output.data.is_null() || output.data.items().empty()) {
    output.data = json::Array{};
    output.data.push(
        doctor_row("link: boards", "skip",
                   fmt::format("no board on USB (looked for {:04x}:{:04x} \"{}\") and no link "
                               "in the configuration",
                               transport::kBoardVendor, transport::kBoardProduct,
                               transport::kBoardProductText),
                   "plug a board in; see whether its cable carries data"));
  }
  return output;
}

Result<Output> install_udev(Context& context) {
  const auto written = write_file(kRuleFile, recovery::recovery_udev_rules(), {.mode = 0644});
  if (!written) {
    return fail(Errc::permission,
                fmt::format("cannot install the udev rule: {}", written.error().message()),
                {.reason = "local.permission",
                 .value = std::string{kRuleFile},
                 .next = "sudo sphere doctor --install-udev"});
  }
  constexpr std::chrono::seconds kLimit{10};
  using Words = std::vector<std::string>;
  bool applied = true;
  for (const Words& words :
       {Words{"control", "--reload"}, Words{"trigger", "--subsystem-match=usb"}}) {
    const auto run = run_captured({.program = "udevadm", .arguments = words}, kLimit);
    applied = applied && run && run->status.success();
  }
  if (!applied) {
    context.reporter.warn("udevadm did not take the rule at once: plug the board in again");
  }
  Output output{.text = fmt::format("Installed {}. Users at this machine may open boards; others "
                                    "need the group sphere: sudo groupadd --system --force sphere; "
                                    "sudo usermod --append --groups sphere USER",
                                    kRuleFile)};
  output.data.set("file", std::string{kRuleFile}).set("applied", applied);
  return output;
}

Result<Output> udev(Context& context, const Arguments& arguments) {
  if (arguments.has("install-udev")) {
    return install_udev(context);
  }
  Output output{.text = recovery::recovery_udev_rules(), .text_by_default = true};
  output.data.set("rules", output.text).set("file", std::string{kRuleFile});
  output.text.pop_back();  // The renderer ends the last line.
  return output;
}

constexpr std::array kCommands = {
    NetCommand{.path = "doctor link", .run = check},
    NetCommand{.path = "doctor udev", .run = udev},
};

}  // namespace

std::span<const NetCommand> doctor_net_commands() { return kCommands; }

}  // namespace sphere::cli
