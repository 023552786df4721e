// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/batch_plan.h"
#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/package_stream.h"
#include "libsdk/src/image/tail_change.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/batch.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/sign_v2.h"

namespace sphere::image {
namespace fs = std::filesystem;
namespace {

using Bytes = std::vector<std::byte>;

// From so many outputs on one flush of the file system costs less than one for each file.
constexpr std::size_t kFewFiles = 4;

bool is_same_file(const fs::path& a, const fs::path& b) {
  struct stat first = {};
  struct stat second = {};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// The metadata block of `package` without signature, naming another certificate.
Bytes tail_for(const Package& package, const crypto::Sha1Digest& thumbprint) {
  Bytes tail{package.tail->begin(), package.tail->end() - kSignatureSize};
  for (const auto& section : package.metadata.sections) {
    if (section.id == std::array<char, 2>{'S', 'G'}) {
      std::ranges::copy(thumbprint, tail.begin() + (section.payload.data() - package.tail->data()));
    }
  }
  return tail;
}

// A package on its way.
struct Work {
  std::size_t index = 0;
  Package package = {};
  Bytes tail = {};                        // With the new thumbprint; the signature last of all.
  std::optional<AtomicFile> output = {};  // Absent: in place.
};

// A package that is written and not yet in its place.
struct Written {
  std::size_t index = 0;
  std::optional<AtomicFile> output = {};
  std::optional<TailChange> change = {};
};

using WrittenFiles = std::map<std::size_t, Written>;

class SignBatch {
 public:
  SignBatch(std::span<const SignJob> jobs, const BatchTools& tools) : jobs_{jobs}, tools_{&tools} {
    results_.resize(jobs.size(), Result<SignedPackage>{tl::make_unexpected(cancelled_error())});
  }

  std::vector<Result<SignedPackage>> run() && {
    const auto sizes =
        sizes_of(jobs_.size(), [this](std::size_t i) -> const fs::path& { return jobs_[i].input; });
    for (const auto& chunks : plan_chunks(sizes, tools_->pool->size())) {
      run_chunks(chunks, *tools_, [this](const Chunk& chunk, StreamBuffers& buffers) {
        sign_chunk(chunk, buffers);
      });
      place_all();
    }
    return std::move(results_);
  }

 private:
  // Each result is written by one thread alone.
  void fail_job(std::size_t index, Error error) {
    results_[index] = tl::make_unexpected(std::move(error));
  }

  Result<Work> begin(std::size_t index) const {
    const auto& job = jobs_[index];
    SPHERE_TRY_ASSIGN(auto package, open_job(job.input, *tools_));
    const bool is_v2 = package.kind == PackageKind::package_v2;
    if (!is_flat(package.kind) && !is_v2) {
      const auto kind = kind_text(package.metadata);
      return unsupported(fmt::format("a {} cannot be signed again", kind), kind);
    }
    Work work{.index = index};
    if (!is_v2) {
      work.tail = tail_for(package, job.signer->thumbprint());
    }
    work.package = std::move(package);
    if (!job.output.empty() && !is_same_file(job.input, job.output)) {
      if (!job.replace_any) {
        SPHERE_TRY(require_replaceable(job.output));
      }
      SPHERE_TRY_ASSIGN(auto output, AtomicFile::create(job.output, {.sync = false}));
      work.output.emplace(std::move(output));
    }
    return work;
  }

  void sign_chunk(const Chunk& chunk, StreamBuffers& buffers) {
    std::deque<Work> works;
    for (const auto index : chunk) {
      auto work = begin(index);
      if (!work) {
        fail_job(index, std::move(work).error());
      } else if (work->package.kind == PackageKind::package_v2) {
        finish(index, sign_v2(*work));
      } else {
        works.push_back(*std::move(work));
      }
    }
    std::deque<PackageStream> streams;
    std::vector<crypto::MessageStream*> pointers;
    for (auto& work : works) {
      pointers.push_back(&streams.emplace_back(work.package, work.tail,
                                               work.output ? &*work.output : nullptr, buffers));
    }
    auto digests = tools_->engine->hash_streams(pointers);
    std::map<const crypto::Signer*, std::vector<std::size_t>> by_signer;
    for (std::size_t i = 0; i < works.size(); ++i) {
      if (digests[i]) {
        by_signer[jobs_[works[i].index].signer].push_back(i);
      } else {
        fail_job(works[i].index, std::move(digests[i]).error());
      }
    }
    for (const auto& [signer, members] : by_signer) {
      sign_with(*signer, members, works, digests);
    }
  }

  void sign_with(const crypto::Signer& signer, const std::vector<std::size_t>& members,
                 std::deque<Work>& works,
                 const std::vector<Result<crypto::Sha256Digest>>& digests) {
    std::vector<crypto::Sha256Digest> wanted;
    for (const auto i : members) {
      wanted.push_back(*digests[i]);
    }
    const auto signatures = signer.sign(wanted);
    for (std::size_t i = 0; i < members.size(); ++i) {
      auto& work = works[members[i]];
      finish(work.index, signatures ? write(work, (*signatures)[i])
                                    : Result<Written>{tl::make_unexpected(signatures.error())});
    }
  }

  void finish(std::size_t index, Result<Written> written) {
    if (!written) {
      fail_job(index, std::move(written).error());
    } else if (jobs_[index].sync) {
      keep(*std::move(written));
    } else {
      place(*written, false);
    }
  }

  // Of a package v2 only the metadata is hashed; the body is read to be copied, if at all.
  Result<Written> sign_v2(Work& work) {
    const auto& package = work.package;
    SPHERE_TRY_ASSIGN(work.tail, sign_tail_v2(package, {}, *jobs_[work.index].signer));
    if (!work.output && work.tail.size() != package.tail->size()) {
      return rewrite_v2(work);  // The old one had a signing time.
    }
    return work.output ? copy_v2(work, *std::move(work.output)) : change_tail(work);
  }

  Result<Written> rewrite_v2(Work& work) {
    SPHERE_TRY_ASSIGN(auto output, AtomicFile::create(jobs_[work.index].input, {.sync = false}));
    return copy_v2(work, std::move(output));
  }

  Result<Written> copy_v2(const Work& work, AtomicFile output) {
    const auto& package = work.package;
    SPHERE_TRY(
        stream_bytes(*package.source, 0, package.tail_offset(),
                     [&output](std::span<const std::byte> bytes) { return output.write(bytes); }));
    SPHERE_TRY(package.source->check_unchanged());
    SPHERE_TRY(output.write(work.tail));
    note_signed(work);
    Written written{.index = work.index};
    written.output.emplace(std::move(output));
    return written;
  }

  void note_signed(const Work& work) {
    results_[work.index] = SignedPackage{.size = work.package.tail_offset() + work.tail.size(),
                                         .identity = work.package.metadata.identity};
  }

  // In place. The tail has its signature.
  Result<Written> change_tail(Work& work) {
    note_signed(work);
    Written written{.index = work.index};
    SPHERE_TRY_ASSIGN(auto change,
                      TailChange::prepare(jobs_[work.index].input, work.package.tail_offset(),
                                          *work.package.tail, std::move(work.tail)));
    written.change.emplace(std::move(change));
    return written;
  }

  Result<Written> write(Work& work, const crypto::Signature& signature) {
    work.tail.insert(work.tail.end(), signature.begin(), signature.end());
    if (!work.output) {
      return change_tail(work);
    }
    SPHERE_TRY(work.output->write(signature));
    note_signed(work);
    Written written{.index = work.index};
    written.output.emplace(*std::move(work.output));
    return written;
  }

  void keep(Written written) {
    const std::lock_guard lock{mutex_};
    written_.emplace(written.index, std::move(written));
  }

  // Moves one package to its place; with `sync`, durably.
  void place(Written& written, bool sync) {
    auto placed =
        written.output ? place_output(*written.output, sync) : place_change(*written.change, sync);
    if (!placed) {
      fail_job(written.index, std::move(placed).error());
    }
    written.change.reset();
  }

  static Result<void> place_output(AtomicFile& output, bool sync) {
    if (!sync) {
      return output.commit();
    }
    if (::fsync(output.descriptor()) != 0) {
      return tl::make_unexpected(system_error("write", output.target(), errno));
    }
    const auto parent = output.target().parent_path();
    SPHERE_TRY(output.commit());
    return sync_directory(parent.empty() ? "." : parent);
  }

  static Result<void> place_change(TailChange& change, bool sync) {
    if (!sync) {
      return change.apply();
    }
    SPHERE_TRY(change.sync_record());
    SPHERE_TRY(change.apply());
    return change.sync_file();
  }

  // The packages of a group: written, then flushed together, then moved to their places.
  void place_all() {
    auto written = std::exchange(written_, {});
    if (written.size() <= kFewFiles) {
      for (auto& [index, one] : written) {
        place(one, true);
      }
      return;
    }
    place_outputs(written);
    place_changes(written);
  }

  void place_outputs(WrittenFiles& written) {
    FileGroup group;
    std::vector<std::size_t> indexes;
    for (auto& [index, one] : written) {
      if (one.output) {
        indexes.push_back(index);
        group.add(*std::move(one.output));
      }
    }
    take_failures(indexes, group.commit());
  }

  // Records, flush, changes, flush: see TailChange.
  void place_changes(WrittenFiles& written) {
    std::vector<TailChange*> changes;
    std::vector<std::size_t> indexes;
    for (auto& [index, one] : written) {
      if (one.change) {
        changes.push_back(&*one.change);
        indexes.push_back(index);
      }
    }
    auto results = flush(changes, &TailChange::record_descriptor);
    for (std::size_t i = 0; i < changes.size(); ++i) {
      if (results[i]) {
        results[i] = changes[i]->apply();
      }
    }
    take_failures(indexes, std::move(results));
    take_failures(indexes, flush(changes, &TailChange::file_descriptor));
  }

  std::vector<Result<void>> flush(const std::vector<TailChange*>& changes,
                                  int (TailChange::*descriptor)() const noexcept) {
    std::vector<int> descriptors;
    for (const auto* change : changes) {
      descriptors.push_back((change->*descriptor)());
    }
    return changes.empty() ? std::vector<Result<void>>{}
                           : sync_file_systems(descriptors, changes.front()->path());
  }

  void take_failures(const std::vector<std::size_t>& indexes, std::vector<Result<void>> results) {
    for (std::size_t i = 0; i < indexes.size(); ++i) {
      if (!results[i] && results_[indexes[i]]) {
        fail_job(indexes[i], std::move(results[i]).error());
      }
    }
  }

  std::span<const SignJob> jobs_;
  const BatchTools* tools_;
  std::vector<Result<SignedPackage>> results_;
  std::mutex mutex_;      // For the files below.
  WrittenFiles written_;  // By job, whoever finished first.
};

}  // namespace

std::vector<Result<SignedPackage>> sign_packages(std::span<const SignJob> jobs,
                                                 const BatchTools& tools) {
  return SignBatch{jobs, tools}.run();
}

Result<void> finish_interrupted_signing(const fs::path& path) { return finish_tail_change(path); }

Result<void> require_replaceable(const fs::path& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    return {};  // Not there; or whoever writes it tells why it cannot be.
  }
  // A pipe is not read: that would wait for a writer.
  if (S_ISREG(status.st_mode)) {
    auto file = FileBlocks::open(path);
    if (file && open_container(std::make_shared<FileBlocks>(*std::move(file)),
                               static_cast<std::uint64_t>(status.st_size))) {
      return {};
    }
  }
  return fail(Errc::exists, fmt::format("{} exists and is no image package", path.string()),
              {.reason = "local.file-exists",
               .value = path.string(),
               .next = "choose another name, or replace it with --force"});
}

}  // namespace sphere::image
