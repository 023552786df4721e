// SPDX-License-Identifier: MIT
#include "device-agent/agent/apps/manager.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/agent/apps/admission.h"
#include "device-agent/agent/apps/app.h"
#include "device-agent/agent/apps/output_log.h"
#include "device-agent/agent/apps/process_memory.h"
#include "device-agent/agent/apps/store.h"
#include "device-agent/agent/apps/transitions.h"
#include "device-agent/agent/apps/verified_file.h"
#include "device-agent/agent/refusal.h"
#include "device-agent/agent/sandbox/report.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/device_api/bodies.h"
#include "sphere/device_api/error_code.h"
#include "sphere/image/trust.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::agent {
namespace {

tl::unexpected<Refusal> not_present(const Guid& component) {
  return refuse(device_api::kAppNotPresent,
                fmt::format("app {} is not installed on the board", component.text()),
                "list what is there with: sphere device image list-installed");
}

// What the app's control group is charged, where there is one; else what its process has.
ProcessMemory memory_of(const AppProcess& process) {
  auto memory = process_memory(process.pid());
  const auto* group = process.group();
  if (group != nullptr && group->memory_bytes() > 0) {
    constexpr std::uint64_t kRoundUp = 1023;
    memory.total_kb = (group->memory_bytes() + kRoundUp) / 1024;
    memory.user_kb = (group->user_bytes() + kRoundUp) / 1024;
    memory.peak_kb = std::max(memory.peak_kb, memory.user_kb);
  }
  return memory;
}

}  // namespace

AppManager::AppManager(Parts parts) : parts_{std::move(parts)} {
  for (const auto& stored : parts_.store->installed()) {
    add_app(stored);
  }
}

AppManager::~AppManager() {
  for (auto& [component, app] : apps_) {
    detach(*app);
  }
}

App* AppManager::find(const Guid& component) {
  const auto found = apps_.find(component);
  return found == apps_.end() ? nullptr : found->second.get();
}

const App* AppManager::find(const Guid& component) const {
  const auto found = apps_.find(component);
  return found == apps_.end() ? nullptr : found->second.get();
}

void AppManager::add_app(const StoredApp& stored) {
  auto app = std::make_unique<App>();
  app->stored = stored;
  app->output = std::make_shared<OutputLog>(parts_.logs / stored.component.text(), *parts_.clock);
  load_manifest(*app);
  apps_.insert_or_assign(stored.component, std::move(app));
}

void AppManager::load_manifest(App& app) {
  app.manifest.reset();
  const auto trust = parts_.trust();
  if (!trust) {
    return;
  }
  const auto file = VerifiedFile::open(parts_.store->image_path(app.stored), *trust);
  if (!file) {
    return;  // The start says why.
  }
  if (auto admitted = admit(file->package(), parts_.pins, {})) {
    app.manifest = std::move(admitted->manifest);
  }
}

// The one place where an app changes its state.
bool AppManager::move(App& app, Event event) {
  const auto next = next_phase(app.phase, event);
  if (!next) {
    return false;
  }
  app.phase = *next;
  return true;
}

// An app's set entry goes first when it is deleted, its files after: a power cut may lie between.
void AppManager::remove_leftovers() {
  for (const auto& folder : {parts_.broker->storage_folder(""), parts_.logs}) {
    std::error_code error;
    for (std::filesystem::directory_iterator entry{folder, error}, end; !error && entry != end;
         entry.increment(error)) {
      const auto component = Guid::parse(entry->path().filename().string());
      if (component && parts_.store->find(*component) == nullptr) {
        // What stays is removed at the next start.
        [[maybe_unused]] const auto removed = remove_tree(entry->path());
      }
    }
  }
}

bool AppManager::boot() {
  remove_leftovers();
  const bool left_development = parts_.left_development && parts_.left_development();
  std::vector<Guid> leaving;
  for (const auto& stored : parts_.store->installed()) {
    const bool left = left_development && stored.signed_by == image::Role::development;
    if (stored.temporary || left) {
      leaving.push_back(stored.component);
    }
  }
  const bool removed = parts_.store->remove(leaving).has_value();
  if (removed) {
    for (const auto& component : leaving) {
      erase(component);
    }
  }
  for (const auto& stored : parts_.store->installed()) {
    if (auto* app = find(stored.component)) {
      // A refusal is in the event log; the other apps start all the same.
      [[maybe_unused]] const auto started = start_now(*app, Event::start);
    }
  }
  return removed;
}

