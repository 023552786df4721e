// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/edl.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/needed_range.h"
#include "sphere/core/encoding.h"
#include "sphere/core/reader.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/firehose_xml.h"

namespace sphere::virtual_board {

namespace {

constexpr std::uint32_t kHello = 0x01;
constexpr std::uint32_t kHelloResponse = 0x02;
constexpr std::uint32_t kReadData = 0x03;
constexpr std::uint32_t kEndOfImage = 0x04;
constexpr std::uint32_t kDone = 0x05;
constexpr std::uint32_t kDoneResponse = 0x06;
constexpr std::uint32_t kReset = 0x07;
constexpr std::uint32_t kResetResponse = 0x08;
constexpr std::uint32_t kReadData64 = 0x12;
constexpr std::uint32_t kProgrammer = 13;
constexpr std::uint32_t kBadImageType = 0x09;
constexpr std::uint32_t kNotAuthentic = 0x25;
constexpr std::uint32_t kBadCommand = 0x01;
constexpr std::size_t kHeader = 8;
constexpr std::size_t kMostPacket = 1024;
constexpr std::size_t kMbnHeader = 40;
constexpr std::size_t kMbnSize = 16;  // Offset of the size in it.
constexpr std::size_t kMostLoader = 1U << 20U;
constexpr std::size_t kPiece = 4096;
constexpr std::size_t kMostDigest = 64U << 20U;

}  // namespace

EdlDevice::EdlDevice(EdlBoard board, Flash flash)
    : board_{std::move(board)}, flash_{std::move(flash)} {}

void EdlDevice::take(const device::Input& input, device::Time /*now*/, device::Actions& actions) {
  actions_ = &actions;
  if (const auto* const power = std::get_if<device::PowerOn>(&input)) {
    in_.clear();
    loader_.clear();
    reads_ = 0;
    if (!power->recovery_strap) {
      state_ = State::booted;
      actions.push_back(device::Boot{});
    } else if (board_.loader_runs) {
      state_ = State::firehose;
    } else {
      state_ = State::hello;
      if (!board_.hello_lost) {
        send_packet(kHello, std::array<std::uint32_t, 10>{2, 1, kMostPacket, 0});
      }
    }
  } else if (const auto* const received = std::get_if<device::Received>(&input)) {
    if (state_ == State::off || state_ == State::booted) {
      actions_ = nullptr;
      return;
    }
    in_.insert(in_.end(), received->bytes.begin(), received->bytes.end());
    if (state_ < State::firehose) {
      take_packets();
    }
    if (state_ >= State::firehose) {
      take_documents();
    }
  }
  actions_ = nullptr;
}

// --- Sahara. ---

void EdlDevice::send_packet(std::uint32_t command, std::span<const std::uint32_t> words) {
  Writer packet;
  packet.little_endian(command);
  packet.little_endian(static_cast<std::uint32_t>(kHeader + 4 * words.size()));
  for (const std::uint32_t word : words) {
    packet.little_endian(word);
  }
  actions_->push_back(device::Send{.bytes = std::move(packet).take()});
}

void EdlDevice::take_packets() {
  while (state_ < State::firehose) {
    if (state_ == State::header || state_ == State::body) {
      if (!take_loader()) {
        return;
      }
      continue;
    }
    Reader reader{in_};
    const auto command = reader.little_endian<std::uint32_t>();
    const auto length = reader.little_endian<std::uint32_t>();
    if (!length) {
      return;
    }
    if (*length < kHeader || *length > kMostPacket) {
      in_.clear();
      end_image(kBadCommand);
      return;
    }
    if (in_.size() < *length) {
      return;
    }
    take_packet(*command, *length);
    in_.erase(in_.begin(), in_.begin() + *length);
  }
}

void EdlDevice::take_packet(std::uint32_t command, std::size_t length) {
  constexpr std::size_t kResponseSize = 48;
  if (command == kHelloResponse && state_ == State::hello && length == kResponseSize) {
    state_ = State::header;
    ask(0, kMbnHeader);
  } else if (command == kDone && state_ == State::ended) {
    send_packet(kDoneResponse, std::array<std::uint32_t, 1>{board_.done_pending ? 0U : 1U});
    start_loader();
  } else if (command == kReset) {
    send_packet(kResetResponse, {});
    state_ = State::hello;
    send_packet(kHello, std::array<std::uint32_t, 10>{2, 1, kMostPacket, 0});
  } else {
    end_image(kBadCommand);
  }
}

void EdlDevice::ask(std::size_t offset, std::size_t length) {
  asked_ = length;
  const auto lie = static_cast<std::uint32_t>(reads_++ == 1 ? board_.lies_by : 0);
  const auto from = static_cast<std::uint32_t>(offset) + lie;
  const auto size = static_cast<std::uint32_t>(length);
  if (board_.wide) {
    send_packet(kReadData64, std::array<std::uint32_t, 6>{kProgrammer, 0, from, 0, size, 0});
  } else {
    send_packet(kReadData, std::array<std::uint32_t, 3>{kProgrammer, from, size});
  }
}

// Takes what was asked for; false: more must come. A host that gives up says RESET instead, which
// is told from data only while a whole read is not there: its length is that of the packet.
bool EdlDevice::take_loader() {
  if (in_.size() == kHeader && in_.front() == std::byte{kReset} && in_[4] == std::byte{kHeader}) {
    take_packet(kReset, kHeader);
    in_.clear();
    return true;
  }
  if (in_.size() < asked_) {
    return false;
  }
  const auto end = in_.begin() + static_cast<std::ptrdiff_t>(asked_);
  loader_.insert(loader_.end(), in_.begin(), end);
  in_.erase(in_.begin(), end);
  if (state_ == State::header) {
    Reader reader{std::span{loader_}.subspan(kMbnSize)};
    const std::size_t size = *reader.little_endian<std::uint32_t>();
    if (size == 0 || size > kMostLoader) {
      end_image(kBadImageType);
      return true;
    }
    loader_size_ = kMbnHeader + size;
    state_ = State::body;
  }
  if (loader_.size() < loader_size_) {
    ask(loader_.size(), std::min(kPiece, loader_size_ - loader_.size()));
    return true;
  }
  const bool good = !board_.programmer || crypto::sha256(loader_) == *board_.programmer;
  end_image(good ? 0 : kNotAuthentic);
  return true;
}

void EdlDevice::end_image(std::uint32_t status) {
  state_ = status == 0 ? State::ended : State::hello;
  loader_.clear();
  send_packet(kEndOfImage, std::array<std::uint32_t, 2>{kProgrammer, status});
}

void EdlDevice::start_loader() {
  state_ = State::firehose;
  log("Sphere virtual programmer");
}

// --- Firehose. ---

void EdlDevice::send(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  actions_->push_back(device::Send{.bytes = {bytes.begin(), bytes.end()}});
}

void EdlDevice::log(std::string_view text) {
  send(recovery::firehose_document("log", std::to_array<std::pair<std::string_view, std::string>>(
                                              {{"value", std::string{text}}})));
}

void EdlDevice::respond(bool good, std::vector<std::pair<std::string_view, std::string>> more) {
  more.insert(more.begin(), {"value", good ? "ACK" : "NAK"});
  auto text = recovery::firehose_document("response", more);
  if (board_.log_after) {
    text += recovery::firehose_document(
        "log",
        std::to_array<std::pair<std::string_view, std::string>>({{"value", "one more word"}}));
  }
  send(text);
}

void EdlDevice::take_documents() {
  while (state_ == State::firehose || state_ == State::raw) {
    if (state_ == State::raw) {
      if (in_.size() < flash_.sector()) {
        return;  // Whole sectors only.
      }
      take_raw();
      continue;
    }
    in_.erase(in_.begin(), std::find(in_.begin(), in_.end(), std::byte{'<'}));
    const auto size = recovery::firehose_document_size(in_);
    if (!size || *size > recovery::kXmlLimit) {
      if (in_.size() > recovery::kXmlLimit) {
        in_.clear();
        respond(false);
      }
      return;
    }
    std::string text;
    std::transform(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(*size),
                   std::back_inserter(text),
                   [](std::byte byte) { return static_cast<char>(byte); });
    in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(*size));
    // White space behind a command is no data: hosts wait for the answer before they send that.
    in_.erase(in_.begin(), std::find_if(in_.begin(), in_.end(), [](std::byte byte) {
                return byte != std::byte{'\n'} && byte != std::byte{'\r'} && byte != std::byte{' '};
              }));
    const auto elements = recovery::parse_firehose_xml(text);
    if (!elements || elements->size() != 2 || elements->front().name != "data") {
      log("that is not one command");
      respond(false);
      continue;
    }
    run(elements->at(1));
  }
}

