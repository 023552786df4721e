// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sphere/recovery/driver.h"
#include "sphere/recovery/xmodem.h"

namespace sphere::recovery {

// Sends a part of a file by XMODEM and gets its bytes by NeedFile, some blocks at once.
class FileSender {
 public:
  struct Part {
    std::string name;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t size = 0;  // Of the whole file.
    bool large_blocks = false;
  };

  explicit FileSender(Part part)
      : part_{std::move(part)},
        sender_{{.size = part_.length, .large_blocks = part_.large_blocks}} {}

  void start(Time now) { sender_.start(now); }
  // Returns the bytes taken.
  std::size_t receive(std::span<const std::byte> bytes, Time now, Actions& actions);
  void timer(Time now, Actions& actions);
  void file_data(const FileData& data, Time now, Actions& actions);

  [[nodiscard]] const Part& part() const { return part_; }
  [[nodiscard]] const xmodem::Sender& xmodem() const { return sender_; }
  [[nodiscard]] bool is_done() const { return sender_.state() == xmodem::Sender::State::done; }
  [[nodiscard]] bool has_failed() const { return sender_.state() == xmodem::Sender::State::failed; }

 private:
  void feed(Time now, Actions& actions);
  static void send(std::vector<std::byte> bytes, Actions& actions);

  Part part_;
  xmodem::Sender sender_;
  std::vector<std::byte> buffer_;
  std::uint64_t buffer_offset_ = 0;  // Within the part.
  bool asked_ = false;
  Tag tag_ = 0;
};

}  // namespace sphere::recovery
