// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/dfu.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/turn.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;

constexpr Time kTransferLimit = 5s;
constexpr Time kOperationLimit = 300s;
constexpr Time kReturnLimit = 10s;
constexpr unsigned kStatusSize = 6;
constexpr std::uint16_t kSeFirstBlock = 2;
constexpr Tag kFileTag = 0xFFFFFFFF;

enum Request : std::uint8_t {
  detach = 0,
  download = 1,
  upload = 2,
  get_status = 3,
  clear_status = 4,
  abort_transfer = 6,
};

enum class State : std::uint8_t {
  app_idle,
  app_detach,
  idle,
  download_sync,
  download_busy,
  download_idle,
  manifest_sync,
  manifest,
  manifest_wait_reset,
  upload_idle,
  error,
};

std::string_view status_text(unsigned status) {
  switch (status) {
    case 0x01:
      return "the file is not for this device";
    case 0x02:
      return "the file fails a check of the device";
    case 0x03:
      return "memory cannot be written";
    case 0x04:
      return "memory cannot be erased";
    case 0x05:
      return "memory is not erased";
    case 0x06:
      return "programming memory failed";
    case 0x07:
      return "what was programmed reads back differently";
    case 0x08:
      return "an address outside the memory";
    case 0x09:
      return "the file is not complete";
    case 0x0A:
      return "the firmware is damaged";
    case 0x0B:
      return "an error of the vendor's own";
    case 0x0F:
      return "a request that was not expected";
    default:
      return "an unknown error";
  }
}

class Dfu final : public Driver {
 public:
  explicit Dfu(DfuPlan plan) : plan_{std::move(plan)} {}

  void take(const Input& input, Time now, Actions& actions) override;

 private:
  // What is being done; after each transfer the device is asked for its status.
  enum class Task : std::uint8_t {
    detach,       // Away from the firmware.
    settle,       // To dfuIDLE, before `after_`.
    point,        // DfuSe: the pointer is set for reading, then `settle`.
    read,         // UPLOAD of a block.
    erase,        // DfuSe: a page or all.
    point_write,  // DfuSe: the pointer is set for writing.
    write,        // DNLOAD of a block.
    point_leave,  // DfuSe: the pointer is set to what is to be started.
    manifest,     // The empty DNLOAD.
  };

  // What is done once the device is idle.
  enum class After : std::uint8_t { identify, write, verify, leave, give_up };

  void transfer(Turn& turn, Request request, std::uint16_t value, std::span<const std::byte> bytes);
  void request_in(Turn& turn, Request request, std::uint16_t value, std::uint16_t length);
  void ask_status(Turn& turn);
  void operation(Turn& turn, Task task, std::string reason);
  void se_command(Turn& turn, Task task, std::byte command, std::uint32_t address);
  void take_reply(Turn& turn, const ControlReply& reply);
  void take_status(Turn& turn, std::span<const std::byte> bytes);
  void react(Turn& turn, State state);
  void settle(Turn& turn, State state);
  void settle_then(Turn& turn, After after, std::string reason);
  void idle(Turn& turn);
  void device_error(Turn& turn, unsigned status);
  void timed_out(Turn& turn);

  void begin_read(Turn& turn);
  void read_next(Turn& turn);
  void take_read(Turn& turn, std::span<const std::byte> bytes);
  void read_done(Turn& turn, bool equal);
  void begin_write(Turn& turn);
  void erase_next(Turn& turn);
  void write_from_start(Turn& turn);
  void write_next(Turn& turn);
  void take_file(Turn& turn, const FileData& file);
  void written(Turn& turn);
  void begin_leave(Turn& turn);
  void manifested(Turn& turn, bool can_be_read);
  void finish_unverified(Turn& turn);
  [[nodiscard]] bool is_se() const { return plan_.descriptor.version == kDfuSe; }
  [[nodiscard]] std::size_t piece() const {
    return static_cast<std::size_t>(
        std::min<std::uint64_t>(plan_.descriptor.transfer_size, plan_.size - offset_));
  }
  [[nodiscard]] std::uint16_t block() const {
    const auto number = static_cast<std::uint16_t>(offset_ / plan_.descriptor.transfer_size);
    return static_cast<std::uint16_t>(number + (is_se() ? kSeFirstBlock : 0));
  }
  [[nodiscard]] Step step() const;

