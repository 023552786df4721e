// SPDX-License-Identifier: MIT
#include "libsdk/src/image/directory_leaves.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "libsdk/src/image/asxipfs_layout.h"
#include "libsdk/src/image/asxipfs_plan.h"
#include "libsdk/src/image/crc32.h"
#include "libsdk/src/image/merkle_levels.h"
#include "libsdk/src/image/package_directory.h"
#include "sphere/core/bytes.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/merkle.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t kRun = kRunBlocks * kMerkleBlockSize;
constexpr std::size_t kFront = 2 * kRun;  // One group of the tree.

}  // namespace

DirectoryLeaves::DirectoryLeaves(DirectoryInput input)
    : input_{std::move(input)}, digests_(input_.files.size()), buffers_(input_.workers) {
  find_parts();
  if (input_.keep_leaves) {
    kept_.resize(input_.body_size / kMerkleBlockSize);
  }
  for (std::size_t i = 0; i < digests_.size(); ++i) {
    if (input_.files[i].known != nullptr) {
      digests_[i] = input_.files[i].known->digest;
    } else if (input_.files[i].size == 0) {
      digests_[i] = crypto::sha256({});
    }
  }
}

// Cuts the directory area and the pages of each file at the borders of runs.
void DirectoryLeaves::find_parts() {
  const auto cut = [this](std::size_t file, std::uint64_t offset, std::size_t size) {
    std::uint64_t in_file = 0;
    while (in_file < size) {
      const auto to_border = static_cast<std::size_t>(kRun - ((offset + in_file) % kRun));
      const auto content = std::min(to_border, size - static_cast<std::size_t>(in_file));
      parts_.push_back({.file = file,
                        .offset = offset + in_file,
                        .size = round_up(content, kPageSize),
                        .in_file = in_file,
                        .content = content});
      in_file += content;
    }
    if (file != kDirectories && !parts_.empty() && parts_.back().file == file &&
        parts_.back().in_file != 0 && input_.files[file].known == nullptr) {
      straddlers_.emplace(file, std::make_unique<Straddler>());
    }
  };
  cut(kDirectories, 0, input_.head.size());
  for (std::size_t i = 0; i < input_.files.size(); ++i) {
    cut(i, input_.files[i].offset, input_.files[i].size);
  }
}

std::span<const DirectoryLeaves::Part> DirectoryLeaves::parts_of(std::uint64_t offset,
                                                                 std::size_t size) const {
  const auto begin = std::ranges::lower_bound(parts_, offset, {}, &Part::offset);
  const auto end = std::ranges::lower_bound(parts_, offset + size, {}, &Part::offset);
  return {begin, end};
}

const FileFacts* DirectoryLeaves::known(const Part& part) const {
  return part.file == kDirectories ? nullptr : input_.files[part.file].known;
}

Result<void> DirectoryLeaves::prepare() {
  front_.resize(std::min(kFront, input_.body_size));
  const std::span all{front_};
  for (std::size_t offset = 0; offset < all.size(); offset += kRun) {
    const auto run = all.subspan(offset, std::min(kRun, all.size() - offset));
    SPHERE_TRY(take_run(run, parts_of(offset, run.size())));
  }
  return {};
}

// Reads one run and takes from it what goes over a whole file or body.
Result<void> DirectoryLeaves::take_run(std::span<std::byte> run, std::span<const Part> parts) {
  SPHERE_TRY(load(run, parts));
  add_crcs(run, parts);
  return digest(run, parts);
}

Result<void> DirectoryLeaves::load(std::span<std::byte> run, std::span<const Part> parts) const {
  for (const auto& part : parts) {
    const auto pages = run.subspan(part.offset % kRun, part.size);
    SPHERE_TRY(load_part(pages.first(part.content), part));
    std::ranges::fill(pages.subspan(part.content), std::byte{0});
  }
  return {};
}

