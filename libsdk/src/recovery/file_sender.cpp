// SPDX-License-Identifier: MIT
#include "libsdk/src/recovery/file_sender.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sphere/recovery/driver.h"

namespace sphere::recovery {

namespace {

constexpr std::uint64_t kPiece = 32 * 1024;

}  // namespace

void FileSender::send(std::vector<std::byte> bytes, Actions& actions) {
  if (!bytes.empty()) {
    actions.emplace_back(Send{.bytes = std::move(bytes)});
  }
}

// Supplies the block that is wanted, or asks for its piece of the file.
void FileSender::feed(Time now, Actions& actions) {
  const auto range = sender_.wanted();
  if (!range || asked_) {
    return;
  }
  if (range->offset >= buffer_offset_ &&
      range->offset + range->length <= buffer_offset_ + buffer_.size()) {
    std::vector<std::byte> out;
    const auto at = static_cast<std::size_t>(range->offset - buffer_offset_);
    sender_.supply(std::span{buffer_}.subspan(at, range->length), now, out);
    send(std::move(out), actions);
    return;
  }
  asked_ = true;
  buffer_offset_ = range->offset;
  actions.emplace_back(NeedFile{.name = part_.name,
                                .offset = part_.offset + range->offset,
                                .length = std::min(kPiece, part_.length - range->offset),
                                .tag = ++tag_});
}

std::size_t FileSender::receive(std::span<const std::byte> bytes, Time now, Actions& actions) {
  std::vector<std::byte> out;
  const std::size_t taken = sender_.receive(bytes, now, out);
  send(std::move(out), actions);
  feed(now, actions);
  return taken;
}

void FileSender::timer(Time now, Actions& actions) {
  std::vector<std::byte> out;
  sender_.timer(now, out);
  send(std::move(out), actions);
  feed(now, actions);
}

void FileSender::file_data(const FileData& data, Time now, Actions& actions) {
  const std::uint64_t wanted = std::min(kPiece, part_.length - buffer_offset_);
  if (!asked_ || data.tag != tag_ || data.bytes.size() != wanted) {
    return;
  }
  asked_ = false;
  buffer_.assign(data.bytes.begin(), data.bytes.end());
  feed(now, actions);
}

}  // namespace sphere::recovery