  DfuPlan plan_;
  Run run_;
  Task task_ = Task::settle;
  After after_ = After::identify;
  bool writing_done_ = false;
  bool errors_cleared_ = false;
  bool asks_status_ = false;  // The transfer in work is GETSTATUS.
  bool waits_ = false;        // For the poll time.
  unsigned clearings_ = 0;
  unsigned aborts_ = 0;
  Tag tag_ = 0;
  std::string reason_;
  Time operation_end_ = {};
  std::uint64_t offset_ = 0;
  std::vector<std::byte> read_;
  std::vector<std::uint32_t> erases_;
  std::size_t erased_ = 0;
};

void Dfu::take(const Input& input, Time now, Actions& actions) {
  if (run_.is_over()) {
    return;
  }
  Turn turn{now, actions};
  std::visit(Overloaded{[&](const Start&) {
                          turn.begin(plan_.is_running ? Step::enter : Step::identify);
                          if (plan_.is_running) {
                            operation(turn, Task::detach, "leaving the firmware");
                            transfer(turn, detach, plan_.descriptor.detach_ms, {});
                          } else {
                            settle_then(turn, After::identify, "asking the board for its state");
                          }
                        },
                        [&](const ControlReply& reply) { take_reply(turn, reply); },
                        [&](const FileData& file) { take_file(turn, file); },
                        [&](const FileFailed& failed) { run_.fail(turn, failed.error); },
                        [&](const TimerFired&) { timed_out(turn); },
                        [&](const LinkLost&) {
                          if (task_ == Task::manifest) {
                            manifested(turn, false);
                          } else if (task_ != Task::detach) {
                            run_.lose(turn, step());
                          }
                        },
                        [&](const LinkBack&) {
                          if (task_ == Task::detach) {
                            turn.begin(Step::identify);
                            settle_then(turn, After::identify, "asking the board for its state");
                          }
                        },
                        [&](const Cancelled&) { run_.cancel(turn, step()); }, [](const auto&) {}},
             input);
}

Step Dfu::step() const {
  switch (task_) {
    case Task::detach:
      return Step::enter;
    case Task::erase:
      return Step::erase;
    case Task::write:
    case Task::point_write:
      return Step::write;
    case Task::point:
    case Task::read:
      return writing_done_ ? Step::verify : Step::inventory;
    case Task::point_leave:
    case Task::manifest:
      return is_se() ? Step::reboot : Step::write;
    default:
      return Step::identify;
  }
}

// --- Transfers. ---

void Dfu::transfer(Turn& turn, Request request, std::uint16_t value,
                   std::span<const std::byte> bytes) {
  asks_status_ = false;
  waits_ = false;
  turn.control({.request_type = 0x21,
                .request = request,
                .value = value,
                .index = plan_.interface,
                .length = static_cast<std::uint16_t>(bytes.size())},
               bytes, ++tag_);
  turn.arm(kTransferLimit, reason_);
}

void Dfu::request_in(Turn& turn, Request request, std::uint16_t value, std::uint16_t length) {
  asks_status_ = request == get_status;
  waits_ = false;
  turn.control({.request_type = 0xA1,
                .request = request,
                .value = value,
                .index = plan_.interface,
                .length = length},
               {}, ++tag_);
  turn.arm(kTransferLimit, reason_);
}

void Dfu::ask_status(Turn& turn) { request_in(turn, get_status, 0, kStatusSize); }

void Dfu::operation(Turn& turn, Task task, std::string reason) {
  task_ = task;
  reason_ = std::move(reason);
  operation_end_ = turn.now() + kOperationLimit;
}

void Dfu::se_command(Turn& turn, Task task, std::byte command, std::uint32_t address) {
  operation(turn, task,
            task == Task::erase ? "waiting for the flash to be erased" : "setting the address");
  std::vector<std::byte> bytes = {command};
  for (unsigned shift = 0; shift < 32; shift += 8) {
    bytes.push_back(static_cast<std::byte>((address >> shift) & 0xFFU));
  }
  transfer(turn, download, 0, bytes);
}

void Dfu::take_reply(Turn& turn, const ControlReply& reply) {
  if (reply.tag != tag_ || waits_) {
    return;
  }
  if (reply.result == UsbResult::gone) {
    if (task_ == Task::manifest) {
      manifested(turn, false);
    } else if (task_ == Task::detach) {
      turn.arm(kReturnLimit, "waiting for the board to come back in DFU mode");
    } else {
      run_.lose(turn, step());
    }
    return;
  }
  if (reply.result == UsbResult::timeout) {
    timed_out(turn);
  } else if (task_ == Task::detach) {
    turn.add(ExpectReenumeration{.vendor = {},
                                 .product = {},
                                 .within = kReturnLimit,
                                 .reset = !plan_.descriptor.will_detach});
    turn.arm(kReturnLimit, "waiting for the board to come back in DFU mode");
  } else if (asks_status_) {
    take_status(turn, reply.result == UsbResult::ok ? reply.bytes : std::span<const std::byte>{});
  } else if (reply.result == UsbResult::ok && task_ == Task::read) {
    take_read(turn, reply.bytes);
  } else {
    // A stall is told by the status, too.
    ask_status(turn);
  }
}

