// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/store.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/agent/apps/disk.h"
#include "device-agent/agent/refusal.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/device_api/error_code.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/sections_v2.h"
#include "sphere/image/trust.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kSetBytes = 65536;

json::Value to_json(const StoredApp& app) {
  return json::Value{}
      .set("componentId", app.component.text())
      .set("imageId", app.image.text())
      .set("name", app.name)
      .set("sha256", app.digest)
      .set("bytes", app.bytes)
      .set("fileBytes", app.file_bytes)
      .set("temporary", app.temporary)
      .set("signedBy", app.signed_by == image::Role::production ? "production" : "development")
      .set("securityVersion", static_cast<std::int64_t>(app.security_version))
      .set("user", static_cast<std::int64_t>(app.user));
}

std::optional<StoredApp> app_from_json(const json::Value& value) {
  const auto component = Guid::parse(value.string_at("componentId").value_or(""));
  const auto image = Guid::parse(value.string_at("imageId").value_or(""));
  const auto digest = from_hex(value.string_at("sha256").value_or(""));
  const auto user = value.integer_at("user");
  if (!component || !image || !digest || digest->size() != crypto::Sha256Digest{}.size() || !user ||
      *user < 0 || *user >= static_cast<std::int64_t>(AppStore::kAppLimit)) {
    return std::nullopt;
  }
  return StoredApp{
      .component = *component,
      .image = *image,
      .name = value.string_at("name").value_or(""),
      .digest = to_hex(*digest),
      .bytes = static_cast<std::uint64_t>(value.integer_at("bytes").value_or(0)),
      .file_bytes = static_cast<std::uint64_t>(value.integer_at("fileBytes").value_or(0)),
      .temporary = value.boolean_at("temporary").value_or(false),
      .signed_by = value.string_at("signedBy") == "production" ? image::Role::production
                                                               : image::Role::development,
      .security_version = static_cast<std::uint32_t>(
          std::clamp<std::int64_t>(value.integer_at("securityVersion").value_or(0), 0, UINT32_MAX)),
      .user = static_cast<std::uint32_t>(*user)};
}

// The lowest number that no app of the set has.
std::uint32_t free_user(const std::vector<StoredApp>& apps) {
  std::uint32_t user = 0;
  while (std::ranges::any_of(apps, [user](const auto& app) { return app.user == user; })) {
    ++user;
  }
  return user;
}

auto position_of(std::vector<StoredApp>& apps, const Guid& component) {
  return std::ranges::find_if(apps, [&](const auto& app) { return app.component == component; });
}

device_api::ErrorCode code_for(const Error& error, device_api::ErrorCode otherwise) {
  return error.code() == Errc::no_space ? device_api::kNoSpace : otherwise;
}

// A message for the other end of the link: without paths of the board.
tl::unexpected<Refusal> refuse_disk(const Error& error, device_api::ErrorCode otherwise) {
  const auto code = code_for(error, otherwise);
  fmt::print(stderr, "sphered: {}\n", error.message());
  if (code == device_api::kNoSpace) {
    return refuse(code, "no space left on the board", "delete an app and try again");
  }
  return refuse(code, "the board could not write its app store", "see the board's log");
}

}  // namespace

StoredApp describe(const image::Verified<image::Package>& package,
                   std::span<const std::byte> bytes) {
  StoredApp app{.component = package->metadata.identity.component_id,
                .image = package->metadata.identity.image_id,
                .name = package->metadata.debug.name,
                .digest = to_hex(crypto::sha256(bytes)),
                .bytes = bytes.size()};
  for (const auto& file : package->files.files) {
    app.file_bytes += file.size;
  }
  app.temporary = (package->metadata.temporary.value_or(0) & image::kRemoveAtBoot) != 0;
  app.signed_by = package.signer().role;
  app.security_version = package->metadata.v2.security.value_or(image::SecurityVersion{}).image;
  return app;
}

Result<AppStore> AppStore::open(fs::path directory, StoreDisk& disk) {
  AppStore store{std::move(directory), disk};
  SPHERE_TRY(make_directories(store.directory_ / "images", 0700));
  SPHERE_TRY(remove_tree(store.directory_ / "staged"));
  SPHERE_TRY(make_directories(store.directory_ / "staged", 0700));
  SPHERE_TRY(store.load());
  store.collect_garbage();
  return store;
}

