// SPDX-License-Identifier: MIT
#include "libsdk/src/image/package_stream.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "sphere/core/bytes.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/image/package.h"

namespace sphere::image {
namespace {

constexpr std::size_t kHashBlock = 64;  // Every piece but the last is a multiple of it.

}  // namespace

std::vector<std::byte> StreamBuffers::take() {
  if (free_.empty()) {
    return std::vector<std::byte>(kSize);
  }
  auto buffer = std::move(free_.back());
  free_.pop_back();
  return buffer;
}

void StreamBuffers::give_back(std::vector<std::byte> buffer) {
  if (buffer.size() == kSize) {
    free_.push_back(std::move(buffer));
  }
}

PackageStream::PackageStream(const Package& package, std::span<const std::byte> tail,
                             AtomicFile* output, StreamBuffers& buffers)
    : package_{&package}, tail_{tail}, output_{output}, buffers_{&buffers} {
  if (package.files.body != nullptr) {
    check_.emplace(package.files);
  }
}

PackageStream::~PackageStream() { buffers_->give_back(std::move(buffer_)); }

Result<std::span<const std::byte>> PackageStream::next() {
  if (is_done_) {
    buffers_->give_back(std::exchange(buffer_, {}));
    return std::span<const std::byte>{};
  }
  if (at_ == 0 && check_) {
    // What was parsed is what is hashed, whatever the source holds there by now.
    const auto& area = *package_->files.directory_area;
    at_ = area.size();
    return pass_on(area);
  }
  if (buffer_.empty()) {
    buffer_ = buffers_->take();
  }
  const auto left = package_->tail_offset() - at_;
  if (left >= buffer_.size()) {
    return body_piece(buffer_.size());
  }
  const auto whole = static_cast<std::size_t>(left - left % kHashBlock);
  return whole != 0 ? body_piece(whole) : last_piece();
}

Result<std::span<const std::byte>> PackageStream::body_piece(std::size_t size) {
  SPHERE_TRY_ASSIGN(const auto piece, package_->source->read(at_, std::span{buffer_}.first(size)));
  if (check_) {
    SPHERE_TRY(check_->update(piece));
  }
  at_ += size;
  return pass_on(piece);
}

// What of the body fills no block of the hash, and the metadata.
Result<std::span<const std::byte>> PackageStream::last_piece() {
  is_done_ = true;
  if (check_) {
    SPHERE_TRY(check_->finish());
  }
  const auto rest = static_cast<std::size_t>(package_->tail_offset() - at_);
  buffer_.resize(std::max(buffer_.size(), rest + tail_.size()));
  const auto piece = std::span{buffer_}.first(rest + tail_.size());
  if (rest != 0) {
    SPHERE_TRY_ASSIGN(const auto body, package_->source->read(at_, piece.first(rest)));
    copy_bytes(body, piece);
  }
  copy_bytes(tail_, piece.subspan(static_cast<std::size_t>(rest)));
  SPHERE_TRY(package_->source->check_unchanged());
  return pass_on(piece);
}

Result<std::span<const std::byte>> PackageStream::pass_on(std::span<const std::byte> piece) {
  if (output_ != nullptr) {
    SPHERE_TRY(output_->write(piece));
  }
  return piece;
}

}  // namespace sphere::image