void AppManager::start(const Guid& component, const Done& done) {
  auto* app = find(component);
  if (app == nullptr) {
    done(not_present(component));
    return;
  }
  if (app->phase == Phase::stopping) {
    app->on_stopped.emplace_back([this, component, done] { start(component, done); });
    return;
  }
  if (app->phase == Phase::running) {
    done({});
    return;
  }
  if (app->phase == Phase::debugging) {
    stop_app(*app, [this, component, done] { start(component, done); });
    return;
  }
  app->backoff.clear();
  done(start_now(*app, Event::start));
}

void AppManager::stop(const Guid& component, const Done& done) {
  auto* app = find(component);
  if (app == nullptr) {
    done(not_present(component));
    return;
  }
  stop_app(*app, [done] { done({}); });
}

void AppManager::stop_app(App& app, const std::function<void()>& stopped) {
  if (app.phase == Phase::running || app.phase == Phase::debugging) {
    move(app, Event::stop);
    app.process->terminate();
    app.debug.reset();  // An app that stands goes on, with the signal, and has its grace.
    if (app.timer) {    // That of its recovery.
      parts_.loop->cancel(*app.timer);
    }
    app.timer = parts_.loop->after(kStopGrace, [&app] {
      app.timer.reset();
      if (app.process) {
        app.process->kill();
      }
    });
  }
  if (app.phase == Phase::stopping) {
    app.on_stopped.push_back(stopped);
    return;
  }
  if (app.timer) {
    parts_.loop->cancel(*std::exchange(app.timer, std::nullopt));
  }
  move(app, Event::stop);
  stopped();
}

void AppManager::remove(const Guid& component, const Done& done) {
  auto* app = find(component);
  if (app == nullptr) {
    done({});
    return;
  }
  stop_app(*app, [this, component, done] {
    if (auto removed = parts_.store->remove({component}); !removed) {
      done(removed);
      return;
    }
    erase(component);
    done({});
  });
}

void AppManager::erase(const Guid& component) {
  if (auto* app = find(component)) {
    move(*app, Event::removed);
    app->output->close();
  }
  apps_.erase(component);
  // What cannot be removed now holds no app any more; it is only space.
  [[maybe_unused]] const auto storage =
      remove_tree(parts_.broker->storage_folder(component.text()));
  [[maybe_unused]] const auto log = remove_tree(parts_.logs / component.text());
}

Answer<std::vector<AppManager::Candidate>> AppManager::check_staged() const {
  const auto trust = parts_.trust();
  if (!trust) {
    return refuse_trust(trust.error());
  }
  const auto& staged = parts_.store->staged();
  std::vector<PinClaim> claims;
  for (const auto& [component, app] : apps_) {
    const bool replaced = std::ranges::any_of(staged, [&](const auto& candidate) {
      return candidate.component == app->stored.component;
    });
    if (const auto& manifest = app->manifest; !replaced && manifest) {
      const auto more = claims_of(*manifest);
      claims.insert(claims.end(), more.begin(), more.end());
    }
  }
  std::vector<Candidate> candidates;
  for (const auto& stored : staged) {
    SPHERE_TRY_ASSIGN(const auto file,
                      VerifiedFile::open(parts_.store->staged_path(stored), *trust));
    const auto* old = parts_.store->find(stored.component);
    SPHERE_TRY(
        admit_version(*file.package(), parts_.board, old == nullptr ? 0 : old->security_version));
    SPHERE_TRY_ASSIGN(auto admitted, admit(file.package(), parts_.pins, claims));
    const auto more = claims_of(admitted.manifest);
    claims.insert(claims.end(), more.begin(), more.end());
    candidates.push_back({.stored = stored, .manifest = std::move(admitted.manifest)});
  }
  return candidates;
}

void AppManager::install(bool start_apps, const Done& done) {
  if (parts_.store->staged().empty()) {
    done({});
    return;
  }
  auto candidates = check_staged();
  if (!candidates) {
    parts_.store->drop_staged();
    done(tl::unexpected<Refusal>{std::move(candidates).error()});
    return;
  }
  std::vector<Guid> components;
  std::vector<App*> replaced;
  for (const auto& candidate : *candidates) {
    components.push_back(candidate.stored.component);
    auto* app = find(candidate.stored.component);
    if (app != nullptr && app->stored.image != candidate.stored.image) {
      replaced.push_back(app);
    }
  }
  // The last of the replaced apps to end goes on.
  const auto left = std::make_shared<std::size_t>(replaced.size() + 1);  // Shared by the callbacks.
  const auto next = [this, left, components, start_apps, done] {
    if (--*left == 0) {
      finish_install(components, start_apps, done);
    }
  };
  for (auto* app : replaced) {
    stop_app(*app, next);
  }
  next();
}

