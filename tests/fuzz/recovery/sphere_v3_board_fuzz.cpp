// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "device-agent/virtual-board/recovery/sphere_v3.h"
#include "sphere/core/reader.h"
#include "tests/fuzz/recovery/v3_fuzz.h"
#include "tests/support/recovery_set_v3.h"

namespace {

using namespace sphere;
using namespace sphere::fuzz;
using namespace sphere::virtual_board;

constexpr std::size_t kSector = 4096;
constexpr std::size_t kFlash = 64 * kSector;
constexpr std::size_t kFactory = 10 * kSector;
constexpr std::size_t kFactorySize = 6 * kSector;

const test::RecoverySetV3& set() {
  static const test::RecoverySetV3 set{{3000, 5000}};
  return set;
}

// What a hostile host does with the board. Kinds of steps, modulo 8:
//
//   0  bytes of the wire             4  the power goes off and on; u8 the strap
//   1  an InitializationAck          5  time passes to the timer
//   2  a message: type, data         6  the host does what it should with the last request, but
//   3  a block of data: u8 number       with the bits of the bytes inverted in the answer
//                                    7  the same without a change
class HostileHost {
 public:
  HostileHost()
      : board_{{.trust = set().trust(),
                .floor = 7,
                .flash_size = kFlash,
                .rates = {115200},
                .block = 1024,
                .window = 4,
                .nonce = [this] {
                  nonce_.fill(std::byte{++sessions_});
                  return nonce_;
                }}} {
    const Bytes mark(kFactorySize, std::byte{0x5A});
    board_.flash().load(kFactory, mark);
    give(device::PowerOn{});
  }

  void take(const V3Step& step) {
    now_ += std::chrono::milliseconds{1};
    switch (step.kind % 8) {
      case 0:
        return give(device::Received{step.bytes});
      case 1:
        return send(v2_frame(recovery::v2::Type::initialization_ack, step.bytes));
      case 2:
        note_proceed(step.bytes);
        return send(message_frame(++sequence_, step.bytes));
      case 3:
        return send_block(step.bytes);
      case 4:
        sequence_ = 0;
        return give(device::PowerOn{.recovery_strap =
                                        step.bytes.empty() || step.bytes.front() != std::byte{0}});
      case 5:
        return fire();
      case 6:
        return answer(step.bytes);
      default:
        return answer({});
    }
  }
  void check() {
    const auto factory = board_.flash().bytes().subspan(kFactory, kFactorySize);
    require(std::ranges::all_of(factory, [](std::byte b) { return b == std::byte{0x5A}; }));
    if (!proceeded_) {
      require(board_.flash().counters().sectors_erased == 0 &&
              board_.flash().counters().bytes_programmed == 0);
    }
    if (board_.is_complete()) {
      for (const char* name : {"image-0.bin", "image-1.bin"}) {
        const auto& file = set().files().at(name);
        require(!std::ranges::search(board_.flash().bytes(), file).empty());
      }
    }
  }

 private:
  // What a host would do next.
  void answer(std::span<const std::byte> spoil) {
    const auto hit = [&](Bytes data) {
      for (std::size_t i = 0; i + 1 < spoil.size(); i += 2) {
        if (!data.empty()) {
          data[std::to_integer<std::size_t>(spoil[i]) % data.size()] ^= spoil[i + 1];
        }
      }
      return data;
    };
    const auto message = [&](v3::Type type, const Bytes& data) {
      Bytes step{std::byte{static_cast<std::uint8_t>(type)}};
      step.insert(step.end(), data.begin(), data.end());
      note_proceed(step);
      send(message_frame(++sequence_, step));
    };
    switch (last_) {
      case Asked::greeting:
        sequence_ = 0;
        return send(v2_frame(
            recovery::v2::Type::initialization_ack,
            hit(v3::write_choice(
                {.nonce = nonce_, .block = 1024, .window = 4, .rate = 115200, .log_level = 4}))));
      case Asked::status:
        return message(v3::Type::server_ready, hit({}));
      case Asked::file: {
        const auto& file = set().files().at(name_);
        const std::uint64_t length = file.size() - std::min<std::size_t>(offset_, file.size());
        message(v3::Type::image_request_ack,
                hit(v3::write_file_answer({.transfer = transfer_,
                                           .offset = offset_,
                                           .length = length,
                                           .size = file.size(),
                                           .wire_length = length,
                                           .block = 1024,
                                           .window = 4,
                                           .sha256 = crypto::sha256(file)})));
        const std::uint32_t transfer = transfer_;
        for (std::uint8_t i = 0; i < 6 && transfer == transfer_ && spoil.empty(); ++i) {
          send_block(std::array{std::byte{i}});
        }
        return;
      }
      case Asked::inventory:
        return message(v3::Type::proceed,
                       hit(v3::write_proceed({.manifest = set().config().manifest_sha256})));
      case Asked::complete:
        return message(v3::Type::reboot, hit({std::byte{0}}));
      case Asked::nothing:
        return fire();
    }
  }
  void send_block(std::span<const std::byte> bytes) {
    const std::uint32_t block = bytes.empty() ? 0 : std::to_integer<std::uint32_t>(bytes.front());
    const auto found = set().files().find(name_);
    Bytes data{bytes.begin(), bytes.end()};
    if (bytes.size() <= 1 && found != set().files().end()) {
      const auto file = std::span<const std::byte>{found->second};
      const std::size_t at =
          std::min<std::size_t>(offset_ + std::size_t{block} * 1024, file.size());
      const auto part = file.subspan(at, std::min<std::size_t>(1024, file.size() - at));
      data.assign(part.begin(), part.end());
    }
    Bytes wire;
    v3::append_data(transfer_, block, data, wire);
    send(wire);
  }
  void note_proceed(std::span<const std::byte> step) {
    if (!step.empty() && step.front() == std::byte{0xB0}) {
      const auto proceed = v3::parse_proceed(step.subspan(1));
      proceeded_ = proceeded_ || (proceed && proceed->manifest == set().config().manifest_sha256);
    }
  }

