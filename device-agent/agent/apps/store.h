// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "device-agent/agent/apps/disk.h"
#include "device-agent/agent/refusal.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"

namespace sphere::agent {

// What the store keeps of one package beside its bytes.
struct StoredApp {
  Guid component, image;
  std::string name = {};
  std::string digest = {};  // SHA-256 of the file: its name in the store.
  std::uint64_t bytes = 0;
  std::uint64_t file_bytes = 0;  // Of the files in it.
  bool temporary = false;        // Removed at the next start of the board.
  image::Role signed_by = image::Role::development;
  std::uint32_t security_version = 0;  // Of the image; 0 for package v1.
  std::uint32_t user = 0;              // Number of the app's own user, from 0; installed apps only.
};

[[nodiscard]] StoredApp describe(const image::Verified<image::Package>& package,
                                 std::span<const std::byte> bytes);

// The packages on the board.
//
//   set.json            the app set: which packages are installed, and the user number of each
//   images/<digest>     their bytes
//   staged/             uploads and packages that wait for install()
//
// The rename of set.json is the only point at which anything changes; what it does not name is
// removed at the next open(). So the board has the old set or the new one, whenever the power goes.
// Belongs to the loop's thread.
class AppStore {
 public:
  static constexpr std::size_t kStagedLimit = 8;
  static constexpr std::size_t kAppLimit = 64;

  // `disk` must outlive the store. Errors: corrupt (set.json), as system_error().
  [[nodiscard]] static Result<AppStore> open(std::filesystem::path directory, StoreDisk& disk);

  // A new name in staged/ for an upload. Removing the file is its writer's job until stage().
  [[nodiscard]] std::filesystem::path upload_path();

  // Takes an uploaded file that holds the verified package `app`, in place of a staged one of the
  // same component. Refusals: kBusy (8 staged), kNoSpace, kPackageInvalid; the upload is gone then.
  [[nodiscard]] Answer<void> stage(const std::filesystem::path& upload, StoredApp app);
  void drop_staged();
  [[nodiscard]] const std::vector<StoredApp>& staged() const noexcept { return staged_; }
  [[nodiscard]] std::filesystem::path staged_path(const StoredApp& app) const;

  [[nodiscard]] const std::vector<StoredApp>& installed() const noexcept { return installed_; }
  [[nodiscard]] const StoredApp* find(const Guid& component) const;
  [[nodiscard]] std::filesystem::path image_path(const StoredApp& app) const;

  // Makes everything staged part of the set, as one. Errors change nothing; the staged packages
  // stay. Refusals: kNoSpace, kInstallFailed.
  [[nodiscard]] Answer<void> commit();
  // Removes components from the set. One that is not there is no error.
  [[nodiscard]] Answer<void> remove(const std::vector<Guid>& components);

 private:
  AppStore(std::filesystem::path directory, StoreDisk& disk)
      : directory_{std::move(directory)}, disk_{&disk} {}
  [[nodiscard]] Result<void> load();
  [[nodiscard]] Result<void> write_set(const std::vector<StoredApp>& apps);
  void collect_garbage();

  std::filesystem::path directory_;
  StoreDisk* disk_;
  std::vector<StoredApp> installed_;
  std::vector<StoredApp> staged_;
  std::uint64_t uploads_ = 0;
};

}  // namespace sphere::agent
