// SPDX-License-Identifier: MIT
#include "device-agent/agent/agent.h"

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "device-agent/agent/apps/disk.h"
#include "device-agent/agent/apps/manager.h"
#include "device-agent/agent/apps/store.h"
#include "device-agent/agent/board_link_client.h"
#include "device-agent/agent/board_state.h"
#include "device-agent/agent/broker/network_state.h"
#include "device-agent/agent/broker/service.h"
#include "device-agent/agent/event_log.h"
#include "device-agent/agent/logs/diagnostic_log.h"
#include "device-agent/agent/logs/telemetry_view.h"
#include "device-agent/agent/loop.h"
#include "device-agent/agent/network/certificates.h"
#include "device-agent/agent/network/interfaces.h"
#include "device-agent/agent/network/proxy.h"
#include "device-agent/agent/network/wifi.h"
#include "device-agent/agent/options.h"
#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/handler.h"
#include "device-agent/agent/rest/services.h"
#include "device-agent/agent/sandbox/cgroup.h"
#include "device-agent/agent/sandbox/dns_stub.h"
#include "device-agent/agent/sandbox/features.h"
#include "device-agent/agent/sandbox/firewall.h"
#include "device-agent/agent/sandbox/launcher.h"
#include "device-agent/agent/sandbox/policy.h"
#include "device-agent/agent/sandbox/private_mounts.h"
#include "device-agent/agent/state/capability_gate.h"
#include "device-agent/agent/version.h"
#include "device-agent/virtual-board/board_link.h"
#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/seal.h"
#include "sphere/device_api/error_code.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace fs = std::filesystem;
namespace {

// For a client that does not fetch the answer to its restart.
constexpr std::chrono::seconds kRestartDelay{2};
constexpr std::size_t kResolverBytes = 65536;

Descriptor take(int number) {
  ::fcntl(number, F_SETFD, FD_CLOEXEC);
  return Descriptor{number};
}

// The parts of a running agent, in the order in which they are made.
class Agent {
 public:
  Agent(const Options& options, const Clock& clock, fs::path program, bool rootless)
      : options_{options},
        clock_{clock},
        rootless_{rootless},
        link_{take(options.board_link)},
        state_{options.state},
        events_{options.state / "log", clock},
        groups_{AgentGroups::find()},
        launcher_{program.parent_path() / "sphere-launch", groups_.tree()} {
    for (const int number : options.listeners) {
      listeners_.push_back(take(number));
    }
  }

  Result<int> run() {
    SPHERE_TRY_ASSIGN(loop_, Loop::create(clock_));
    SPHERE_TRY(open_store());
    SPHERE_TRY(make_manager());
    SPHERE_TRY(start_server());
    loop_->watch(link_.descriptor(), 0, [this](short) { power_off(); });
    events_.add("AgentStarted", "", "",
                json::Value{}.set("version", kAgentVersion).set("rootless", rootless_));
    if (apps_->boot()) {
      state_.forget_leaving_development();
    }
    loop_->run();
    closer_.join();
    return status_;
  }

 private:
  Result<void> open_store() {
    SPHERE_TRY_ASSIGN(auto store, AppStore::open(options_.state / "apps", disk_));
    store_ = std::make_unique<AppStore>(std::move(store));
    return {};
  }

  // The empty directory for the apps' trees. An agent that was killed leaves its mount points
  // there, of which the mounts went with its namespace.
  [[nodiscard]] Result<fs::path> make_staging() const {
    auto staging = options_.runtime / "sandbox";
    SPHERE_TRY(make_directories(staging, 0700));
    std::vector<fs::path> left;
    std::error_code error;
    for (fs::directory_iterator entry{staging, error}, end; !error && entry != end;
         entry.increment(error)) {
      left.push_back(entry->path());
    }
    for (const auto& path : left) {
      fs::remove_all(path, error);
      if (error) {
        return tl::make_unexpected(system_error("remove", path, error.value()));
      }
    }
    return staging;
  }

