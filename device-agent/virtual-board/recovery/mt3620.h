// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/faults.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "sphere/image/trust.h"
#include "sphere/recovery/cobs.h"
#include "sphere/recovery/manifest_v3.h"
#include "sphere/recovery/v2_messages.h"
#include "sphere/recovery/xmodem.h"

namespace sphere::virtual_board {

// A virtual MT3620: boot ROM, first loader and runtime of recovery v2, with keys of the owner's in
// the place of Microsoft's. It refuses what the chip refuses: unsigned or changed files, wrong ids
// and sizes, with the device's own error codes. The code of the loaders is not run: once a loader
// is verified, the model goes on as it would. What the flash holds:
//
//   sector 0   boot record: "SPBR", u32 size and SHA-256 of the manifest; written last
//   sector 1   the manifest, in 8 sectors
//   sector 9   the images in the order of the manifest, each from a sector of its own
//
// Faults beside those of the wire: no-banner, hello-lost, nak=N@block=B, lie-offset=N, name=TEXT,
// slow-erase=MS, bad-sector=N, flip-flash=N (behind the board's back, before it reads back), and
// power-cut@block=N: power goes at the Nth time flash is changed.
class Mt3620 final : public DeviceSide {
 public:
  struct Config {
    image::TrustStore trust;
    std::array<std::byte, 64> device_id = {};
    std::size_t flash_size = 16 * 1024 * 1024;
    recovery::Time erase_time = std::chrono::seconds{18};  // Of the whole flash.
    std::uint32_t part = 20480;  // A file is asked for in parts: so much first, then the rest.
    std::vector<Fault> faults = {};
  };

  // Errors: invalid_argument for a fault that neither the wire nor this board has.
  [[nodiscard]] static Result<void> check_faults(std::span<const Fault> faults);

  explicit Mt3620(Config config);

  void take(const device::Input& input, device::Time now, device::Actions& actions) override;
  [[nodiscard]] Flash& flash() override { return flash_; }
  [[nodiscard]] bool is_complete() const override;

 private:
  enum class State : std::uint8_t {
    off,
    rom,        // Receives the first loader.
    greeting,   // Waits for InitializationAck.
    log_query,  // Of the first loader.
    capability,
    runtime,
    runtime_log,
    speed,
    status,
    erasing,
    manifest,
    image,
    quiet,  // Before it tells that it is done.
    complete,
    failed,
  };

  void on(const device::PowerOn& power);
  void on(const device::Received& received);
  void on(const device::ControlRequest& request);
  void on(const device::ReportOut& /*report*/) {}
  void on(const device::ModemLines& /*lines*/) {}
  void on(const device::TimerFired& timer);

  // Conversation.
  void ask(State state, recovery::v2::Type type, std::span<const std::byte> data);
  void ask_for(State state, const std::string& name, std::uint64_t offset, std::uint64_t most);
  void tell(recovery::v2::Type type, std::span<const std::byte> data);
  void event(recovery::v2::EventCode code);
  void error(std::uint16_t code);
  void say(std::string_view text);
  void take_message(const recovery::v2::Message& message);
  [[nodiscard]] bool take_setup_answer(recovery::v2::Type type, std::span<const std::byte> data);
  void take_speed_answer(std::span<const std::byte> data);
  void take_file_answer(std::span<const std::byte> data);
  void receive_file(std::uint64_t size);
  void file_step();

  // Steps.
  void file_complete();
  void first_loader_complete();
  void manifest_complete();
  void image_complete();
  void begin_erase();
  void erase_some();
  void next_image();
  void ask_for_image();
  void finish();
  void arm(recovery::Time after) { actions_->emplace_back(device::Arm{.deadline = now_ + after}); }

  [[nodiscard]] bool is_trusted(std::span<const std::byte> file) const;
  [[nodiscard]] std::optional<std::uint16_t> refuse_image(const recovery::ManifestV3::Entry& entry,
                                                          std::span<const std::byte> file) const;
  [[nodiscard]] bool program(std::size_t offset, std::span<const std::byte> bytes);
  [[nodiscard]] bool note(Flash::Access access, std::uint16_t code);
  [[nodiscard]] std::size_t image_offset(std::size_t index) const;
  [[nodiscard]] const Fault* fault(std::string_view kind) const;

  Config config_;
  Flash flash_;
  State state_ = State::off;
  recovery::Time now_ = {};
  device::Actions* actions_ = nullptr;

  recovery::CobsDecoder decoder_;
  std::vector<std::byte> question_;  // Sent again while there is no answer.
  std::uint32_t asked_ = 0;
  std::string wanted_name_;
  std::uint64_t wanted_offset_ = 0;

  std::optional<recovery::xmodem::Receiver> receiver_;
  std::vector<std::byte> file_;
  std::uint64_t file_size_ = 0;  // As the host announced it.
  std::uint64_t blocks_ = 0;     // Of all files.
  bool hello_lost_ = false;

  std::size_t erased_ = 0;
  std::vector<std::byte> manifest_bytes_;
  recovery::ManifestV3 manifest_;
  std::size_t image_ = 0;
};

}  // namespace sphere::virtual_board