void EdlDevice::run(const recovery::XmlElement& command) {
  if (command.name == "configure") {
    configure(command);
  } else if (command.name == "program" || command.name == "read" || command.name == "erase" ||
             command.name == "getsha256digest") {
    transfer(command);
  } else if (command.name == "patch") {
    patch(command);
  } else if (command.name == "nop" || command.name == "setbootablestoragedrive") {
    respond(true);
  } else if (command.name == "power") {
    const std::string* const value = command.find("value");
    const bool resets = value != nullptr && *value == "reset";
    respond(resets);
    if (resets) {
      state_ = State::booted;
      actions_->push_back(device::Boot{});
    }
  } else {
    log("unknown command");
    respond(false);
  }
}

void EdlDevice::configure(const recovery::XmlElement& command) {
  const auto wanted = number_of(command, "MaxPayloadSizeToTargetInBytes");
  const std::string* const memory = command.find("MemoryName");
  const bool good = wanted && *wanted > 0 && *wanted <= board_.payload;
  respond(good, {{"MinVersionSupported", "1"},
                 {"Version", "1"},
                 {"MemoryName", memory == nullptr ? "emmc" : *memory},
                 {"MaxPayloadSizeFromTargetInBytes", "4096"},
                 {"MaxPayloadSizeToTargetInBytes",
                  std::to_string(good ? *wanted : std::uint64_t{board_.payload})},
                 {"MaxPayloadSizeToTargetInBytesSupported", std::to_string(board_.payload)},
                 {"MaxXMLSizeInBytes", "4096"}});
}