Result<void> DirectoryLeaves::load_part(std::span<std::byte> pages, const Part& part) const {
  if (part.file != kDirectories && input_.files[part.file].listed != nullptr) {
    return read_listed(*input_.files[part.file].listed, part.in_file, pages);
  }
  const Bytes source =
      part.file == kDirectories ? Bytes{input_.head} : input_.files[part.file].memory;
  copy_bytes(source.subspan(static_cast<std::size_t>(part.in_file), pages.size()), pages);
  return {};
}

// Files that lie in this run with all their bytes are hashed side by side.
Result<void> DirectoryLeaves::digest(Bytes run, std::span<const Part> parts) {
  std::vector<Bytes> messages;
  std::vector<std::size_t> files;
  for (const auto& part : parts) {
    if (part.file == kDirectories || known(part) != nullptr) {
      continue;
    }
    const auto bytes = run.subspan(part.offset % kRun, part.content);
    const auto straddler = straddlers_.find(part.file);
    if (straddler != straddlers_.end()) {
      SPHERE_TRY(digest_in_turn(bytes, part, *straddler->second));
    } else {
      messages.push_back(bytes);
      files.push_back(part.file);
    }
  }
  std::vector<crypto::Sha256Digest> digests(messages.size());
  input_.engine->hash_messages(messages, digests);
  for (std::size_t i = 0; i < files.size(); ++i) {
    digests_[files[i]] = digests[i];
  }
  return {};
}

Result<void> DirectoryLeaves::digest_in_turn(Bytes bytes, const Part& part, Straddler& straddler) {
  if (!straddler.gate.wait(part.in_file)) {
    return fail(Errc::cancelled, "an earlier part of the file could not be read");
  }
  straddler.hash.update(bytes);
  if (part.in_file + part.content == input_.files[part.file].size) {
    digests_[part.file] = straddler.hash.finish();
  }
  straddler.gate.advance(part.in_file + part.content);
  return {};
}

void DirectoryLeaves::add_crcs(Bytes run, std::span<const Part> parts) {
  std::vector<Piece> pieces;
  for (const auto& part : parts) {
    const auto* facts = known(part);
    if (facts != nullptr && part.in_file != 0) {
      continue;  // Its first part stands for all of it.
    }
    Piece piece{.offset = part.offset, .size = part.size, .file = part.file};
    if (facts != nullptr) {
      piece.size = round_up(input_.files[part.file].size, kPageSize);
      piece.crc = facts->crc;
    } else {
      piece.crc = Crc32{}.update(run.subspan(part.offset % kRun, part.size)).value();
    }
    pieces.push_back(piece);
  }
  const std::lock_guard lock{mutex_};
  pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
}

// Known leaves are copied; what lies between them is hashed, as many blocks at once as there are.
void DirectoryLeaves::hash(Bytes run, std::span<const Part> parts, std::span<MerkleHash> leaves) {
  std::size_t begin = 0;  // First block that is not yet hashed.
  std::uint64_t hashed = 0;
  const auto hash_until = [&](std::size_t end) {
    if (end > begin) {
      input_.engine->hash_leaves(
          input_.salt, run.subspan(begin * kMerkleBlockSize, (end - begin) * kMerkleBlockSize),
          leaves.subspan(begin, end - begin));
      hashed += end - begin;
    }
  };
  for (const auto& part : parts) {
    if (const auto* facts = known(part)) {
      const auto first = static_cast<std::size_t>(part.offset % kRun) / kMerkleBlockSize;
      hash_until(first);
      const auto in_file = static_cast<std::size_t>(part.in_file) / kMerkleBlockSize;
      const auto count = part.size / kMerkleBlockSize;
      std::ranges::copy(std::span{facts->leaves}.subspan(in_file, count),
                        leaves.subspan(first).begin());
      begin = first + count;
    }
  }
  hash_until(leaves.size());
  const std::lock_guard lock{mutex_};
  hashed_blocks_ += hashed;
}