  Result<void> make_manager() {
    SPHERE_TRY_ASSIGN(services_.facts, link_.info());
    SPHERE_TRY_ASSIGN(services_.device_id, state_.device_id());
    SPHERE_TRY_ASSIGN(const auto staging, make_staging());
    SPHERE_TRY(make_directories(options_.state / "storage", 0700));
    broker_ = std::make_unique<BrokerService>(BrokerService::Parts{
        .board = &link_,
        .network = &network_,
        .events = &events_,
        .storage = options_.state / "storage",
        .os_version = std::string{kOsVersion},
        .is_installed =
            [this](const Guid& component) { return store_->find(component) != nullptr; },
        .memory_kb = [this](std::uint32_t attribute) { return apps_->memory_kb(attribute); }});
    apps_ = std::make_unique<AppManager>(AppManager::Parts{
        .loop = loop_.get(),
        .clock = &clock_,
        .store = store_.get(),
        .launcher = &launcher_,
        .broker = broker_.get(),
        .events = &events_,
        .trust = [this] { return state_.trust(); },
        .pins = services_.facts.pins,
        .board = services_.facts.board_id,
        .staging = staging,
        .runtime = options_.sdk_runtime,
        .logs = options_.state / "log" / "apps",
        .rootless = rootless_,
        .kernel = [this](bool network) -> const KernelFeatures& {
          return kernel_features(network);
        },
        .policy = options_.policy,
        .may_be_dev = [this] { return state_.manufacturing_state() != "DeviceComplete"; },
        .left_development = [this] { return state_.leaves_development(); },
        .memory = {},
        .firewall = [this] { return firewall(); },
        .name_servers =
            [] {
              return servers_in(read_text_file("/etc/resolv.conf", kResolverBytes).value_or(""));
            },
        .debug_sockets = options_.runtime});
    return {};
  }

  Result<Firewall*> firewall() {
    if (!firewall_) {
      SPHERE_TRY_ASSIGN(firewall_, NftFirewall::create());
    }
    return firewall_.get();
  }

  // Without an app on the network there is no firewall and no rule.
  Result<json::Value> firewall_rulesets() {
    return firewall_ ? firewall_->rulesets()
                     : json::Value{}.set("rulesets", json::Value{json::Array{}});
  }

  // Tried when the first app is to start, not before: nobody waits for it at the agent's start.
  const KernelFeatures& kernel_features(bool network) {
    if (!kernel_) {
      kernel_ = probe_kernel(options_.runtime / "sandbox");
      kernel_->memory = groups_.tree().memory();
      kernel_->processes = groups_.tree().processes();
      kernel_->cpu = groups_.tree().cpu();
    }
    if (network && !rootless_ && !std::exchange(firewall_tried_, true)) {
      kernel_->firewall_fault = probe_firewall();
      kernel_->firewall = kernel_->firewall_fault.empty();
    }
    return *kernel_;
  }

  // What the REST API sets and shows beside the apps.
  Result<void> make_settings() {
    const auto& directory = options_.state;
    SPHERE_TRY(make_directories(directory / "network", 0700));
    SPHERE_TRY_ASSIGN(auto seal, crypto::SealingKey::load_or_create(directory / "fuses/seal-key"));
    seal_.emplace(std::move(seal));
    SPHERE_TRY_ASSIGN(auto key, crypto::PrivateKey::from_file(directory / "fuses/device-key.pem"));
    device_key_.emplace(std::move(key));
    log_.emplace(clock_, kAgentVersion);
    gate_.emplace(CapabilityGate::Parts{
        .directory = directory / "capability",
        .device_id = device_key_->public_key().point(),
        .clock = &clock_,
        .keys = [this] { return state_.capability_keys(); },
        .manufacturing_state = [this] { return state_.manufacturing_state(); }});
    state_.set_installed([this] { return installed_numbers(); });
    state_.trust_slots().drop_staged();
    interfaces_.emplace(directory / "network", services_.device_id,
                        [this](std::string_view name, bool up) { switch_interface(name, up); });
    wifi_.emplace(directory / "network", &*seal_);
    proxy_.emplace(directory / "network", &*seal_);
    certificates_.emplace(directory / "network" / "certificates", &*seal_);
    telemetry_.emplace(directory / "log", events_);
    services_.capabilities = &*gate_;
    services_.interfaces = &*interfaces_;
    services_.wifi = &*wifi_;
    services_.proxy = &*proxy_;
    services_.certificates = &*certificates_;
    services_.log = &*log_;
    services_.telemetry = &*telemetry_;
    services_.device_key = &*device_key_;
    return {};
  }

  std::vector<std::int64_t> installed_numbers() const {
    const auto capability = gate_->installed();
    return capability
               ? std::vector<std::int64_t>{capability->numbers.begin(), capability->numbers.end()}
               : std::vector<std::int64_t>{};
  }

  // Apps see the interfaces through the broker, which belongs to the loop.
  void switch_interface(std::string_view name, bool up) {
    loop_->post([this, name = std::string{name}, up] {
      if (auto* interface = network_.find(name)) {
        NetworkState::set_enabled(*interface, up);
      }
    });
  }

