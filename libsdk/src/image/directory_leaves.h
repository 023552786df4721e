// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "libsdk/src/image/asxipfs_plan.h"
#include "libsdk/src/image/body_sink.h"
#include "libsdk/src/image/package_directory.h"
#include "libsdk/src/image/turnstile.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/merkle.h"

namespace sphere::image {

// What is known of a file with its padding, from this pass over it or an earlier one.
struct FileFacts {
  std::uint32_t crc = 0;  // Of its pages.
  crypto::Sha256Digest digest = {};
  std::vector<MerkleHash> leaves = {};  // One a page; only with keep_leaves.
};

// Where one file of a body goes, and where its content comes from.
struct BodyFile {
  std::size_t offset = 0;  // In the body; 0 for an empty file.
  std::size_t size = 0;
  const ListedFile* listed = nullptr;  // Null: from `memory`.
  std::span<const std::byte> memory = {};
  const FileFacts* known = nullptr;  // Of a file that is unchanged since an earlier pass, or null.
};

struct DirectoryInput {
  std::vector<std::byte> head = {};  // Superblock, with a CRC of 0, and directories.
  std::size_t body_size = 0;
  std::vector<BodyFile> files = {};  // In any order.
  const crypto::HashEngine* engine = nullptr;
  MerkleSalt salt = {};
  BodySink* sink = nullptr;
  std::size_t workers = 1;
  bool keep_leaves = false;
};

// The leaves of an ASXipFS body that is made from files while it is hashed. Each file is read once;
// the same buffer gives the body's bytes, its leaves, the CRC and the digest of each file. The
// superblock holds a CRC of all, so the first 512 KiB stay in memory until the rest is read.
//
// prepare(), then the leaf source of one build_merkle_tree() with first_run_last, then facts().
class DirectoryLeaves final : public LeafSource {
 public:
  // The pointees of `input` must outlive this.
  explicit DirectoryLeaves(DirectoryInput input);

  // Reads the front of the body. Errors: those of read_listed().
  [[nodiscard]] Result<void> prepare();
  [[nodiscard]] Result<void> fill(std::uint64_t first, std::span<MerkleHash> leaves,
                                  std::size_t worker) override;
  // Of each file, in the order of the input.
  [[nodiscard]] std::vector<FileFacts> facts();
  // Blocks whose leaves were computed and not known.
  [[nodiscard]] std::uint64_t hashed_blocks() const noexcept { return hashed_blocks_; }

 private:
  static constexpr std::size_t kDirectories = SIZE_MAX;
  // Pages of one run that belong to one file or to the directory area.
  struct Part {
    std::size_t file = kDirectories;
    std::uint64_t offset = 0;   // In the body.
    std::size_t size = 0;       // With padding.
    std::uint64_t in_file = 0;  // Where its content begins in the file.
    std::size_t content = 0;    // Bytes of it.
  };
  struct Piece {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::size_t file = 0;
    std::uint32_t crc = 0;
  };
  struct Straddler {  // A file whose parts lie in several runs.
    Turnstile gate;
    crypto::Sha256 hash;
  };

  void find_parts();
  [[nodiscard]] std::span<const Part> parts_of(std::uint64_t offset, std::size_t size) const;
  [[nodiscard]] const FileFacts* known(const Part& part) const;
  [[nodiscard]] Result<void> load(std::span<std::byte> run, std::span<const Part> parts) const;
  [[nodiscard]] Result<void> load_part(std::span<std::byte> pages, const Part& part) const;
  [[nodiscard]] Result<void> digest(std::span<const std::byte> run, std::span<const Part> parts);
  [[nodiscard]] Result<void> digest_in_turn(std::span<const std::byte> bytes, const Part& part,
                                            Straddler& straddler);
  void add_crcs(std::span<const std::byte> run, std::span<const Part> parts);
  void hash(std::span<const std::byte> run, std::span<const Part> parts,
            std::span<MerkleHash> leaves);
  [[nodiscard]] Result<bool> copy_run(std::span<const Part> parts, std::size_t size) const;
  [[nodiscard]] Result<void> take_run(std::span<std::byte> run, std::span<const Part> parts);
  [[nodiscard]] Result<void> fill_front(std::uint64_t offset, std::span<MerkleHash> leaves,
                                        std::size_t worker);
  [[nodiscard]] Result<void> fill_run(std::uint64_t offset, std::span<MerkleHash> leaves,
                                      std::size_t worker);
  void fail_parts(std::uint64_t offset, std::span<const Part> parts);
  void complete_front();

  DirectoryInput input_;
  std::vector<Part> parts_;  // By offset; none goes beyond its run.
  std::map<std::size_t, std::unique_ptr<Straddler>> straddlers_;
  std::vector<crypto::Sha256Digest> digests_;
  std::vector<std::vector<std::byte>> buffers_;  // One a worker.
  std::vector<std::byte> front_;
  bool front_is_complete_ = false;
  std::vector<MerkleHash> kept_;  // All leaves, with keep_leaves.
  std::mutex mutex_;              // For the two below.
  std::vector<Piece> pieces_;
  std::uint64_t hashed_blocks_ = 0;
};

}  // namespace sphere::image
