// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "libsdk/src/recovery/boot_text.h"
#include "libsdk/src/recovery/file_sender.h"
#include "sphere/recovery/cobs.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/sphere_v2.h"
#include "sphere/recovery/v2_messages.h"

namespace sphere::recovery {

// See make_sphere_v2(). What comes in goes, by phase, to the lines of text, to the file that is
// being sent, or to the frames.
class SphereV2Client final : public Driver {
 public:
  explicit SphereV2Client(SphereV2Config config)
      : config_{std::move(config)}, decoder_{v2::kFrameLimit} {}

  void take(const Input& input, Time now, Actions& actions) override;

 private:
  enum class Phase : std::uint8_t {
    rom,        // Until its first `C`.
    good,       // Until `+GOOD`.
    boot,       // Until `[1BL] BOOT:`.
    greeting,   // Until the first Initialization.
    loading,    // The first loader's requests.
    switching,  // Until a message at the new speed.
    fallback,   // The same at the old speed.
    erasing,
    imaging,
    ended,
  };

  // Inputs.
  void on(const Start& start);
  void on(const Received& received);
  void on(const ReportIn& /*report*/) {}
  void on(const ControlReply& /*reply*/) {}
  void on(const Sent& sent);
  void on(const FileData& data);
  void on(const FileFailed& failed);
  void on(const TimerFired& timer);
  void on(const LinkLost& lost);
  void on(const LinkBack& /*back*/) {}
  void on(const Cancelled& cancelled);

  // Text.
  void enter();
  [[nodiscard]] std::size_t take_text(std::span<const std::byte> bytes);
  void take_rom_line(const std::string& line);
  void take_loader_line(const std::string& line);
  [[nodiscard]] bool is_text() const;

  // Files.
  void begin_file(const std::string& name, std::uint64_t offset, std::uint64_t length,
                  std::uint64_t size);
  [[nodiscard]] std::size_t take_for_file(std::span<const std::byte> bytes);
  void after_file_step();
  void file_sent();
  void tell_progress(bool force);

  // Messages.
  [[nodiscard]] std::size_t take_frames(std::span<const std::byte> bytes);
  void take_frame(std::span<const std::byte> frame);
  void take_message(const v2::Message& message);
  void take_initialization(std::span<const std::byte> data);
  void take_request(v2::Type type, std::span<const std::byte> data);
  void serve(const v2::FileRequest& request, const std::string& name);
  void refuse_request(std::uint16_t code, std::string_view why);
  void take_event(std::span<const std::byte> data);
  void take_error(std::span<const std::byte> data);
  void complete();
  void alive();

  // Ends.
  void limit_passed();
  void fail_with(Errc code, std::string_view reason, std::string message, std::string next);
  void finish(Outcome outcome);
  [[nodiscard]] std::string_view failure_reason() const;
  [[nodiscard]] std::string again() const;

  void send(v2::Type type, std::span<const std::byte> data, Tag drain_tag = 0);
  void set_line(std::uint32_t baud, bool flow, bool purge);
  void emit(Event event) { actions_->emplace_back(Emit{.event = std::move(event)}); }
  void wait(Time limit, std::string reason);
  void begin_step(Step step);
  [[nodiscard]] const SetFile* find_file(std::string_view name) const;
  [[nodiscard]] bool is_image(std::string_view name) const;

  SphereV2Config config_;
  Phase phase_ = Phase::rom;
  Time now_ = {};
  Actions* actions_ = nullptr;  // Of the call in progress.
  Time deadline_ = {};
  std::string reason_;

  std::uint32_t enter_tries_ = 0;
  BootText text_;
  bool saw_banner_ = false;
  std::string chip_;
  std::string heard_;  // The last lines that were no banner: for the message when it fails.
  std::string device_id_;

  std::optional<FileSender> file_;
  CobsDecoder decoder_;
  std::string last_request_;
  std::uint32_t same_requests_ = 0;
  std::uint64_t told_bytes_ = 0;

  std::optional<Step> step_;
  bool touched_ = false;
  bool cancel_asked_ = false;
  std::set<std::string, std::less<>> begun_images_;
  std::set<std::string, std::less<>> sent_images_;
  std::uint64_t sent_bytes_ = 0;
};

}  // namespace sphere::recovery
