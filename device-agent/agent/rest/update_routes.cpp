// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "device-agent/agent/apps/admission.h"
#include "device-agent/agent/apps/manager.h"
#include "device-agent/agent/apps/store.h"
#include "device-agent/agent/apps/verified_file.h"
#include "device-agent/agent/refusal.h"
#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/development.h"
#include "device-agent/agent/rest/routes.h"
#include "device-agent/agent/rest/services.h"
#include "device-agent/agent/state/trust_slots.h"
#include "device-agent/agent/state/trust_update.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/device_api/bodies.h"
#include "sphere/device_api/device_log.h"
#include "sphere/device_api/error_code.h"
#include "sphere/http/server.h"
#include "sphere/image/capability.h"
#include "sphere/image/merkle.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sign_v2.h"
#include "sphere/image/trust.h"
#include "sphere/image/trust_image.h"
#include "sphere/json/value.h"

namespace sphere::agent::update_routes {
namespace fs = std::filesystem;
namespace {

Refusal too_large() {
  return {.code = device_api::kContentLength,
          .message = fmt::format("a package has at most {} bytes on this board", kMaxImageBytes)};
}

Refusal no_space() {
  return {.code = device_api::kNoSpace,
          .message = "no space left on the board",
          .next = "delete an app and try again"};
}

// Where an uploaded capability file waits for install.
fs::path staged_capability(const Services& services) {
  return services.state->directory() / "capability" / "staged.bin";
}

constexpr std::size_t kCapabilityLimit = 4096;

bool is_capability(const fs::path& file) {
  const auto bytes = read_file(file, kCapabilityLimit);
  const auto metadata = bytes ? image::read_metadata(*bytes) : fail(Errc::too_large, "");
  return metadata && metadata->identity.image_type == image::kCapability;
}

Answer<void> stage_capability(const Services& services, const fs::path& file) {
  const auto bytes = read_file(file, kCapabilityLimit);
  if (!bytes) {
    return refuse(device_api::kPackageInvalid, bytes.error());
  }
  SPHERE_TRY(services.capabilities->check_installable(*bytes));
  const auto target = staged_capability(services);
  const auto stored = make_directories(target.parent_path(), 0700).and_then([&] {
    return write_file(target, *bytes, {.mode = 0600});
  });
  return stored ? Answer<void>{} : Answer<void>{refuse(device_api::kInternal, stored.error())};
}

// True when a staged capability file became the installed one; it counts after the restart.
Answer<bool> install_capability(Services& services) {
  const auto staged = staged_capability(services);
  const auto bytes = read_file(staged, kCapabilityLimit);
  if (!bytes) {
    return false;
  }
  const auto capability = services.capabilities->check_installable(*bytes);
  const bool development =
      capability &&
      std::ranges::find(capability->numbers, image::kAppDevelopment) != capability->numbers.end();
  const bool stays = development || services.state->has_own_capability(kAppDevelopment);
  if (capability && !stays) {
    if (const auto noted = services.state->note_leaving_development(); !noted) {
      return tl::unexpected<Refusal>{
          {.code = device_api::kInternal, .message = "the board could not store the capability"}};
    }
  }
  const auto installed = services.capabilities->install(*bytes);
  ::unlink(staged.c_str());  // Refused or not: the staged set is gone.
  if (!installed || !capability) {
    return tl::unexpected<Refusal>{!installed ? installed.error() : capability.error()};
  }
  services.loop->post([&services, id = file_id_of(*capability)] {
    services.events->add("CapabilityUsed", "", "",
                         json::Value{}.set("file_id", id).set("verb", "install").set("result", 0));
  });
  services.log->write(
      device_api::kLogCapability,
      std::move(device_api::LogParameters{}.text(file_id_of(*capability)).text("installed")));
  leave_development(services, stays);
  return true;
}

// The staged trust store, if there is one and it may be installed; else nothing, or why not. Staged
// no longer, whatever becomes of it.
Answer<bool> install_trust_store(Services& services) {
  auto& slots = services.state->trust_slots();
  const auto bytes = read_file(slots.staged(), kTrustPackageLimit);
  slots.drop_staged();
  if (!bytes) {
    return bytes.error().code() == Errc::not_found
               ? Answer<bool>{false}
               : Answer<bool>{refuse(device_api::kInstallFailed, bytes.error())};
  }
  SPHERE_TRY_ASSIGN(const auto update,
                    check_trust_update(*bytes, *services.state, services.facts.board_id));
  if (const auto installed = slots.install(*bytes, update.record.version); !installed) {
    return refuse(device_api::kInstallFailed, installed.error());
  }
  services.loop->post([&services, version = update.record.version, image = update.image] {
    services.events->add("TrustStoreInstalled", image::trust_store_component().text(), image.text(),
                         json::Value{}.set("version", std::int64_t{version}));
  });
  return true;
}

Answer<void> stage_trust_store(Services& services, const fs::path& file) {
  const auto bytes = read_file(file, kTrustPackageLimit);
  if (!bytes) {
    return refuse(bytes.error().code() == Errc::too_large ? device_api::kPackageTooLarge
                                                          : device_api::kPackageInvalid,
                  bytes.error());
  }
  SPHERE_TRY(check_trust_update(*bytes, *services.state, services.facts.board_id));
  const auto stored = services.state->trust_slots().stage(*bytes);
  if (!stored) {
    return stored.error().code() == Errc::no_space
               ? Answer<void>{tl::unexpected<Refusal>{no_space()}}
               : Answer<void>{refuse(device_api::kInternal, stored.error())};
  }
  return {};
}

// Streams an upload into a file of the store, then checks it and hands it over. Until then the
// store does not know it, and the destructor removes it.
class StageBody final : public http::BodySink {
 public:
  StageBody(Services& services, std::filesystem::path path, Descriptor file)
      : services_{&services}, path_{std::move(path)}, file_{std::move(file)} {}
  StageBody(const StageBody&) = delete;
  StageBody& operator=(const StageBody&) = delete;
  StageBody(StageBody&&) = delete;
  StageBody& operator=(StageBody&&) = delete;
  ~StageBody() override {
    ::unlink(path_.c_str());
    services_->staging = false;
  }

