// SPDX-License-Identifier: MIT
#include "sphere/project/batch_pack.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/batch.h"
#include "sphere/image/pack.h"
#include "sphere/project/pack.h"

namespace sphere::project {
namespace {

// Packages that one thread holds in memory until they are signed together.
constexpr std::size_t kMostTogether = 16;
constexpr std::size_t kBytesTogether = std::size_t{4} * 1024 * 1024;
// For all threads of a batch.
constexpr std::size_t kMemory = std::size_t{8} * 1024 * 1024;

// A package on its way.
struct Work {
  std::size_t index = 0;
  AtomicFile output;
  UnsignedApplication application;
};

class PackBatch {
 public:
  PackBatch(std::span<const PackJob> jobs, const image::BatchTools& tools)
      : jobs_{jobs}, tools_{&tools} {
    results_.resize(jobs.size(), Result<PackedApplication>{cancelled()});
  }

  std::vector<Result<PackedApplication>> run() && {
    for (std::size_t begin = 0; begin < jobs_.size(); begin += image::kGroupFiles) {
      const auto count = std::min(image::kGroupFiles, jobs_.size() - begin);
      pack_group(begin, begin + count);
      place_group();
    }
    return std::move(results_);
  }

 private:
  static tl::unexpected<Error> cancelled() {
    return fail(Errc::cancelled, "interrupted before it was done");
  }

  // Each thread takes the next job as soon as it is free.
  void pack_group(std::size_t begin, std::size_t end) {
    std::atomic<std::size_t> next = begin;
    const auto done =
        tools_->pool->run(tools_->pool->size(), [&](std::size_t, std::size_t) -> Result<void> {
          std::deque<Work> works;
          std::size_t bytes = 0;
          for (auto index = next.fetch_add(1); index < end; index = next.fetch_add(1)) {
            if (auto work = begin_job(index)) {
              bytes += work->application.package.bytes.size();
              works.push_back(*std::move(work));
            } else {
              results_[index] = tl::make_unexpected(std::move(work).error());
            }
            if (works.size() >= kMostTogether || bytes >= kBytesTogether) {
              sign_all(std::exchange(works, {}));
              bytes = 0;
            }
          }
          sign_all(std::move(works));
          return {};
        });
    static_cast<void>(done);  // The errors stand in the results.
  }

  Result<Work> begin_job(std::size_t index) const {
    const auto& job = jobs_[index];
    if (tools_->interrupted != nullptr && *tools_->interrupted) {
      return cancelled();
    }
    if (!job.replace_any) {
      SPHERE_TRY(image::require_replaceable(job.output));
    }
    SPHERE_TRY_ASSIGN(auto output, AtomicFile::create(job.output, {.sync = false}));
    auto options = job.options;
    options.frozen = true;
    SPHERE_TRY_ASSIGN(
        auto application,
        build_application(options, job.signer->thumbprint(),
                          {.output = &output, .memory = kMemory / tools_->pool->size()}));
    return Work{.index = index, .output = std::move(output), .application = std::move(application)};
  }

  void sign_all(std::deque<Work> works) {
    std::map<const crypto::Signer*, std::vector<Work*>> by_signer;
    for (auto& work : works) {
      by_signer[jobs_[work.index].signer].push_back(&work);
    }
    for (const auto& [signer, members] : by_signer) {
      std::vector<crypto::Sha256Digest> digests;
      for (const auto* work : members) {
        digests.push_back(work->application.package.digest);
      }
      const auto signatures = signer->sign(digests);
      for (std::size_t i = 0; i < members.size(); ++i) {
        if (signatures) {
          finish_job(*members[i], (*signatures)[i]);
        } else {
          results_[members[i]->index] = tl::make_unexpected(signatures.error());
        }
      }
    }
  }

  void finish_job(Work& work, const crypto::Signature& signature) {
    auto packed = finish_application(std::move(work.application), signature,
                                     [&](auto bytes) { return work.output.write(bytes); });
    if (packed) {
      packed->bytes = {};
    }
    results_[work.index] = std::move(packed);
    if (!results_[work.index]) {
      return;
    }
    if (jobs_[work.index].sync) {
      const std::lock_guard lock{mutex_};
      written_.emplace(work.index, std::move(work.output));
    } else {
      take_failure(work.index, work.output.commit());
    }
  }

  void place_group() {
    auto written = std::exchange(written_, {});
    FileGroup group;
    for (auto& [index, output] : written) {
      group.add(std::move(output));
    }
    auto placed = group.commit();
    std::size_t next = 0;
    for (const auto& [index, output] : written) {
      take_failure(index, std::move(placed[next++]));
    }
  }

  void take_failure(std::size_t index, Result<void> result) {
    if (!result) {
      results_[index] = tl::make_unexpected(std::move(result).error());
    }
  }

  std::span<const PackJob> jobs_;
  const image::BatchTools* tools_;
  std::vector<Result<PackedApplication>> results_;  // Each is written by one thread alone.
  std::mutex mutex_;                                // For the files below.
  std::map<std::size_t, AtomicFile> written_;       // By job, whoever finished first.
};

}  // namespace

std::vector<Result<PackedApplication>> pack_applications(std::span<const PackJob> jobs,
                                                         const image::BatchTools& tools) {
  return PackBatch{jobs, tools}.run();
}

}  // namespace sphere::project