  Result<void> start_server() {
    services_.loop = loop_.get();
    services_.clock = &clock_;
    services_.apps = apps_.get();
    services_.store = store_.get();
    services_.events = &events_;
    services_.broker = broker_.get();
    services_.state = &state_;
    services_.board = &link_;
    services_.firewall = [this] { return loop_->call([this] { return firewall_rulesets(); }); };
    SPHERE_TRY(make_settings());
    services_.started = clock_.monotonic();
    services_.begin_restart = [this] {
      services_.ending = true;
      loop_->post(
          [this] { loop_->after(kRestartDelay, [this] { end(board_link::kExitRestart); }); });
    };
    services_.restart = [this] { loop_->post([this] { end(board_link::kExitRestart); }); };
    http::ServerOptions server{.certificate_chain_pem = {}, .private_key_pem = {}};
    SPHERE_TRY_ASSIGN(server.certificate_chain_pem, state_.tls_chain());
    SPHERE_TRY_ASSIGN(server.private_key_pem, state_.tls_key());
    SPHERE_TRY_ASSIGN(const auto leaf, crypto::Certificate::from_pem(server.certificate_chain_pem));
    services_.leaf_spki = crypto::sha256(leaf.public_key().spki());
    server.common_headers = common_headers();
    server.busy = error_answer({.code = device_api::kBusy,
                                .message = "too many requests are waiting",
                                .next = "try again"});
    server.malformed_head_headers = {{"Sphere-Error", std::to_string(device_api::kHeadMalformed)}};
    server.large_head_headers = {{"Sphere-Error", std::to_string(device_api::kHeaderTooLarge)}};
    SPHERE_TRY_ASSIGN(server_,
                      http::Server::start(std::move(listeners_), std::move(server), handler_));
    return {};
  }

  // The board is gone: no grace, there is nobody left to see it.
  void power_off() {
    loop_->forget(link_.descriptor());
    apps_.reset();
    ::_exit(0);
  }

  // Stops the server, whose threads may wait for the loop meanwhile, then the apps, then the loop.
  // Who connects from now on waits for the next run.
  void end(int status) {
    if (std::exchange(ended_, true)) {
      return;
    }
    services_.ending = true;
    status_ = status;
    closer_ = std::thread{[this] {
      server_->stop();
      // For whoever looks at the board's files; the log itself begins anew with each run.
      [[maybe_unused]] const auto saved = log_->save(options_.state / "log" / "diagnostic.bin");
      loop_->post([this] { apps_->shut_down([this] { loop_->quit(); }); });
    }};
  }

  const Options& options_;  // NOLINT(cppcoreguidelines-avoid-const-or-ref-data-members): main's
  const Clock& clock_;      // NOLINT(cppcoreguidelines-avoid-const-or-ref-data-members): main's
  bool rootless_;
  SocketBoardLink link_;
  std::vector<Descriptor> listeners_;
  BoardState state_;
  EventLog events_;
  SystemStoreDisk disk_;
  NetworkState network_;
  AgentGroups groups_;
  SandboxLauncher launcher_;
  std::optional<KernelFeatures> kernel_;
  bool firewall_tried_ = false;
  std::unique_ptr<NftFirewall> firewall_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<AppStore> store_;
  std::unique_ptr<BrokerService> broker_;
  std::unique_ptr<AppManager> apps_;
  std::optional<crypto::SealingKey> seal_;
  std::optional<crypto::PrivateKey> device_key_;
  std::optional<DiagnosticLog> log_;
  std::optional<CapabilityGate> gate_;
  std::optional<InterfaceStore> interfaces_;
  std::optional<WifiStore> wifi_;
  std::optional<ProxyStore> proxy_;
  std::optional<CertificateStore> certificates_;
  std::optional<TelemetryView> telemetry_;
  Services services_;
  RestHandler handler_{services_};
  std::unique_ptr<http::Server> server_;
  std::thread closer_;
  bool ended_ = false;
  int status_ = 0;
};

}  // namespace

Result<int> run_agent(const Options& options, const Clock& clock) {
  [[maybe_unused]] const auto before = ::signal(SIGPIPE, SIG_IGN);
  // In a chroot the kernel names the program by another path once the mounts are private.
  auto program = own_program();
  SPHERE_TRY_ASSIGN(const bool rootless, enter_private_mounts());
  Agent agent{options, clock, std::move(program), rootless};
  return agent.run();
}

}  // namespace sphere::agent
