// SPDX-License-Identifier: MIT
#include <cstddef>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "libsdk/src/image/batch_plan.h"
#include "libsdk/src/image/package_stream.h"
#include "libsdk/src/image/verify.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/batch.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/image/verify_v2.h"

namespace sphere::image {
namespace fs = std::filesystem;
namespace {

// A package that is being hashed.
struct Work {
  std::size_t index = 0;
  Package package;
};

class VerifyBatch {
 public:
  VerifyBatch(std::span<const fs::path> paths, const TrustFor& trust, const BatchTools& tools)
      : paths_{paths}, trust_{&trust}, tools_{&tools} {
    results_.resize(paths.size(), Result<Verdict>{tl::make_unexpected(cancelled_error())});
  }

  std::vector<Result<Verdict>> run() && {
    const auto sizes =
        sizes_of(paths_.size(), [this](std::size_t i) -> const fs::path& { return paths_[i]; });
    for (const auto& chunks : plan_chunks(sizes, tools_->pool->size())) {
      run_chunks(chunks, *tools_, [this](const Chunk& chunk, StreamBuffers& buffers) {
        verify_chunk(chunk, buffers);
      });
      for (const auto& work : std::exchange(large_, {})) {
        verify_alone(work.index, work.package, *tools_->pool);
      }
    }
    return std::move(results_);
  }

 private:
  void verify_chunk(const Chunk& chunk, StreamBuffers& buffers) {
    std::deque<Work> works;
    for (const auto index : chunk) {
      auto package = open_job(paths_[index], *tools_);
      if (!package) {
        results_[index] = tl::make_unexpected(std::move(package).error());
      } else if (is_flat(package->kind)) {
        works.push_back({.index = index, .package = *std::move(package)});
      } else if (package->size <= kLaneLimit) {
        ThreadPool alone{1};
        verify_alone(index, *package, alone);
      } else {
        const std::lock_guard lock{mutex_};
        large_.push_back({.index = index, .package = *std::move(package)});
      }
    }
    std::deque<PackageStream> streams;
    std::vector<crypto::MessageStream*> pointers;
    for (const auto& work : works) {
      const std::span tail{*work.package.tail};
      pointers.push_back(&streams.emplace_back(
          work.package, tail.first(tail.size() - kSignatureSize), nullptr, buffers));
    }
    const auto digests = tools_->engine->hash_streams(pointers);
    for (std::size_t i = 0; i < works.size(); ++i) {
      const auto& package = works[i].package;
      finish(works[i].index, package,
             digests[i] ? find_signer(*digests[i], package.metadata, trust_for(package))
                        : tl::make_unexpected(digests[i].error()));
    }
  }

  [[nodiscard]] const TrustStore& trust_for(const Package& package) const {
    return (*trust_)(package.metadata.identity.image_type);
  }

  // A package that is not verified by one hash over it.
  void verify_alone(std::size_t index, const Package& package, ThreadPool& pool) {
    const auto verified = verify(package, trust_for(package));
    if (!verified) {
      finish(index, package, tl::make_unexpected(verified.error()));
      return;
    }
    if ((*verified)->kind == PackageKind::package_v2) {
      auto checked = check_body_v2(**verified, {.engine = tools_->engine, .pool = &pool});
      if (!checked) {
        results_[index] = tl::make_unexpected(std::move(checked).error());
        return;
      }
    }
    finish(index, package, verified->signer());
  }

  void finish(std::size_t index, const Package& package, Result<TrustEntry> signer) {
    if (!signer && signer.error().code() != Errc::unverified) {
      results_[index] = tl::make_unexpected(std::move(signer).error());
      return;
    }
    results_[index] = Verdict{.size = package.size,
                              .identity = package.metadata.identity,
                              .thumbprint = package.metadata.signature_info.thumbprint,
                              .signer = std::move(signer)};
  }

  std::span<const fs::path> paths_;
  const TrustFor* trust_;
  const BatchTools* tools_;
  std::vector<Result<Verdict>> results_;  // Each is written by one thread alone.
  std::mutex mutex_;                      // For the packages below.
  std::vector<Work> large_;               // Their trees keep all threads busy.
};

}  // namespace

std::vector<Result<Verdict>> verify_packages(std::span<const fs::path> paths, const TrustFor& trust,
                                             const BatchTools& tools) {
  return VerifyBatch{paths, trust, tools}.run();
}

}  // namespace sphere::image
