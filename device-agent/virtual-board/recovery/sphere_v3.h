// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/faults.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/image/trust.h"
#include "sphere/recovery/cobs.h"
#include "sphere/recovery/manifest_v4.h"
#include "sphere/recovery/v3_link.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::virtual_board {

// A virtual board whose recovery loader speaks Sphere recovery v3 (docs/protocols/recovery-v3.md).
// The loader is there from the start: no chip's ROM is modelled in front of it. What flash holds,
// in sectors of 4096 bytes:
//
//   0        boot record: "SPB3", u32 size and SHA-256 of the manifest; written last
//   1..8     the manifest
//   9        journal: "SPJ3", SHA-256 of the manifest; from byte 64 one byte for each 64 KiB of
//            each image, 00 once written
//   10..15   factory: never touched
//   16..     the images; at the end apps and data, a sixteenth of the flash each
//
// Faults beside those of the wire: hello-lost, lie-size=N (of its flash), lie-offset=N, name=TEXT,
// no-credit=MS@block=N, slow-erase=MS (of the whole flash), bad-sector=N, flip-flash=N[@block=K]
// (behind the board's back, before it reads an image back; each time, or the Kth), and
// power-cut@block=N: power goes at the Nth time flash is changed.
class SphereV3Board final : public DeviceSide {
 public:
  static constexpr std::size_t kSector = 4096;
  static constexpr std::size_t kFirstImage = 16 * kSector;

  struct Config {
    image::TrustStore trust;
    std::shared_ptr<const crypto::PrivateKey> identity = {};  // Null: a board without one.
    std::string board_id = "sphere-virtual";
    std::uint32_t floor = 0;
    std::size_t flash_size = std::size_t{16} * 1024 * 1024;
    std::vector<std::uint32_t> rates = {115200, 921600, 3000000};  // Empty: no UART.
    std::uint16_t block = 16384;
    std::uint16_t window = 64;
    recovery::Time erase_time = std::chrono::seconds{18};  // Of the whole flash.
    std::vector<Fault> faults = {};
    bool power_returns = true;  // A second after power-cut; else with the next PowerOn.
    std::function<recovery::v3::Nonce()> nonce = {};  // Random ones when there is none.
  };

  // Errors: invalid_argument for a fault that neither the wire nor this board has.
  [[nodiscard]] static Result<void> check_faults(std::span<const Fault> faults);

  explicit SphereV3Board(Config config);

  void take(const device::Input& input, device::Time now, device::Actions& actions) override;
  [[nodiscard]] Flash& flash() override { return flash_; }
  [[nodiscard]] bool is_complete() const override;

 private:
  enum class State : std::uint8_t {
    off,
    announce,
    switching,
    manifest,
    inventory,
    erasing,
    fetching,
    done,
    error,
  };

  void on(const device::PowerOn& power);
  void on(const device::Received& received);
  void on(const device::ControlRequest& request);
  void on(const device::ReportOut& /*report*/) {}
  void on(const device::ModemLines& /*lines*/) {}
  void on(const device::TimerFired& /*timer*/);

  // Sessions.
  void announce();
  void say_hello();
  void take_frame(std::span<const std::byte> bytes);
  void take_choice(std::span<const std::byte> data);
  void take_v3(const recovery::v3::Frame& frame);
  void take_message(const recovery::v3::Message& message);
  void say_simulated();
  void take_request_error(std::span<const std::byte> data);
  void take_file_answer(std::span<const std::byte> data);
  void take_proceed(std::span<const std::byte> data);
  void take_reboot(std::span<const std::byte> data);
  void error(std::uint16_t code, std::string text = {});
  void go_to_error_state();
  void time_passed();
  void flush();

  void post(recovery::v3::Type type, std::span<const std::byte> data) {
    channel_.post(type, data, now_, wire_);
  }
  void event(recovery::v3::EventCode code);
  void progress(recovery::v3::Phase phase, std::uint64_t left, std::uint64_t all,
                recovery::Time next);

  // Files.
  void ask_for_manifest();
  void ask_for_image();
  void request(recovery::v3::Type type, const std::string& name, std::uint64_t offset);
  void take_bytes(std::uint64_t offset, std::span<const std::byte> bytes);
  void transfer_step();
  void manifest_complete();
  void image_complete();

  // Flash.
  [[nodiscard]] std::optional<std::uint16_t> judge_manifest(std::span<const std::byte> file,
                                                            recovery::ManifestV4& manifest) const;
  [[nodiscard]] std::optional<std::vector<std::size_t>> place(
      const recovery::ManifestV4& manifest) const;
  [[nodiscard]] recovery::v3::InventoryEntry look_at(std::size_t index) const;
  [[nodiscard]] std::span<const std::byte> image_bytes(std::size_t index) const;
  [[nodiscard]] std::size_t extents_done(std::size_t index) const;
  [[nodiscard]] std::size_t journal_index(std::size_t image) const;
  [[nodiscard]] bool journal_is_of(const crypto::Sha256Digest& manifest) const;
  [[nodiscard]] bool has_boot_record() const;
  void send_inventory();
  void begin_writing(bool keep_data);
  [[nodiscard]] bool write_heads();
  void queue_erase(std::size_t offset, std::size_t size);
  void erase_some();
  void next_image();
  void commit();
  void complete();
  [[nodiscard]] bool note(Flash::Access access, std::uint16_t code);
  [[nodiscard]] bool erase_now(std::size_t offset, std::size_t size);
  [[nodiscard]] bool program(std::size_t offset, std::span<const std::byte> bytes);
  [[nodiscard]] const Fault* fault(std::string_view kind) const;
  [[nodiscard]] std::size_t reserve_size() const { return flash_.size() / 16; }  // Apps; data.

  Config config_;
  Flash flash_;
  State state_ = State::off;
  recovery::Time now_ = {};
  device::Actions* actions_ = nullptr;
  std::vector<std::byte> wire_;
  std::optional<recovery::Time> deadline_;

  recovery::CobsDecoder decoder_;
  recovery::v3::Channel channel_;
  recovery::v3::Nonce nonce_ = {};
  recovery::v3::Choice choice_;
  std::uint16_t last_error_ = 0;
  bool hello_lost_ = false;

  std::uint32_t transfer_ = 0;
  std::string wanted_name_;
  std::uint64_t wanted_offset_ = 0;
  bool wants_answer_ = false;
  std::optional<recovery::v3::BlockReceiver> receiver_;
  std::uint64_t blocks_ = 0;  // Of all files.
  std::vector<std::byte> file_;

  std::vector<std::byte> manifest_bytes_;
  crypto::Sha256Digest manifest_hash_ = {};
  recovery::ManifestV4 manifest_;
  std::vector<std::size_t> offsets_;  // Of the images in flash.
  std::vector<std::size_t> to_write_;
  std::size_t current_ = 0;  // Index in to_write_.
  std::vector<std::uint64_t> resume_;
  std::set<std::size_t> retried_;
  std::vector<std::pair<std::size_t, std::size_t>> erase_queue_;
  std::uint64_t erase_left_ = 0;
  std::uint64_t erase_all_ = 0;
  recovery::Time told_ = {};
  bool failed_write_ = false;  // Within a transfer.
  std::uint32_t images_written_ = 0;
  std::uint64_t bytes_written_ = 0;
  std::uint64_t read_back_ = 0;
};

}  // namespace sphere::virtual_board
