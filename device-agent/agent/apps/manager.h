// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "device-agent/agent/apps/admission.h"
#include "device-agent/agent/apps/app.h"
#include "device-agent/agent/apps/last_exit.h"
#include "device-agent/agent/apps/output_log.h"
#include "device-agent/agent/apps/store.h"
#include "device-agent/agent/apps/transitions.h"
#include "device-agent/agent/broker/service.h"
#include "device-agent/agent/debug/debug_session.h"
#include "device-agent/agent/event_log.h"
#include "device-agent/agent/loop.h"
#include "device-agent/agent/refusal.h"
#include "device-agent/agent/sandbox/dns_stub.h"
#include "device-agent/agent/sandbox/firewall.h"
#include "device-agent/agent/sandbox/launcher.h"
#include "device-agent/agent/sandbox/planner.h"
#include "device-agent/agent/sandbox/policy.h"
#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/device_api/bodies.h"
#include "sphere/image/trust.h"
#include "sphere/json/value.h"

namespace sphere::agent {

inline constexpr std::size_t kMaxImageBytes = std::size_t{64} * 1024 * 1024;

// Installs, starts, watches, stops and removes apps. Belongs to the loop's thread; what it is given
// must outlive it. Calls that take a Done answer through it, at once or when the app has got there.
class AppManager {
 public:
  using Done = std::function<void(Answer<void>)>;
  static constexpr std::chrono::milliseconds kStopGrace{500};

  struct Parts {
    Loop* loop;
    const Clock* clock;
    AppStore* store;
    Launcher* launcher;
    BrokerService* broker;
    EventLog* events;
    std::function<Result<image::TrustStore>()> trust;
    std::vector<std::int64_t> pins;  // Of the board.
    std::string board = {};          // What kind it is: "mt3620-rdb".
    std::filesystem::path staging;   // Empty directory for the launcher.
    std::filesystem::path runtime;   // <sdk>/Runtime
    std::filesystem::path logs;      // One folder an app below it.
    bool rootless = false;
    // What the kernel gives, tried when it is first needed; the firewall only with `network`.
    std::function<const KernelFeatures&(bool network)> kernel;
    Policy policy = Policy::production;     // What a start is wanted under.
    std::function<bool()> may_be_dev = {};  // Empty: yes.
    // Whether boot() erases what only a development key signed. Empty: no.
    std::function<bool()> left_development = {};
    MemoryBudget memory = {};
    std::function<Result<Firewall*>()> firewall = {};  // Made when it is first needed.
    std::function<std::vector<DnsStub::Server>()> name_servers = {};
    std::filesystem::path debug_sockets = {};  // Folder of the debug ports; empty: no debugger.
  };
  explicit AppManager(Parts parts);
  AppManager(const AppManager&) = delete;
  AppManager& operator=(const AppManager&) = delete;
  AppManager(AppManager&&) = delete;
  AppManager& operator=(AppManager&&) = delete;
  ~AppManager();

  // Removes temporary images, then starts all others in the order of the set. False when those that
  // had to go could not be removed.
  bool boot();
  // Clears the back-off. Answers when the program runs, or why it does not.
  void start(const Guid& component, const Done& done);
  // Starts the app under the debugger, stopping it before if it runs. Answers when it stands at its
  // first instruction and both debug ports listen. One app at a time.
  void start_debug(const Guid& component, const Done& done);
  // SIGTERM, after kStopGrace SIGKILL. Answers when nothing of the app is left.
  void stop(const Guid& component, const Done& done);
  // Installs all that is staged as one, or nothing. Answers when the new apps run (or, without
  // `start_apps`, are stopped).
  void install(bool start_apps, const Done& done);
  // Stops the app and removes its image, storage and output. Not there: success.
  void remove(const Guid& component, const Done& done);
  // Ends all apps, with their grace, for good.
  void shut_down(const std::function<void()>& done);

  [[nodiscard]] Phase phase(const Guid& component) const;
  [[nodiscard]] std::vector<device_api::App> list() const;
  // What DebugSession::status() says, with "state"; nothing for an app that is not debugged.
  [[nodiscard]] std::optional<json::Value> debug_status(const Guid& component) const;
  [[nodiscard]] std::optional<SandboxReport> sandbox(const Guid& component) const;
  // Shared with the followers of the output.
  [[nodiscard]] std::shared_ptr<OutputLog> output(const Guid& component) const;
  [[nodiscard]] const manifest::Manifest* manifest(const Guid& component) const;
  // 0 total, 1 user mode, 2 peak of user mode, of all apps.
  [[nodiscard]] std::uint64_t memory_kb(std::uint32_t attribute) const;

 private:
  struct Candidate {
    StoredApp stored;
    manifest::Manifest manifest;
  };

  [[nodiscard]] App* find(const Guid& component);
  [[nodiscard]] const App* find(const Guid& component) const;
  void add_app(const StoredApp& stored);
  void load_manifest(App& app);
  static bool move(App& app, Event event);
  enum class Mode : std::uint8_t { plain, debug };
  [[nodiscard]] Answer<void> start_now(App& app, Event event, Mode mode = Mode::plain);
  [[nodiscard]] Answer<void> launch(App& app, Mode mode);
  [[nodiscard]] Result<Plan> plan_for(const App& app, const Admitted& admitted, Mode mode) const;
  [[nodiscard]] Answer<void> begin_debug(App& app, std::unique_ptr<DebugSession> session,
                                         Descriptor stub);
  void end_debug(const Guid& component);
  [[nodiscard]] Result<std::unique_ptr<AppNetwork>> open_network(
      const App& app, const Plan& plan, const manifest::Capabilities& capabilities);
  void attach(App& app, std::unique_ptr<AppProcess> process, BrokerSession::Parts broker);
  void on_output(App& app);
  void on_process(App& app);
  // How a process ended, gathered before it is let go.
  [[nodiscard]] static AppEnd end_of(const App& app, const ExitStatus& status);
  void note_exit(App& app, const AppEnd& end);
  void note_signal(const App& app, const AppEnd& end);
  void watch_recovery(App& app);
  void restart_later(App& app, std::chrono::nanoseconds delay);
  void detach(App& app);
  void stop_app(App& app, const std::function<void()>& stopped);
  void erase(const Guid& component);
  void remove_leftovers();
  [[nodiscard]] Answer<std::vector<Candidate>> check_staged() const;
  void finish_install(const std::vector<Guid>& components, bool start_apps, const Done& done);
  [[nodiscard]] Answer<void> start_installed(const std::vector<Guid>& components);

  Parts parts_;
  std::map<Guid, std::unique_ptr<App>> apps_;
  bool closing_ = false;
};

}  // namespace sphere::agent
