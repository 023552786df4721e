// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/metadata.h"
#include "sphere/image/trust.h"

// Many packages at a time. One package is the same with a list of one.
//
// Packages of up to kLaneLimit bytes are hashed side by side in the lanes of a vector unit, sorted
// by length so that lanes end together; larger ones alone. Each file is read once, with memory that
// depends on the number of threads and not on the files.
namespace sphere::image {

inline constexpr std::uint64_t kLaneLimit = std::uint64_t{4} * 1024 * 1024;
// Outputs that become durable together.
inline constexpr std::size_t kGroupFiles = 256;
inline constexpr std::uint64_t kGroupBytes = std::uint64_t{64} * 1024 * 1024;

// What a batch works with; all must outlive it.
struct BatchTools {
  const crypto::HashEngine* engine = nullptr;
  ThreadPool* pool = nullptr;
  // Set by a signal: what is not done yet is given up with Errc::cancelled. May be null.
  const std::atomic<bool>* interrupted = nullptr;
};

struct SignJob {
  std::filesystem::path input;
  // Empty, or the same file: the signature at the end of `input` is replaced in place. Mode, owner
  // and links stay, and a symbolic link is followed. A process that dies in between leaves a record
  // beside the file, from which the next one to open it makes the old or the new package (see
  // finish_interrupted_signing()).
  std::filesystem::path output = {};
  const crypto::Signer* signer = nullptr;
  bool replace_any = false;  // Replace an output that is no image package, too.
  bool sync = true;          // false: nothing waits for the disk; for scratch disks only.
};

struct SignedPackage {
  std::uint64_t size = 0;
  Identity identity;
};

// Signs packages anew: replaces the thumbprint in SG and the signature, nothing else. What is not
// well formed, as open_package() and check_body() see it, is refused. The digests of several
// packages go to their signer in one call. Gives one result for each job, in their order; one that
// fails leaves its output as it was and does not stop the others. No job may read what another one
// writes.
//
// Errors: those of open_package(), check_body(), AtomicFile and the signer; unsupported for kinds
// that cannot be signed again; exists for an output that is no package; busy while another process
// signs the same file in place; cancelled.
[[nodiscard]] std::vector<Result<SignedPackage>> sign_packages(std::span<const SignJob> jobs,
                                                               const BatchTools& tools);

// The keys that an image of this type may be signed with. Called from several threads at once; what
// it gives must outlive the batch.
using TrustFor = std::function<const TrustStore&(std::uint16_t image_type)>;

// What verify() says about a file that is well formed.
struct Verdict {
  std::uint64_t size = 0;
  Identity identity;
  crypto::Sha1Digest thumbprint = {};
  Result<TrustEntry> signer;  // Else unverified.
};

// Checks packages as verify() does, reading each file once. One result for each path, in their
// order. Errors: those of open_package() and verify() but unverified; cancelled.
[[nodiscard]] std::vector<Result<Verdict>> verify_packages(
    std::span<const std::filesystem::path> paths, const TrustFor& trust, const BatchTools& tools);

// Before a package is opened for any purpose: finishes what a killed sign_packages() left half
// written. Nothing to do is success. Errors: busy while another process signs it; permission when
// it must be finished and may not be written; io.
[[nodiscard]] Result<void> finish_interrupted_signing(const std::filesystem::path& path);

// exists, unless there is nothing at `path` or an image package.
[[nodiscard]] Result<void> require_replaceable(const std::filesystem::path& path);

}  // namespace sphere::image