  bool write(std::string_view piece) override {
    if (piece.size() > kMaxImageBytes - bytes_) {
      refused_ = too_large();
      return false;
    }
    bytes_ += piece.size();
    const auto written = write_all(file_.get(), std::as_bytes(std::span{piece}), path_);
    if (!written) {
      refused_ = written.error().code() == Errc::no_space
                     ? no_space()
                     : Refusal{.code = device_api::kPackageInvalid,
                               .message = "the board could not store the package"};
      return false;
    }
    return true;
  }

  http::Response finish() override {
    if (refused_) {
      auto answer = error_answer(*refused_);
      answer.close = true;
      return answer;
    }
    const auto staged = check_and_stage();
    return staged ? json_answer(json::Value{json::Object{}}) : error_answer(staged.error());
  }

 private:
  Answer<void> check_and_stage() {
    if (is_capability(path_)) {
      const std::lock_guard guard{services_->change};
      return stage_capability(*services_, path_);
    }
    if (is_trust_store(path_)) {
      const std::lock_guard guard{services_->change};
      return stage_trust_store(*services_, path_);
    }
    const auto trust = services_->state->trust();
    if (!trust) {
      return refuse_trust(trust.error());
    }
    SPHERE_TRY_ASSIGN(auto file, VerifiedFile::open(path_, *trust));
    SPHERE_TRY(admit_to_stage(*file.package()));
    if (file.is_compressed()) {
      SPHERE_TRY_ASSIGN(file, expand(file, *trust));
    }
    const auto app = describe(file.package(), file.bytes());
    const std::lock_guard guard{services_->change};
    return services_->loop->call([&]() -> Answer<void> {
      const auto* old = services_->store->find(app.component);
      SPHERE_TRY(admit_version(*file.package(), services_->facts.board_id,
                               old == nullptr ? 0 : old->security_version));
      return services_->store->stage(path_, app);
    });
  }

  // Puts the expanded form of a compressed package in its place: the form that the board keeps.
  [[nodiscard]] Answer<VerifiedFile> expand(const VerifiedFile& file,
                                            const image::TrustStore& trust) const {
    const auto& layout = *file.package()->layout;
    const auto body = layout.tree.shape.data_blocks() * image::kMerkleBlockSize;
    if (body + (file.package()->size - layout.body_area) > kMaxImageBytes) {
      return tl::unexpected<Refusal>{too_large()};
    }
    auto expanded = AtomicFile::create(path_, {.mode = 0600});
    auto written = expanded
                       ? image::write_expanded_form(
                             *file.package(), {.descriptor = expanded->descriptor(), .name = path_})
                             .and_then([&](std::uint64_t) { return expanded->commit(); })
                       : tl::make_unexpected(expanded.error());
    if (!written) {
      return written.error().code() == Errc::no_space
                 ? Answer<VerifiedFile>{tl::unexpected<Refusal>{no_space()}}
                 : Answer<VerifiedFile>{refuse(device_api::kPackageInvalid, written.error())};
    }
    return VerifiedFile::open(path_, trust);
  }

