// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/batch.h"
#include "sphere/project/pack.h"

namespace sphere::project {

struct PackJob {
  PackOptions options;
  std::filesystem::path output;
  const crypto::Signer* signer = nullptr;
  bool replace_any = false;  // Replace an output that is no image package, too.
  bool sync = true;          // false: nothing waits for the disk; for scratch disks only.
};

// Packs many applications. The digests of several packages go to their signer in one call, and the
// packages of a group become durable together. Source manifests are never changed: jobs may share
// one, so a missing ComponentId is an error, as with PackOptions::frozen. Gives one result for each
// job, in their order, without the bytes; one that fails leaves its output as it was and does not
// stop the others. No job may read what another one writes.
//
// Errors: as pack_application(); exists for an output that is no package; cancelled.
[[nodiscard]] std::vector<Result<PackedApplication>> pack_applications(
    std::span<const PackJob> jobs, const image::BatchTools& tools);

}  // namespace sphere::project
