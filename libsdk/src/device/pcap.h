// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace sphere::device {

// The beginning of a pcap file of raw IP packets (link type 101), times in microseconds, little
// endian: magic A1B2C3D4, version 2.4, zone 0, accuracy 0, longest packet, link type.
[[nodiscard]] std::string pcap_header();
// A packet seen now: seconds, microseconds, length stored, length on the wire, bytes.
[[nodiscard]] std::string pcap_record(std::span<const std::byte> packet);

}  // namespace sphere::device