  Services* services_;
  std::filesystem::path path_;
  Descriptor file_;
  std::size_t bytes_ = 0;
  std::optional<Refusal> refused_;
};

device_api::Component component_of(const StoredApp& app, bool staged) {
  device_api::Component component{.uid = app.component.text(),
                                  .image_type = image::kApplication,
                                  .is_update_staged = staged,
                                  .does_image_type_require_restart = false,
                                  .name = app.name,
                                  .images = {}};
  component.images.push_back({.uid = app.image.text(),
                              .length_in_bytes = static_cast<std::int64_t>(app.bytes),
                              .uncompressed_length_in_bytes = static_cast<std::int64_t>(app.bytes),
                              .replica_type = 0});
  return component;
}

device_api::Component component_of(const StoredTrust& store, bool staged) {
  device_api::Component component{.uid = image::trust_store_component().text(),
                                  .image_type = image::kTrustedKeyStore,
                                  .is_update_staged = staged,
                                  .does_image_type_require_restart = false,
                                  .name = fmt::format("trust-store {}", store.record.version),
                                  .images = {}};
  const auto bytes = static_cast<std::int64_t>(store.bytes);
  component.images.push_back({.uid = store.image.text(),
                              .length_in_bytes = bytes,
                              .uncompressed_length_in_bytes = bytes,
                              .replica_type = 0});
  return component;
}

}  // namespace

http::Response get_images(Call& call) {
  auto& store = *call.services->store;
  const auto& slots = call.services->state->trust_slots();
  const auto trust = slots.active();
  const auto images = call.services->loop->call([&] {
    device_api::Images list;
    std::error_code none;
    const bool has_staged_trust = fs::exists(slots.staged(), none);
    list.has_staged_updates = has_staged_trust || !store.staged().empty() ||
                              fs::exists(staged_capability(*call.services), none);
    list.restart_required = false;
    if (trust && *trust) {
      list.components.push_back(component_of(**trust, has_staged_trust));
    }
    for (const auto& app : store.installed()) {
      const bool staged = std::ranges::any_of(
          store.staged(), [&](const auto& other) { return other.component == app.component; });
      list.components.push_back(component_of(app, staged));
    }
    return list;
  });
  return json_answer(device_api::to_json(images));
}

http::Response install(Call& call) {
  const auto mode = call.body.string_at("appControlMode");
  const bool wrong_kind = !call.body.is_null() && call.body.kind() != json::Kind::object;
  if (wrong_kind ||
      (call.body.find("appControlMode") != nullptr && mode != "Manual" && mode != "Auto")) {
    return error_answer(
        {.code = device_api::kJsonInvalid, .message = "appControlMode is neither Manual nor Auto"},
        {.status = 400});
  }
  const bool start_apps = mode != "Manual";
  // First of all, so that what comes with it is checked against the new keys.
  if (const auto trust = install_trust_store(*call.services); !trust) {
    call.services->loop->post([store = call.services->store] { store->drop_staged(); });
    ::unlink(staged_capability(*call.services).c_str());
    return error_answer(trust.error());
  }
  const auto installed =
      await_for(*call.services, kInstallLimit,
                [services = call.services, start_apps](const AppManager::Done& done) {
                  services->apps->install(start_apps, done);
                });
  if (!installed) {
    ::unlink(staged_capability(*call.services).c_str());
    return error_answer(installed.error());
  }
  const auto restart = install_capability(*call.services);
  if (!restart) {
    return error_answer(restart.error());
  }
  if (!*restart) {
    return json_answer(json::Value{json::Object{}});
  }
  auto answer = json_answer(json::Value{}.set("restartingSystem", true));
  answer.close = true;
  answer.after = call.services->restart;
  call.services->begin_restart();
  return answer;
}

http::Decision stage(Services& services, std::optional<std::uint64_t> content_length) {
  if (content_length.value_or(0) > kMaxImageBytes) {
    auto answer = error_answer(too_large());
    answer.close = true;
    return answer;
  }
  if (services.staging.exchange(true)) {
    return error_answer({.code = device_api::kBusy,
                         .message = "another package is being uploaded",
                         .next = "try again"});
  }
  auto path = services.loop->call([&] { return services.store->upload_path(); });
  Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!file) {
    const bool full = errno == ENOSPC || errno == EDQUOT;
    services.staging = false;
    return error_answer(full ? no_space()
                             : Refusal{.code = device_api::kInternal,
                                       .message = "the board could not store the package"});
  }
  return std::make_unique<StageBody>(services, std::move(path), std::move(file));
}

}  // namespace sphere::agent::update_routes
