// SPDX-License-Identifier: MIT
#include "device-agent/agent/broker/service.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/board_link_client.h"
#include "device-agent/agent/broker/authorize.h"
#include "device-agent/agent/broker/frame.h"
#include "device-agent/agent/broker/network_state.h"
#include "device-agent/applibs/src/broker_protocol.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/reader.h"
#include "sphere/core/writer.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kFile = "file";
constexpr std::size_t kOsVersionBytes = 16;

std::uint8_t byte_at(const Frame& frame, std::size_t index) {
  return std::to_integer<std::uint8_t>(frame.payload[index]);
}

std::vector<std::byte> taken(Writer& writer) { return std::move(writer).take(); }

BrokerReply with_number(std::int32_t number) {
  return {.payload = taken(Writer{}.little_endian(static_cast<std::uint32_t>(number)))};
}

BrokerReply with_descriptor(std::uint8_t kind, Descriptor descriptor) {
  BrokerReply reply{.payload = {std::byte{kind}}};
  reply.descriptor = std::move(descriptor);
  return reply;
}

// The thing a request names; its payload has the length of the verb's rule already.
Subject subject_of(Need need, const Frame& request) {
  Reader reader{request.payload};
  if (need == Need::gpio_pin || need == Need::uart_port) {
    return {.number = static_cast<std::int32_t>(reader.little_endian<std::uint32_t>().value_or(0))};
  }
  if (need == Need::peer) {
    if (const auto bytes = reader.bytes(Guid::kSize)) {
      return {.peer = Guid::from_stored(bytes->first<Guid::kSize>())};
    }
  }
  return {};
}

std::string describe(const VerbRule& rule, const Subject& subject) {
  switch (rule.need) {
    case Need::gpio_pin:
    case Need::uart_port:
      return fmt::format("{}({})", rule.call, subject.number);
    case Need::peer:
      return fmt::format("{}({})", rule.call, subject.peer.text());
    default:
      return std::string{rule.call};
  }
}

// The name field of an interface, up to its NUL; nothing when there is none.
std::optional<std::string> name_field(std::span<const std::byte> payload) {
  const auto field = payload.first(SPHERE_INTERFACE_NAME_MAX);
  std::string name;
  for (const auto byte : field) {
    if (byte == std::byte{0}) {
      return name;
    }
    name.push_back(std::to_integer<char>(byte));
  }
  return std::nullopt;
}

std::vector<std::byte> padded(std::string_view text, std::size_t size) {
  const auto cut = text.substr(0, size - 1);
  return taken(Writer{}.text(cut).zeros(size - cut.size()));
}

}  // namespace

std::uint64_t storage_bytes(const fs::path& folder) {
  struct stat status = {};
  return ::lstat((folder / kFile).c_str(), &status) == 0
             ? static_cast<std::uint64_t>(status.st_size)
             : 0;
}

fs::path BrokerService::storage_folder(const std::string& component_id) const {
  return parts_.storage / component_id;
}

BrokerReply BrokerService::answer(const AppIdentity& app, const Frame& request) {
  const auto* rule = find_rule(request.verb);
  if (request.version != SPHERE_BROKER_VERSION || rule == nullptr || request.status != 0 ||
      request.payload.size() != rule->payload) {
    return {.status = EPROTO};
  }
  const auto subject = subject_of(rule->need, request);
  if (!authorize(app.capabilities, rule->need, subject)) {
    parts_.events->add("SandboxViolation", app.component_id, app.image_id,
                       json::Value{}
                           .set("call", describe(*rule, subject))
                           .set("reason", "not in the app manifest"));
    return {.status = EACCES};
  }
  return serve(app, request, subject);
}

BrokerReply BrokerService::serve(const AppIdentity& app, const Frame& request,
                                 const Subject& subject) {
  switch (request.verb) {
    case SPHERE_VERB_HELLO:
      return with_number(SPHERE_BROKER_VERSION);
    case SPHERE_VERB_GPIO_IN:
    case SPHERE_VERB_GPIO_OUT:
      return open_pin(app, request);
    case SPHERE_VERB_UART_OPEN:
      return {.status = ENODEV};  // No board of this kind simulates one.
    case SPHERE_VERB_FILE_OPEN:
      return open_file(app);
    case SPHERE_VERB_FILE_DELETE:
      return delete_file(app);
    case SPHERE_VERB_FILE_USAGE:
      return file_usage(app);
    case SPHERE_VERB_CONNECT:
      // Only real-time apps take connections, and none can be installed.
      return {.status = parts_.is_installed(subject.peer) ? ECONNREFUSED : ENOENT};
    case SPHERE_VERB_DEVICE_AUTH_READY:
      return with_number(0);  // No attestation yet: never ready.
    case SPHERE_VERB_MEMORY_INFO: {
      const auto attribute = Reader{request.payload}.little_endian<std::uint32_t>().value_or(0);
      if (attribute > 2) {
        return {.status = EINVAL};
      }
      return {.payload = taken(Writer{}.little_endian(parts_.memory_kb(attribute)))};
    }
    case SPHERE_VERB_OS_VERSION:
      return {.payload = padded(parts_.os_version, kOsVersionBytes)};
    default:
      return serve_network(request);
  }
}

