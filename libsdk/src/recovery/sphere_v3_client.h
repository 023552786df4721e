// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libsdk/src/recovery/turn.h"
#include "sphere/recovery/cobs.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/sphere_v3.h"
#include "sphere/recovery/v3_link.h"
#include "sphere/recovery/v3_messages.h"

namespace sphere::recovery {

// See make_sphere_v3().
//
//   phase      event                         next
//   greeting   Initialization                switching; the answer leaves at 115,200 baud
//   switching  a frame of v3                 session
//   switching  3 s pass                      greeting, with a lower rate
//   session    RecoveryComplete              rebooting
//   session    silence, restart, code 50...  greeting; at most 5 times
//   rebooting  Reboot is acknowledged, 2 s   ended
class SphereV3Client final : public Driver {
 public:
  explicit SphereV3Client(SphereV3Config config)
      : config_{std::move(config)}, decoder_{v3::kFrameLimit}, fastest_{config_.fastest} {}

  void take(const Input& input, Time now, Actions& actions) override;

 private:
  enum class Phase : std::uint8_t { greeting, switching, session, rebooting };
  // A file that the board asked for.
  struct Serving {
    std::string name;
    std::uint64_t offset = 0;
    std::optional<std::size_t> image;  // Index in the manifest.
    v3::BlockSender sender;
    std::uint16_t block = 0;
    bool started = false;
    std::optional<v3::BlockSender::Run> asked = {};  // Being read.
    Tag tag = 0;
    std::uint64_t told = 0;
  };
  struct Source {  // A file that may be asked for.
    std::string name;
    std::uint64_t size = 0;
    crypto::Sha256Digest sha256 = {};
    std::optional<std::size_t> image = {};
  };

  // Inputs.
  void on(const Start& /*start*/) { enter(); }
  void on(const Received& received);
  void on(const ReportIn& /*report*/) {}
  void on(const ControlReply& /*reply*/) {}
  void on(const Sent& sent);
  void on(const FileData& data);
  void on(const FileFailed& failed);
  void on(const TimerFired& /*timer*/);
  void on(const LinkLost& /*lost*/) { run_.lose(*turn_, step_); }
  void on(const LinkBack& /*back*/) {}
  void on(const Cancelled& /*cancelled*/);

  // Sessions.
  void enter();
  void restart(std::string_view why);
  void take_frame(std::span<const std::byte> bytes);
  void take_greeting(std::span<const std::byte> data);
  [[nodiscard]] bool suits(const v3::Greeting& greeting);
  void answer(const v3::Greeting& greeting);
  void take_v3(const v3::Frame& frame);
  void greeting_limit();

  // Messages.
  void take_message(const v3::Message& message);
  void take_request(v3::Type type, std::span<const std::byte> data);
  void serve(const v3::Request& request, const Source& source);
  void refuse_request(std::uint32_t transfer, std::uint16_t code, const std::string& why);
  [[nodiscard]] std::optional<Source> find_source(v3::Type type, std::string_view name) const;
  void take_progress(std::span<const std::byte> data);
  void take_event(std::span<const std::byte> data);
  void take_error(std::span<const std::byte> data);
  void take_inventory(std::span<const std::byte> data);
  void take_verified(std::span<const std::byte> data);
  void take_completion(std::span<const std::byte> data);
  void judge(const v3::Completion& completion);
  void malformed(std::string_view what, std::span<const std::byte> data);

  void post(v3::Type type, std::span<const std::byte> data) {
    channel_.post(type, data, turn_->now(), wire_);
  }
  void read_blocks();
  void tell_progress(bool force);
  void begin_step(Step step);
  void set_line(std::uint32_t baud, bool purge);
  void wait(Time limit, std::string_view reason);
  void flush();
  void ask_for_bytes(const Input& input);
  void arm();
  void finish();

  SphereV3Config config_;
  Run run_;
  Turn* turn_ = nullptr;  // Of the call in progress.
  Phase phase_ = Phase::greeting;
  Step step_ = Step::find;
  bool any_step_ = false;
  std::vector<std::byte> wire_;  // To be sent at the end of this call.
  Tag drain_ = 0;                // Of it.

  CobsDecoder decoder_;
  v3::Channel channel_;
  std::optional<Serving> serving_;
  Tag file_tag_ = 0;

  Time deadline_ = {};
  std::string reason_;
  std::uint32_t enter_tries_ = 0;
  std::uint32_t restarts_ = 0;
  std::uint32_t fastest_;
  bool identified_ = false;
  bool cancel_asked_ = false;

  v3::Greeting greeting_;
  v3::Choice choice_;
  Time promise_ = {};  // The board's next message.
  std::uint32_t transfer_ = 0;
  std::string last_request_;
  std::uint32_t same_requests_ = 0;

  std::uint64_t total_bytes_ = 0;  // That are to be written.
  std::uint64_t sent_bytes_ = 0;
  std::set<std::size_t> good_images_;  // As the board has read them.
  std::set<std::size_t> begun_images_;
};

}  // namespace sphere::recovery