  void send(const Bytes& wire) { give(device::Received{wire}); }
  void fire() {
    if (deadline_) {
      now_ = std::max(now_, *std::exchange(deadline_, std::nullopt));
      give(device::TimerFired{});
    }
  }
  void give(const device::Input& input) {
    device::Actions actions;
    board_.take(input, now_, actions);
    Bytes sent;
    for (const auto& action : actions) {
      if (const auto* const arm = std::get_if<device::Arm>(&action)) {
        deadline_ = arm->deadline;
      } else if (std::holds_alternative<device::Disarm>(action)) {
        deadline_.reset();
      } else if (const auto* const send = std::get_if<device::Send>(&action)) {
        sent.insert(sent.end(), send->bytes.begin(), send->bytes.end());
      }
    }
    for_each_frame(sent, [&](std::span<const std::byte> inside) { see(inside); });
  }
  void see(std::span<const std::byte> inside) {
    const auto frame = v3::parse_frame(inside);
    if (!frame) {
      const auto greeting = recovery::v2::parse_message(inside);
      last_ = greeting && v3::parse_greeting(greeting->data) ? Asked::greeting : last_;
      return;
    }
    if (frame->kind != v3::Kind::message) {
      return;
    }
    const auto message = v3::parse_message(frame->payload);
    require(message.has_value());
    Bytes wire;
    v3::append_frame({.kind = v3::Kind::message_ack, .sequence = frame->sequence}, wire);
    const auto type = static_cast<v3::Type>(message->type);
    if (type == v3::Type::status_request) {
      last_ = Asked::status;
    } else if (type == v3::Type::inventory) {
      require(v3::parse_inventory(message->data).has_value());
      last_ = Asked::inventory;
    } else if (type == v3::Type::recovery_complete) {
      last_ = Asked::complete;
    } else if (type == v3::Type::recovery_error) {
      require(v3::parse_error(message->data).has_value());
      last_ = Asked::nothing;
    } else if (type == v3::Type::image_request_manifest ||
               type == v3::Type::image_request_by_filename) {
      const bool named = type == v3::Type::image_request_by_filename;
      const auto request = v3::parse_request(message->data, named);
      require(request.has_value());
      transfer_ = request->transfer;
      offset_ = static_cast<std::size_t>(request->offset);
      name_ = named ? std::string{request->name} : std::string{v3::kManifestFile};
      last_ = Asked::file;
    }
    send(wire);
  }

  enum class Asked : std::uint8_t { nothing, greeting, status, file, inventory, complete };
  v3::Nonce nonce_ = {};
  std::uint8_t sessions_ = 0;
  device::Time now_ = {};
  std::optional<device::Time> deadline_;
  std::uint32_t sequence_ = 0;
  std::uint32_t transfer_ = 0;
  std::size_t offset_ = 0;
  std::string name_;
  Asked last_ = Asked::nothing;
  bool proceeded_ = false;
  SphereV3Board board_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader reader{std::as_bytes(std::span{data, size})};
  HostileHost host;
  for (int i = 0; i < 100; ++i) {
    const auto step = next_v3_step(reader);
    if (!step) {
      break;
    }
    host.take(*step);
  }
  host.check();
  return 0;
}
