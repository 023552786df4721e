// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/needed_range.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/firehose_xml.h"

namespace sphere::virtual_board {

struct EdlBoard {
  enum class Digests : std::uint8_t { in_log, in_attribute, none };

  std::optional<crypto::Sha256Digest> programmer = {};  // The only loader that it starts.
  bool loader_runs = false;                             // Begins in Firehose.
  bool wide = false;                                    // Reads with READ_DATA64.
  std::uint32_t payload = 1U << 20U;                    // A host that wants more is told this.
  Digests digests = Digests::in_log;
  std::vector<NeededRange> needed = {};

  // --- Faults. ---
  bool hello_lost = false;
  bool done_pending = false;   // Says that more images are to come.
  bool log_after = false;      // Logs come behind a response, in the same transfer.
  std::uint32_t lies_by = 0;   // Added to the offset of the second read.
  bool stalls_at_end = false;  // No answer behind the raw data.
};

// A Qualcomm chip in emergency download mode, as libsdk's client describes it: Sahara until a
// loader is there, then Firehose. A loader is an MBN image: a header of 40 bytes whose fifth word
// is the size of the rest. It is not run; this class does what one does. The flash is a block
// device whose sectors are Flash's. Known are configure, program, read, erase, patch, power,
// getsha256digest, setbootablestoragedrive and nop; a start sector and a patch's value may be
// numbers or NUM_DISK_SECTORS less a number. Other values, as CRC32(...), are refused.
class EdlDevice final : public DeviceSide {
 public:
  EdlDevice(EdlBoard board, Flash flash);

  void take(const device::Input& input, device::Time now, device::Actions& actions) override;
  [[nodiscard]] Flash& flash() override { return flash_; }
  [[nodiscard]] bool is_complete() const override { return holds(flash_, board_.needed); }

 private:
  enum class State : std::uint8_t { off, hello, header, body, ended, firehose, raw, booted };
  struct Range {
    std::size_t offset = 0;
    std::size_t size = 0;
  };

  // Sahara.
  void take_packets();
  void take_packet(std::uint32_t command, std::size_t length);
  [[nodiscard]] bool take_loader();
  void ask(std::size_t offset, std::size_t length);
  void end_image(std::uint32_t status);
  void send_packet(std::uint32_t command, std::span<const std::uint32_t> words);

  // Firehose.
  void start_loader();
  void take_documents();
  void run(const recovery::XmlElement& command);
  void configure(const recovery::XmlElement& command);
  void transfer(const recovery::XmlElement& command);
  void patch(const recovery::XmlElement& command);
  void digest(const Range& range);
  void take_raw();
  [[nodiscard]] std::optional<Range> range_of(const recovery::XmlElement& command) const;
  [[nodiscard]] std::optional<std::uint64_t> number_of(const recovery::XmlElement& command,
                                                       std::string_view name) const;
  [[nodiscard]] bool store(std::size_t offset, std::span<const std::byte> bytes);
  void respond(bool good, std::vector<std::pair<std::string_view, std::string>> more = {});
  void log(std::string_view text);
  void send(std::string_view text);

  EdlBoard board_;
  Flash flash_;
  State state_ = State::off;
  std::vector<std::byte> in_;
  std::vector<std::byte> loader_;
  std::size_t loader_size_ = 0;
  std::size_t asked_ = 0;
  unsigned reads_ = 0;
  Range raw_ = {};
  bool raw_good_ = false;
  device::Actions* actions_ = nullptr;  // Of the take() that runs.
};

}  // namespace sphere::virtual_board