void AppManager::finish_install(const std::vector<Guid>& components, bool start_apps,
                                const Done& done) {
  if (auto committed = parts_.store->commit(); !committed) {
    parts_.store->drop_staged();
    // The old versions are still what the board has.
    [[maybe_unused]] const auto started = start_installed(components);
    done(committed);
    return;
  }
  for (const auto& component : components) {
    const auto* stored = parts_.store->find(component);
    auto* app = find(component);
    if (stored != nullptr && app == nullptr) {
      add_app(*stored);
    } else if (stored != nullptr && app->stored.image != stored->image) {
      app->stored = *stored;
      app->backoff.clear();
      app->restarts = 0;
      load_manifest(*app);
      move(*app, Event::installed);
    } else if (stored != nullptr) {
      // The same image, perhaps signed anew: it goes on running, but its file is another one.
      app->stored = *stored;
    }
    parts_.events->add("AppUpdate", component.text(), stored != nullptr ? stored->image.text() : "",
                       json::Value{}.set("result", "installed"));
  }
  done(start_apps ? start_installed(components) : Answer<void>{});
}

Answer<void> AppManager::start_installed(const std::vector<Guid>& components) {
  Answer<void> first;
  for (const auto& component : components) {
    auto* app = find(component);
    if (app == nullptr || app->phase == Phase::running || app->phase == Phase::debugging) {
      continue;
    }
    app->backoff.clear();
    if (auto started = start_now(*app, Event::start); !started && first) {
      first = started;
    }
  }
  return first;
}

void AppManager::shut_down(const std::function<void()>& done) {
  closing_ = true;
  const auto left = std::make_shared<std::size_t>(apps_.size() + 1);  // Shared by the callbacks.
  const auto next = [left, done] {
    if (--*left == 0) {
      done();
    }
  };
  for (auto& [component, app] : apps_) {
    stop_app(*app, next);
  }
  next();
}

Phase AppManager::phase(const Guid& component) const {
  const auto* app = find(component);
  return app == nullptr ? Phase::absent : app->phase;
}

std::vector<device_api::App> AppManager::list() const {
  std::vector<device_api::App> apps;
  for (const auto& stored : parts_.store->installed()) {
    const auto* app = find(stored.component);
    if (app == nullptr) {
      continue;
    }
    device_api::App entry{
        .component_id = stored.component.text(),
        .image_id = stored.image.text(),
        .name = stored.name,
        .state = to_app_state(app->phase),
        .temporary = stored.temporary,
        .signed_by = stored.signed_by == image::Role::production ? "production" : "development",
        .restarts = app->restarts};
    entry.last_exit = app->last_exit;
    if (app->process) {
      entry.memory_bytes = static_cast<std::int64_t>(memory_of(*app->process).total_kb * 1024);
      entry.started_at = app->started_at;
    }
    apps.push_back(std::move(entry));
  }
  return apps;
}

std::optional<SandboxReport> AppManager::sandbox(const Guid& component) const {
  const auto* app = find(component);
  if (app == nullptr || !app->sandbox) {
    return std::nullopt;
  }
  auto report = app->sandbox;
  const auto rejects = app->network ? app->network->describe_rejects() : std::string{};
  for (auto& layer : report->layers) {
    if (layer.id == "L11" && !rejects.empty()) {
      layer.detail += (layer.detail.empty() ? "" : "; ") + rejects;
    }
  }
  return report;
}

std::shared_ptr<OutputLog> AppManager::output(const Guid& component) const {
  const auto* app = find(component);
  return app == nullptr ? nullptr : app->output;
}

const manifest::Manifest* AppManager::manifest(const Guid& component) const {
  const auto* app = find(component);
  return app == nullptr || !app->manifest ? nullptr : &*app->manifest;
}

std::uint64_t AppManager::memory_kb(std::uint32_t attribute) const {
  std::uint64_t sum = 0;
  for (const auto& [component, app] : apps_) {
    if (app->process) {
      const auto memory = memory_of(*app->process);
      const auto user_or_peak = attribute == 1 ? memory.user_kb : memory.peak_kb;
      sum += attribute == 0 ? memory.total_kb : user_or_peak;
    }
  }
  return sum;
}

}  // namespace sphere::agent