void Dfu::take_status(Turn& turn, std::span<const std::byte> bytes) {
  Reader reader{bytes};
  const auto status = reader.little_endian<std::uint8_t>();
  const auto low = reader.little_endian<std::uint16_t>();
  const auto high = reader.little_endian<std::uint8_t>();
  const auto state = reader.little_endian<std::uint8_t>();
  if (!status || !low || !high || !state || *state > static_cast<unsigned>(State::error)) {
    run_.fail(turn, Errc::corrupt, "no DFU status: " + show_bytes(bytes));
    return;
  }
  const Time poll = std::chrono::milliseconds{*low | static_cast<unsigned>(*high) << 16U};
  const auto now = static_cast<State>(*state);
  const bool busy = now == State::download_busy || now == State::download_sync ||
                    now == State::manifest || now == State::manifest_sync;
  if (*status != 0 || now == State::error) {
    device_error(turn, *status);
  } else if (is_se() && task_ == Task::manifest) {
    run_.finish(turn);  // It is about to leave.
  } else if (busy && turn.now() + poll > operation_end_) {
    run_.fail(turn, Errc::timeout,
              fmt::format("the board asks to wait {} ms at step {}", poll / 1ms, to_text(step())));
  } else if (busy) {
    waits_ = true;
    // A board that names no time is not asked without a pause.
    turn.arm(std::max<Time>(poll, 1ms), reason_);
  } else {
    react(turn, now);
  }
}

void Dfu::device_error(Turn& turn, unsigned status) {
  constexpr unsigned kClearings = 3;
  if (is_se() && (task_ == Task::point_leave || task_ == Task::manifest)) {
    turn.emit(Warning{.code = "recovery.boot",
                      .text = "the board does not start what was written by itself",
                      .next = "disconnect it and connect it again"});
    run_.finish(turn);
    return;
  }
  if (task_ != Task::settle && std::exchange(errors_cleared_, true)) {
    run_.fail(
        turn, Errc::io,
        fmt::format("the board reports at step {}: {}", to_text(step()), status_text(status)));
    return;
  }
  if (++clearings_ > kClearings) {
    run_.fail(turn, Errc::io,
              fmt::format("the board stays in its error state: {}", status_text(status)));
    return;
  }
  if (task_ != Task::settle) {
    turn.emit(Retry{.what = std::string{to_text(step())},
                    .attempt = 1,
                    .of = 1,
                    .why = std::string{status_text(status)}});
    writing_done_ = false;
    after_ = plan_.verify_only ? After::give_up : After::write;
    aborts_ = 0;
    operation(turn, Task::settle, "clearing an error of the board");
  }
  transfer(turn, clear_status, 0, {});
}

void Dfu::timed_out(Turn& turn) {
  if (waits_) {
    ask_status(turn);
    return;
  }
  run_.fail(turn, Errc::timeout,
            fmt::format("the board does not answer at step {} ({})", to_text(step()), reason_));
}

// The device is ready for more.
void Dfu::react(Turn& turn, State state) {
  switch (task_) {
    case Task::settle:
    case Task::point:
      settle(turn, state);
      break;
    case Task::read:
      // The last block was refused without an error.
      read_done(turn, false);
      break;
    case Task::erase:
      erase_next(turn);
      break;
    case Task::point_write:
      write_next(turn);
      break;
    case Task::write:
      if (state != State::download_idle) {
        run_.fail(turn, Errc::io, "the board took a block and is not ready for the next");
        return;
      }
      offset_ += piece();
      turn.emit(Progress{.step = Step::write,
                         .image = plan_.file,
                         .image_index = 1,
                         .images = 1,
                         .bytes_done = offset_,
                         .bytes_total = plan_.size});
      write_next(turn);
      break;
    case Task::point_leave:
      operation(turn, Task::manifest, "starting what was written");
      transfer(turn, download, 0, {});
      break;
    case Task::manifest:
      manifested(turn, state == State::idle);
      break;
    default:
      break;
  }
}

void Dfu::settle_then(Turn& turn, After after, std::string reason) {
  after_ = after;
  aborts_ = 0;
  operation(turn, Task::settle, std::move(reason));
  ask_status(turn);
}

