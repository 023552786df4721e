// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "libsdk/src/image/asxipfs_plan.h"
#include "libsdk/src/image/package_directory.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/image/pack.h"

namespace sphere::image {

// The files of an application package: those of a directory and the manifest.
class PackSources {
 public:
  // One file of the body, from the disk or the manifest's text.
  struct Source {
    const ListedFile* listed = nullptr;  // Null: `memory` is the content.
    std::span<const std::byte> memory = {};
    std::size_t size = 0;
  };

  // Errors: as pack_application(). `request` must outlive the result.
  [[nodiscard]] static Result<PackSources> list(const PackRequest& request);

  [[nodiscard]] const BodyPlan& plan() const noexcept { return plan_; }
  // The files as planned, to which the plan's indexes lead.
  [[nodiscard]] const std::vector<Source>& sources() const noexcept { return sources_; }
  [[nodiscard]] const std::vector<PlannedFile>& planned() const noexcept { return planned_; }

  // The whole body, with `spare` bytes reserved behind it.
  [[nodiscard]] Result<std::vector<std::byte>> read_body(std::size_t spare) const;

  // The CRC of the body, from CRCs of the files, which `pool` (may be null) works out side by side.
  [[nodiscard]] Result<std::uint32_t> read_crc(ThreadPool* pool) const;

  // Gives the body piece by piece to `sink`. Error io when it has not the CRC `crc`: a file was
  // changed since read_crc().
  using Sink = std::function<Result<void>(std::span<const std::byte> piece)>;
  [[nodiscard]] Result<void> stream_body(std::uint32_t crc, const Sink& sink) const;

 private:
  PackSources() = default;
  [[nodiscard]] Result<void> plan_files(const PackRequest& request);
  static Result<void> read_pieces(const Source& source, std::span<std::byte> buffer,
                                  const Sink& sink);

  std::map<std::string, ListedFile> listed_;
  std::vector<Source> sources_;       // As planned.
  std::vector<PlannedFile> planned_;  // Paths point into `listed_`.
  BodyPlan plan_;
};

}  // namespace sphere::image
