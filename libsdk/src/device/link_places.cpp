// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/device/attached.h"
#include "sphere/device/direct_link.h"
#include "sphere/transport/place.h"
#include "sphere/transport/usb.h"

namespace sphere::device {

namespace {

constexpr std::size_t kPemLimit = std::size_t{16} * 1024;

}  // namespace

Result<std::vector<transport::Place>> find_link_places(const LinkSettings& settings) {
  std::vector<transport::Place> places;
  SPHERE_TRY_ASSIGN(const auto devices, transport::list_usb());
  for (const transport::UsbDevice& device : devices) {
    transport::Place place{.kind = transport::PlaceKind::usb, .target = device.location};
    if (device.is_board || transport::connection_path(place) == settings.usb) {
      places.push_back(std::move(place));
    }
  }
  for (const std::string& path : settings.tty) {
    places.push_back({.kind = transport::PlaceKind::tty, .target = path});
  }
  for (const std::string& target : settings.tcp) {
    SPHERE_TRY_ASSIGN(auto place, transport::parse_tcp_target(target));
    places.push_back(std::move(place));
  }
  return places;
}

AttachedDevice attached_at(transport::Place place, const std::filesystem::path& ca_file) {
  const auto ca = read_text_file(ca_file, kPemLimit);
  return {.device_id = {},
          .ip_address = {},
          .connection_path = transport::connection_path(place),
          .name = {},
          .state = "attached",
          .is_virtual = false,
          .endpoint = {.url = "https://192.168.35.2",
                       .unix_socket = {},
                       .ca_pem = ca ? *ca : std::string{},
                       .tls_name = {}},
          .place = std::move(place)};
}

}  // namespace sphere::device