std::optional<std::uint64_t> EdlDevice::number_of(const recovery::XmlElement& command,
                                                  std::string_view name) const {
  const std::string* const text = command.find(name);
  if (text == nullptr) {
    return std::nullopt;
  }
  std::string_view rest{*text};
  constexpr std::string_view kDisk = "NUM_DISK_SECTORS-";
  const bool from_end = rest.starts_with(kDisk);
  rest.remove_prefix(from_end ? kDisk.size() : 0);
  if (rest.ends_with('.')) {
    rest.remove_suffix(1);
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (rest.empty() || error != std::errc{} || end != rest.data() + rest.size()) {
    return std::nullopt;
  }
  const std::uint64_t sectors = flash_.size() / flash_.sector();
  if (from_end) {
    return value <= sectors ? std::optional{sectors - value} : std::nullopt;
  }
  return value;
}

std::optional<EdlDevice::Range> EdlDevice::range_of(const recovery::XmlElement& command) const {
  const auto sector = number_of(command, "SECTOR_SIZE_IN_BYTES");
  const auto start = number_of(command, "start_sector");
  const auto count = number_of(command, "num_partition_sectors");
  const std::uint64_t sectors = flash_.size() / flash_.sector();
  if (command.name == "erase" && !start && !count) {
    return Range{.offset = 0, .size = flash_.size()};
  }
  if (sector != flash_.sector() || !start || !count || *start > sectors ||
      *count > sectors - *start || *count == 0) {
    return std::nullopt;
  }
  return Range{.offset = static_cast<std::size_t>(*start) * flash_.sector(),
               .size = static_cast<std::size_t>(*count) * flash_.sector()};
}

void EdlDevice::transfer(const recovery::XmlElement& command) {
  const auto range = range_of(command);
  if (!range) {
    log("no such sectors");
    respond(false);
  } else if (command.name == "program") {
    raw_ = *range;
    raw_good_ = true;
    state_ = State::raw;
    respond(true, {{"rawmode", "true"}});
  } else if (command.name == "read") {
    respond(true, {{"rawmode", "true"}});
    const auto bytes = flash_.bytes().subspan(range->offset, range->size);
    actions_->push_back(device::Send{.bytes = {bytes.begin(), bytes.end()}});
    respond(true, {{"rawmode", "false"}});
  } else if (command.name == "erase") {
    respond(flash_.erase(range->offset, range->size) == Flash::Access::ok);
  } else {
    digest(*range);
  }
}

void EdlDevice::digest(const Range& range) {
  if (board_.digests == EdlBoard::Digests::none || range.size > kMostDigest) {
    log("unknown command");
    respond(false);
    return;
  }
  const auto hash = to_hex(crypto::sha256(flash_.bytes().subspan(range.offset, range.size)));
  if (board_.digests == EdlBoard::Digests::in_log) {
    log("digest " + hash + " is that of the sectors");
    respond(true);
  } else {
    respond(true, {{"Digest", hash}});
  }
}

bool EdlDevice::store(std::size_t offset, std::span<const std::byte> bytes) {
  return flash_.erase(offset, bytes.size()) == Flash::Access::ok &&
         flash_.program(offset, bytes) == Flash::Access::ok;
}

void EdlDevice::take_raw() {
  const std::size_t sector = flash_.sector();
  const std::size_t size = std::min(raw_.size, in_.size() / sector * sector);
  raw_good_ = store(raw_.offset, std::span{in_}.first(size)) && raw_good_;
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(size));
  raw_.offset += size;
  raw_.size -= size;
  if (raw_.size == 0) {
    state_ = State::firehose;
    if (!board_.stalls_at_end) {
      respond(raw_good_, {{"rawmode", "false"}});
    }
  }
}

void EdlDevice::patch(const recovery::XmlElement& command) {
  const std::string* const file = command.find("filename");
  if (file != nullptr && *file != "DISK") {
    respond(true);  // For a file of the host.
    return;
  }
  const auto start = number_of(command, "start_sector");
  const auto offset = number_of(command, "byte_offset");
  const auto size = number_of(command, "size_in_bytes");
  const auto value = number_of(command, "value");
  const std::size_t sectors = flash_.size() / flash_.sector();
  if (!start || !offset || !size || !value || *start >= sectors || *size == 0 || *size > 8 ||
      *offset > flash_.sector() || *size > flash_.sector() - *offset) {
    respond(false);
    return;
  }
  const std::size_t at = static_cast<std::size_t>(*start) * flash_.sector();
  const auto old = flash_.bytes().subspan(at, flash_.sector());
  std::vector<std::byte> sector{old.begin(), old.end()};
  for (std::size_t i = 0; i < *size; ++i) {
    sector.at(static_cast<std::size_t>(*offset) + i) =
        static_cast<std::byte>(*value >> (8 * i) & 0xFFU);
  }
  respond(store(at, sector));
}

}  // namespace sphere::virtual_board