void Dfu::settle(Turn& turn, State state) {
  constexpr unsigned kAborts = 3;
  if (state == State::app_idle || state == State::app_detach) {
    run_.fail(turn, Errc::unavailable, "the board runs its firmware and is not in DFU mode");
  } else if (state != State::idle && ++aborts_ > kAborts) {
    run_.fail(turn, Errc::io,
              fmt::format("the board stays in state {} whatever it is told",
                          static_cast<unsigned>(state)));
  } else if (state != State::idle) {
    transfer(turn, abort_transfer, 0, {});
  } else if (task_ == Task::point) {
    task_ = Task::read;
    read_next(turn);
  } else {
    idle(turn);
  }
}

void Dfu::idle(Turn& turn) {
  switch (after_) {
    case After::identify:
      if (plan_.descriptor.can_upload && (plan_.verify_only || !plan_.write_all)) {
        turn.begin(Step::inventory);
        begin_read(turn);
      } else if (plan_.verify_only) {
        finish_unverified(turn);
      } else {
        begin_write(turn);
      }
      break;
    case After::write:
      begin_write(turn);
      break;
    case After::verify:
      begin_read(turn);
      break;
    case After::leave:
      begin_leave(turn);
      break;
    case After::give_up:
      finish_unverified(turn);
      break;
  }
}

// --- Reading and comparing. ---

void Dfu::begin_read(Turn& turn) {
  offset_ = 0;
  if (is_se()) {
    constexpr std::byte kSetPointer{0x21};
    se_command(turn, Task::point, kSetPointer, plan_.address);
    return;
  }
  operation(turn, Task::read, "reading back");
  read_next(turn);
}

void Dfu::read_next(Turn& turn) {
  operation(turn, Task::read, "reading back");
  // The transfer size, not less: a short answer is how a device ends what it has.
  request_in(turn, upload, block(), plan_.descriptor.transfer_size);
}

void Dfu::take_read(Turn& turn, std::span<const std::byte> bytes) {
  if (bytes.size() < piece()) {
    read_done(turn, false);
    return;
  }
  read_.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(piece()));
  turn.need(plan_.file, offset_, piece(), kFileTag);
  turn.arm(kOperationLimit, "waiting for " + plan_.file);
  waits_ = false;
}

void Dfu::read_done(Turn& turn, bool equal) {
  auto& outcome = run_.outcome;
  if (!equal && writing_done_) {
    run_.fail(turn, Errc::unverified, plan_.file + " differs from what the board holds",
              "recovery.verify");
  } else if (!equal && plan_.verify_only) {
    run_.fail(turn, Errc::unverified, plan_.file + " differs from what the board holds",
              "recovery.verify");
  } else if (!equal) {
    settle_then(turn, After::write, "ending the reading");
  } else {
    outcome.written = Verdict::yes;
    outcome.verified = Verdict::yes;
    outcome.images_skipped = writing_done_ ? 0 : 1;
    if (plan_.verify_only) {
      run_.finish(turn);
    } else {
      settle_then(turn, After::leave, "ending the reading");
    }
  }
}

// --- Writing. ---

void Dfu::begin_write(Turn& turn) {
  run_.outcome.flash_touched = true;
  erases_.clear();
  erased_ = 0;
  if (!is_se()) {
    write_from_start(turn);
    return;
  }
  turn.begin(Step::erase);
  for (const DfuPage& page : plan_.pages) {
    if (std::uint64_t{page.address} + page.size > plan_.address &&
        page.address < plan_.address + plan_.size) {
      erases_.push_back(page.address);
    }
  }
  if (erases_.empty()) {
    operation(turn, Task::erase, "waiting for the flash to be erased");
    static constexpr std::byte kMassErase{0x41};
    transfer(turn, download, 0, std::span{&kMassErase, 1});
    return;
  }
  erase_next(turn);
}

void Dfu::erase_next(Turn& turn) {
  if (erased_ == erases_.size()) {
    write_from_start(turn);
    return;
  }
  constexpr std::byte kErasePage{0x41};
  se_command(turn, Task::erase, kErasePage, erases_[erased_++]);
}

void Dfu::write_from_start(Turn& turn) {
  turn.begin(Step::write);
  offset_ = 0;
  if (is_se()) {
    constexpr std::byte kSetPointer{0x21};
    se_command(turn, Task::point_write, kSetPointer, plan_.address);
  } else {
    write_next(turn);
  }
}

void Dfu::write_next(Turn& turn) {
  operation(turn, Task::write, "waiting for the flash");
  if (offset_ == plan_.size) {
    written(turn);
    return;
  }
  turn.need(plan_.file, offset_, piece(), kFileTag);
  turn.arm(kOperationLimit, "waiting for " + plan_.file);
}

