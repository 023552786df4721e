// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/faults.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"

namespace sphere::virtual_board {

namespace {

constexpr std::uint64_t kMillion = 1'000'000;
constexpr auto kWireKinds = std::to_array<std::string_view>(
    {"drop", "dup", "flip", "delay", "stall", "stray", "storm", "unplug"});

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

auto refuse(std::string_view fault, std::string_view why) {
  return fail(Errc::invalid_argument, fmt::format("fault '{}': {}", fault, why),
              {.reason = "usage.bad-value",
               .value = std::string{fault},
               .next = "write KIND[=VALUE]@WHERE, as in drop@in:byte=70000"});
}

Result<void> read_where(std::string_view where, std::string_view text, Fault& fault) {
  if (where.starts_with("in:") || where.starts_with("out:")) {
    fault.side = where.starts_with("in:") ? WireSide::in : WireSide::out;
    where.remove_prefix(where.find(':') + 1);
  }
  const auto equals = where.find('=');
  const auto name = where.substr(0, equals);
  const auto value = equals == std::string_view::npos ? "" : where.substr(equals + 1);
  if (name == "step" && !value.empty()) {
    fault.where = Fault::Where::step;
    fault.step = value;
    return {};
  }
  constexpr auto kPlaces =
      std::to_array<std::pair<std::string_view, Fault::Where>>({{"byte", Fault::Where::byte},
                                                                {"frame", Fault::Where::frame},
                                                                {"block", Fault::Where::block},
                                                                {"rate", Fault::Where::rate}});
  const auto* const place =
      std::ranges::find(kPlaces, name, &std::pair<std::string_view, Fault::Where>::first);
  const auto number = number_of(value);
  if (place == kPlaces.end() || !number) {
    return refuse(text, "after @ stands byte=N, frame=N, block=N, step=NAME or rate=P");
  }
  fault.where = place->second;
  fault.at = *number;
  return {};
}

// The bytes that stray and storm bring.
std::vector<std::byte> extra_bytes(const Fault& fault) {
  if (fault.kind == "stray") {
    return from_hex(fault.value).value_or(std::vector<std::byte>{});
  }
  const auto comma = fault.value.find(',');
  const auto byte = from_hex(fault.value.substr(0, comma)).value_or(std::vector<std::byte>{});
  const auto count =
      comma == std::string::npos ? std::nullopt : number_of(fault.value.substr(comma + 1));
  constexpr std::uint64_t kMost = 1 << 20;
  return byte.size() == 1 && count && *count <= kMost
             ? std::vector<std::byte>(static_cast<std::size_t>(*count), byte.front())
             : std::vector<std::byte>{};
}

// A wire fault whose value cannot be used would be one that never happens.
Result<void> check_value(const Fault& fault, std::string_view text) {
  const auto number = fault.number();
  if (fault.kind == "flip" && (!number || *number > 7)) {
    return refuse(text, "flip=BIT needs a bit from 0 to 7");
  }
  if (fault.kind == "delay" && !number) {
    return refuse(text, "delay=MS needs milliseconds");
  }
  if (fault.kind == "unplug" && !fault.value.empty() && !number) {
    return refuse(text, "unplug=MS needs milliseconds");
  }
  if ((fault.kind == "stray" || fault.kind == "storm") && extra_bytes(fault).empty()) {
    return refuse(text, "stray=HEX needs bytes, storm=HEX,N a byte and at most 1048576");
  }
  if (is_wire_fault(fault) &&
      (fault.where == Fault::Where::block || fault.where == Fault::Where::step ||
       fault.where == Fault::Where::always)) {
    return refuse(text, "on the wire it happens at byte=N, frame=N or rate=P");
  }
  return {};
}

}  // namespace

std::optional<std::uint64_t> Fault::number() const { return number_of(value); }

bool is_wire_fault(const Fault& fault) {
  return std::ranges::find(kWireKinds, fault.kind) != kWireKinds.end();
}

Result<Fault> parse_fault(std::string_view text) {
  Fault fault;
  const auto at = text.find('@');
  const auto what = text.substr(0, at);
  const auto equals = what.find('=');
  fault.kind = what.substr(0, equals);
  fault.value = equals == std::string_view::npos ? "" : what.substr(equals + 1);
  if (fault.kind.empty()) {
    return refuse(text, "there is no kind");
  }
  if (at != std::string_view::npos) {
    SPHERE_TRY(read_where(text.substr(at + 1), text, fault));
  }
  SPHERE_TRY(check_value(fault, text));
  return fault;
}

WireFaults::WireFaults(std::span<const Fault> faults, std::uint32_t seed) : random_{seed} {
  for (const Fault& fault : faults) {
    if (is_wire_fault(fault)) {
      faults_.push_back({.fault = fault});
    }
  }
}

// Where in a piece of `size` bytes the fault hits, if it does. A fault of a rate can hit a piece
// once; pieces are short.
std::optional<std::size_t> WireFaults::place(const Armed& armed, std::uint64_t first,
                                             std::uint64_t frame, std::size_t size) {
  const Fault& fault = armed.fault;
  if (fault.where == Fault::Where::rate) {
    for (std::size_t i = 0; i < size; ++i) {
      if (random_() % kMillion < fault.at) {
        return i;
      }
    }
    return std::nullopt;
  }
  if (armed.spent) {
    return std::nullopt;
  }
  if (fault.where == Fault::Where::frame) {
    return fault.at == frame ? std::optional<std::size_t>{0} : std::nullopt;
  }
  return fault.at >= first && fault.at - first < size
             ? std::optional{static_cast<std::size_t>(fault.at - first)}
             : std::nullopt;
}

void WireFaults::hit(Armed& armed, std::size_t index, std::size_t length, Passed& passed) {
  using Difference = std::vector<std::byte>::difference_type;
  const Fault& fault = armed.fault;
  armed.spent = true;
  auto& bytes = passed.bytes;
  index = std::min(index, bytes.size());
  length = std::min(length, bytes.size() - index);
  const auto begin = bytes.begin() + static_cast<Difference>(index);
  const auto end = begin + static_cast<Difference>(length);
  if (fault.kind == "drop") {
    bytes.erase(begin, end);
  } else if (fault.kind == "dup") {
    const std::vector<std::byte> copy(begin, end);
    bytes.insert(begin, copy.begin(), copy.end());
  } else if (fault.kind == "flip" && length > 0) {
    *begin ^= std::byte{1} << static_cast<unsigned>(fault.number().value_or(0));
  } else if (fault.kind == "delay") {
    passed.delay += std::chrono::milliseconds{fault.number().value_or(0)};
  } else if (fault.kind == "stray" || fault.kind == "storm") {
    const auto extra = extra_bytes(fault);
    bytes.insert(begin, extra.begin(), extra.end());
  } else if (fault.kind == "stall") {
    bytes.erase(begin, bytes.end());
    stalled_[static_cast<std::size_t>(fault.side)] = true;
  } else if (fault.kind == "unplug") {
    bytes.erase(begin, bytes.end());
    passed.unplug = true;
    if (const auto after = fault.number()) {
      passed.back_after = std::chrono::milliseconds{*after};
    }
  }
}

WireFaults::Passed WireFaults::pass(WireSide side, std::span<const std::byte> bytes) {
  const auto index = static_cast<std::size_t>(side);
  Passed passed{.bytes = {bytes.begin(), bytes.end()}};
  if (stalled_[index]) {
    passed.bytes.clear();
    return passed;
  }
  const std::uint64_t first = bytes_[index];
  const std::uint64_t frame = frames_[index]++;
  bytes_[index] += bytes.size();
  for (Armed& armed : faults_) {
    if (armed.fault.side != side) {
      continue;
    }
    if (const auto at = place(armed, first, frame, bytes.size())) {
      const bool whole = armed.fault.where == Fault::Where::frame;
      hit(armed, *at, whole ? bytes.size() : 1, passed);
    }
  }
  return passed;
}

}  // namespace sphere::virtual_board