Result<void> AppStore::load() {
  const auto path = directory_ / "set.json";
  const auto text = read_text_file(path, kSetBytes);
  if (!text) {
    if (text.error().code() == Errc::not_found) {
      return {};
    }
    return tl::unexpected<Error>{text.error()};
  }
  SPHERE_TRY_ASSIGN(const auto value, json::parse(*text));
  const auto* apps = value.find("apps");
  for (const auto& entry : apps != nullptr ? apps->items() : json::Array{}) {
    auto app = app_from_json(entry);
    if (!app) {
      return fail(Errc::corrupt, fmt::format("{} holds a malformed app", path.string()),
                  {.value = path.string(), .next = "delete the board and create it again"});
    }
    installed_.push_back(*std::move(app));
  }
  return {};
}

void AppStore::collect_garbage() {
  std::error_code error;
  for (fs::directory_iterator entry{directory_ / "images", error}, end; !error && entry != end;
       entry.increment(error)) {
    const auto name = entry->path().filename().string();
    const bool wanted =
        std::ranges::any_of(installed_, [&](const auto& app) { return app.digest == name; });
    if (!wanted) {
      // What stays is removed at the next start.
      [[maybe_unused]] const auto removed = disk_->remove(entry->path());
    }
  }
}

fs::path AppStore::upload_path() {
  return directory_ / "staged" / fmt::format("upload-{}", ++uploads_);
}

fs::path AppStore::staged_path(const StoredApp& app) const {
  return directory_ / "staged" / app.digest;
}

fs::path AppStore::image_path(const StoredApp& app) const {
  return directory_ / "images" / app.digest;
}

Answer<void> AppStore::stage(const fs::path& upload, StoredApp app) {
  const auto same = position_of(staged_, app.component);
  const bool full = same == staged_.end() && staged_.size() >= kStagedLimit;
  const auto placed = full ? Result<void>{} : disk_->place(upload, staged_path(app));
  if (full || !placed) {
    [[maybe_unused]] const auto removed = remove_tree(upload);
  }
  if (full) {
    return refuse(device_api::kBusy, "8 packages are staged already", "install them first");
  }
  if (!placed) {
    return refuse_disk(placed.error(), device_api::kPackageInvalid);
  }
  if (same == staged_.end()) {
    staged_.push_back(std::move(app));
    return {};
  }
  const auto replaced = std::exchange(*same, std::move(app));
  if (replaced.digest != same->digest) {
    [[maybe_unused]] const auto removed = disk_->remove(staged_path(replaced));
  }
  return {};
}

void AppStore::drop_staged() {
  for (const auto& app : staged_) {
    [[maybe_unused]] const auto removed = disk_->remove(staged_path(app));
  }
  staged_.clear();
}

const StoredApp* AppStore::find(const Guid& component) const {
  const auto found =
      std::ranges::find_if(installed_, [&](const auto& app) { return app.component == component; });
  return found == installed_.end() ? nullptr : &*found;
}

Result<void> AppStore::write_set(const std::vector<StoredApp>& apps) {
  json::Value list{json::Array{}};
  for (const auto& app : apps) {
    list.push(to_json(app));
  }
  return disk_->write(directory_ / "set.json",
                      json::to_pretty(json::Value{}.set("version", 1).set("apps", list)) + "\n");
}

Answer<void> AppStore::commit() {
  auto apps = installed_;
  for (const auto& app : staged_) {
    auto entry = app;
    if (const auto same = position_of(apps, app.component); same != apps.end()) {
      entry.user = same->user;
      *same = std::move(entry);
    } else if (apps.size() < kAppLimit) {
      entry.user = free_user(apps);
      apps.push_back(std::move(entry));
    } else {
      return refuse(device_api::kNoSpace, fmt::format("{} apps are installed", apps.size()),
                    "delete one first");
    }
    if (auto placed = disk_->place(staged_path(app), image_path(app)); !placed) {
      return refuse_disk(placed.error(), device_api::kInstallFailed);
    }
  }
  if (auto written = write_set(apps); !written) {
    return refuse_disk(written.error(), device_api::kInstallFailed);
  }
  installed_ = std::move(apps);
  staged_.clear();
  collect_garbage();
  return {};
}

Answer<void> AppStore::remove(const std::vector<Guid>& components) {
  auto apps = installed_;
  std::erase_if(apps, [&](const auto& app) {
    return std::ranges::find(components, app.component) != components.end();
  });
  if (apps.size() == installed_.size()) {
    return {};
  }
  if (auto written = write_set(apps); !written) {
    return refuse_disk(written.error(), device_api::kInternal);
  }
  installed_ = std::move(apps);
  collect_garbage();
  return {};
}

}  // namespace sphere::agent