void Dfu::take_file(Turn& turn, const FileData& file) {
  if (file.tag != kFileTag || file.bytes.size() != piece()) {
    run_.fail(turn, Errc::io, "reading " + plan_.file + " gave a wrong number of bytes");
  } else if (task_ == Task::write) {
    transfer(turn, download, block(), file.bytes);
  } else if (!std::equal(read_.begin(), read_.end(), file.bytes.begin(), file.bytes.end())) {
    read_done(turn, false);
  } else {
    offset_ += piece();
    offset_ == plan_.size ? read_done(turn, true) : read_next(turn);
  }
}

void Dfu::written(Turn& turn) {
  run_.outcome.images_written = 1;
  run_.outcome.bytes_written = plan_.size;
  writing_done_ = true;
  if (!is_se()) {
    // Behind the empty block the device makes the file its firmware.
    operation(turn, Task::manifest, "waiting for the board to take the file over");
    transfer(turn, download, block(), {});
    return;
  }
  run_.outcome.written = Verdict::yes;
  if (plan_.descriptor.can_upload) {
    turn.begin(Step::verify);
    settle_then(turn, After::verify, "reading back");
  } else {
    run_.outcome.verified = Verdict::unknown;
    run_.outcome.not_verified = "the board cannot be read";
    settle_then(turn, After::leave, "ending the writing");
  }
}

// Starts the firmware, as far as the protocol has a way.
void Dfu::begin_leave(Turn& turn) {
  if (!is_se()) {
    turn.begin(Step::reboot);
    turn.add(
        ExpectReenumeration{.vendor = {}, .product = {}, .within = kReturnLimit, .reset = true});
    run_.finish(turn);
    return;
  }
  turn.begin(Step::reboot);
  constexpr std::byte kSetPointer{0x21};
  se_command(turn, Task::point_leave, kSetPointer, plan_.address);
}

void Dfu::manifested(Turn& turn, bool can_be_read) {
  auto& outcome = run_.outcome;
  if (is_se()) {
    run_.finish(turn);
    return;
  }
  outcome.written = Verdict::yes;
  if (can_be_read && plan_.descriptor.can_upload) {
    turn.begin(Step::verify);
    settle_then(turn, After::verify, "reading back");
    return;
  }
  outcome.verified = Verdict::unknown;
  outcome.not_verified = "the board cannot be read once it has taken the file over";
  turn.begin(Step::reboot);
  turn.add(ExpectReenumeration{
      .vendor = {}, .product = {}, .within = kReturnLimit, .reset = !plan_.descriptor.will_detach});
  run_.finish(turn);
}

void Dfu::finish_unverified(Turn& turn) {
  run_.outcome.written = Verdict::unknown;
  run_.outcome.verified = Verdict::unknown;
  run_.outcome.not_verified = "the board cannot be read";
  run_.finish(turn);
}

Result<void> check(const DfuPlan& plan) {
  if (!plan.descriptor.can_download || plan.descriptor.transfer_size == 0) {
    return fail(Errc::unsupported, "the board takes no download", {.reason = "recovery.no-loader"});
  }
  const bool se = plan.descriptor.version == kDfuSe;
  constexpr std::uint64_t kEnd = std::uint64_t{1} << 32U;
  if (plan.size == 0 || (se && plan.size > kEnd - plan.address)) {
    return fail(Errc::invalid_argument, "no bytes for this memory: " + plan.file,
                {.reason = "recovery.image-refused"});
  }
  // Blocks of DfuSe do not wrap: each is an address.
  if (se && plan.size / plan.descriptor.transfer_size >= 65'536 - kSeFirstBlock) {
    return fail(Errc::invalid_argument, "too many blocks for DfuSe: " + plan.file,
                {.reason = "recovery.image-refused"});
  }
  if (se && !plan.pages.empty()) {
    std::uint64_t covered = plan.address;
    for (const DfuPage& page : plan.pages) {
      const bool next =
          page.address <= covered && covered < std::uint64_t{page.address} + page.size;
      covered = next && page.can_erase ? std::uint64_t{page.address} + page.size : covered;
    }
    if (covered < plan.address + plan.size) {
      return fail(Errc::invalid_argument,
                  fmt::format("{} does not lie in pages that can be written", plan.file),
                  {.reason = "recovery.image-refused"});
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Driver>> make_dfu(DfuPlan plan) {
  SPHERE_TRY(check(plan));
  return std::make_unique<Dfu>(std::move(plan));
}

}  // namespace sphere::recovery