Result<void> DirectoryLeaves::fill(std::uint64_t first, std::span<MerkleHash> leaves,
                                   std::size_t worker) {
  const auto offset = first * kMerkleBlockSize;
  auto result = offset < front_.size() ? fill_front(offset, leaves, worker)
                                       : fill_run(offset, leaves, worker);
  if (!result) {
    fail_parts(offset, parts_of(offset, leaves.size() * kMerkleBlockSize));
    return result;
  }
  if (input_.keep_leaves) {
    std::ranges::copy(leaves, std::span{kept_}.subspan(static_cast<std::size_t>(first)).begin());
  }
  return {};
}

Result<void> DirectoryLeaves::fill_front(std::uint64_t offset, std::span<MerkleHash> leaves,
                                         std::size_t worker) {
  complete_front();
  const auto run =
      std::span{front_}.subspan(static_cast<std::size_t>(offset), leaves.size() * kMerkleBlockSize);
  hash(run, parts_of(offset, run.size()), leaves);
  return input_.sink->store(offset, run, worker);
}

Result<void> DirectoryLeaves::fill_run(std::uint64_t offset, std::span<MerkleHash> leaves,
                                       std::size_t worker) {
  auto& buffer = buffers_[worker];
  buffer.resize(kRun);
  const auto run = std::span{buffer}.first(leaves.size() * kMerkleBlockSize);
  const auto parts = parts_of(offset, run.size());
  SPHERE_TRY_ASSIGN(const bool copied, copy_run(parts, run.size()));
  if (copied) {
    add_crcs(run, parts);  // Neither looks at the bytes: all of them are known.
    hash(run, parts, leaves);
    return {};
  }
  SPHERE_TRY(take_run(run, parts));
  hash(run, parts, leaves);
  return input_.sink->store(offset, run, worker);
}

// Has the kernel copy a run of which everything is known. False: it is to be read.
Result<bool> DirectoryLeaves::copy_run(std::span<const Part> parts, std::size_t size) const {
  const auto* output = input_.sink->file();
  for (const auto& part : parts) {
    if (known(part) == nullptr || input_.files[part.file].listed == nullptr || part.size > size) {
      return false;
    }
    size -= part.size;
  }
  if (output == nullptr || size != 0) {
    return false;
  }
  for (const auto& part : parts) {
    SPHERE_TRY_ASSIGN(
        const bool copied,
        copy_listed(*input_.files[part.file].listed,
                    {.from = part.in_file, .size = part.content, .to = part.offset}, *output));
    if (!copied) {
      return false;
    }
  }
  return true;
}

void DirectoryLeaves::fail_parts(std::uint64_t offset, std::span<const Part> parts) {
  for (const auto& part : parts) {
    if (const auto straddler = straddlers_.find(part.file); straddler != straddlers_.end()) {
      straddler->second->gate.fail(part.in_file);
    }
  }
  input_.sink->fail(offset);
}

// Called when all else has been read: puts the CRC of the whole body into the front.
void DirectoryLeaves::complete_front() {
  if (std::exchange(front_is_complete_, true)) {
    return;
  }
  const std::lock_guard lock{mutex_};
  std::ranges::sort(pieces_, {}, &Piece::offset);
  Crc32 crc;
  for (const auto& piece : pieces_) {
    crc.append(piece.crc, piece.size);
  }
  set_crc(front_, crc.value());
}

std::vector<FileFacts> DirectoryLeaves::facts() {
  std::vector<FileFacts> facts(digests_.size());
  std::vector<Crc32> crcs(digests_.size());
  for (const auto& piece : pieces_) {  // By offset, since complete_front().
    if (piece.file != kDirectories) {
      crcs[piece.file].append(piece.crc, piece.size);
    }
  }
  for (std::size_t i = 0; i < facts.size(); ++i) {
    const auto& file = input_.files[i];
    facts[i].crc = crcs[i].value();
    facts[i].digest = digests_[i];
    if (input_.keep_leaves) {
      const auto pages = std::span{kept_}.subspan(file.offset / kPageSize,
                                                  round_up(file.size, kPageSize) / kPageSize);
      facts[i].leaves.assign(pages.begin(), pages.end());
    }
  }
  return facts;
}

}  // namespace sphere::image