BrokerReply BrokerService::serve_network(const Frame& request) {
  auto& network = *parts_.network;
  switch (request.verb) {
    case SPHERE_VERB_NET_READY:
      return with_number(network.ready() ? 1 : 0);
    case SPHERE_VERB_NET_COUNT:
      return with_number(static_cast<std::int32_t>(network.interfaces().size()));
    case SPHERE_VERB_NET_INTERFACE: {
      const auto index = Reader{request.payload}.little_endian<std::uint32_t>().value_or(0);
      if (index >= network.interfaces().size()) {
        return {.status = ENOENT};
      }
      const auto& found = network.interfaces()[index];
      return {.payload = taken(Writer{}
                                   .bytes(padded(found.name, SPHERE_INTERFACE_NAME_MAX))
                                   .little_endian(static_cast<std::uint8_t>(found.enabled ? 1 : 0))
                                   .little_endian(found.ip_type)
                                   .little_endian(found.medium))};
    }
    case SPHERE_VERB_NET_STATUS: {
      const auto* found = named_interface(request);
      if (found == nullptr) {
        return {.status = ENOENT};
      }
      return {.payload = taken(Writer{}.little_endian(found->status))};
    }
    case SPHERE_VERB_NET_HARDWARE_ADDRESS: {
      const auto* found = named_interface(request);
      if (found == nullptr) {
        return {.status = ENOENT};
      }
      return {.payload = taken(Writer{}.bytes(std::as_bytes(std::span{found->hardware_address})))};
    }
    case SPHERE_VERB_NET_SET_STATE:
      return set_interface_state(request);
    default:
      return {.status = EPROTO};
  }
}

NetworkInterface* BrokerService::named_interface(const Frame& request) {
  const auto name = name_field(request.payload);
  return name ? parts_.network->find(*name) : nullptr;
}

BrokerReply BrokerService::set_interface_state(const Frame& request) {
  auto* found = named_interface(request);
  const auto enabled = byte_at(request, SPHERE_INTERFACE_NAME_MAX);
  if (found == nullptr) {
    return {.status = ENOENT};
  }
  if (found->is_service_link) {
    return {.status = EPERM};
  }
  if (enabled > 1) {
    return {.status = EINVAL};
  }
  NetworkState::set_enabled(*found, enabled == 1);
  return {};
}

BrokerReply BrokerService::open_pin(const AppIdentity& app, const Frame& request) {
  Reader reader{request.payload};
  PinRequest pin{
      .pin = static_cast<std::int32_t>(reader.little_endian<std::uint32_t>().value_or(0)),
      .output = request.verb == SPHERE_VERB_GPIO_OUT,
      .component_id = app.component_id};
  if (pin.output) {
    pin.mode = byte_at(request, 4);
    pin.value = byte_at(request, 5);
    if (pin.mode > 2 || pin.value > 1) {
      return {.status = EINVAL};
    }
  }
  auto answer = parts_.board->open_pin(pin);
  if (answer.status != 0) {
    return {.status = answer.status};
  }
  return with_descriptor(answer.kind, std::move(answer.descriptor));
}

BrokerReply BrokerService::open_file(const AppIdentity& app) const {
  const auto folder = storage_folder(app.component_id);
  if (!make_directories(folder, 0700)) {
    return {.status = EIO};
  }
  Descriptor file{
      ::open((folder / kFile).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!file || !sync_directory(folder)) {
    return {.status = EIO};
  }
  return with_descriptor(SPHERE_KIND_FILE, std::move(file));
}

BrokerReply BrokerService::delete_file(const AppIdentity& app) const {
  const auto folder = storage_folder(app.component_id);
  if (::unlink((folder / kFile).c_str()) != 0) {
    return {.status = errno == ENOENT ? ENOENT : EIO};
  }
  return {.status = sync_directory(folder) ? 0 : EIO};
}

BrokerReply BrokerService::file_usage(const AppIdentity& app) const {
  const std::uint64_t allowed =
      std::uint64_t{app.capabilities.mutable_storage_kb.value_or(0)} * 1024;
  return {.payload = taken(Writer{}
                               .little_endian(storage_bytes(storage_folder(app.component_id)))
                               .little_endian(allowed))};
}

}  // namespace sphere::agent
