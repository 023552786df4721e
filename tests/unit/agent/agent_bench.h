// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/apps/disk.h"
#include "device-agent/agent/apps/manager.h"
#include "device-agent/agent/apps/store.h"
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
#include "device-agent/agent/rest/handler.h"
#include "device-agent/agent/rest/services.h"
#include "device-agent/agent/state/capability_gate.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/seal.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"
#include "tests/support/fake_board_link.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_launcher.h"
#include "tests/support/test_package.h"

namespace sphere::test {

// The head of a native program without an interpreter: enough for the checks before a start.
inline std::vector<std::byte> native_program() {
  return read_file(SPHERE_SANDBOX_PROBE, std::size_t{16} << 20U).value();
}

// A whole agent on fakes: files in a folder of its own, time, board and processes from the test.
// The loop runs on a thread of its own; what belongs to it is reached through loop->call().
class AgentBench {
  TemporaryDirectory folder_ = TemporaryDirectory::create().value();

 public:
  explicit AgentBench(std::string_view state = "Blank") {
    REQUIRE(make_directories(path() / "fuses"));
    REQUIRE(make_directories(path() / "trust/development"));
    REQUIRE(write_file(path() / "fuses/manufacturing-state", state));
    REQUIRE(write_file(path() / "trust/development/test.pem", pem_of(signer.public_key())));
    restart();
  }
  AgentBench(const AgentBench&) = delete;
  AgentBench& operator=(const AgentBench&) = delete;
  AgentBench(AgentBench&&) = delete;
  AgentBench& operator=(AgentBench&&) = delete;
  ~AgentBench() { stop(); }

  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }

  // Ends the agent and starts it anew on the same files.
  void restart() {
    stop();
    board_state.emplace(path());
    board_state->trust_slots().drop_staged();
    loop = agent::Loop::create(clock).value();
    events.emplace(path() / "log", clock);
    store.emplace(agent::AppStore::open(path() / "apps", disk).value());
    broker.emplace(agent::BrokerService::Parts{
        .board = &link,
        .network = &network,
        .events = &*events,
        .storage = path() / "storage",
        .os_version = "26.11",
        .is_installed = [this](const Guid& id) { return store->find(id) != nullptr; },
        .memory_kb = [](std::uint32_t attribute) { return std::uint64_t{100} + attribute; }});
    apps.emplace(agent::AppManager::Parts{
        .loop = loop.get(),
        .clock = &clock,
        .store = &*store,
        .launcher = &launcher,
        .broker = &*broker,
        .events = &*events,
        .trust = [this] { return board_state->trust(); },
        .pins = link.info().value().pins,
        .staging = path() / "sandbox",
        .runtime = path() / "runtime",
        .logs = path() / "log/apps",
        .kernel = [kernel = full_kernel()](bool) -> const agent::KernelFeatures& { return kernel; },
        .left_development = [this] { return board_state->leaves_development(); },
        .debug_sockets = debugger ? path() : ""});
    log.emplace(clock, "test");
    gate.emplace(agent::CapabilityGate::Parts{
        .directory = path() / "capability",
        .device_id = device_key.public_key().point(),
        .clock = &clock,
        .keys = [this] { return board_state->capability_keys(); },
        .manufacturing_state = [this] { return board_state->manufacturing_state(); }});
    board_state->set_installed([this] {
      const auto capability = gate->installed();
      return capability
                 ? std::vector<std::int64_t>{capability->numbers.begin(), capability->numbers.end()}
                 : std::vector<std::int64_t>{};
    });
    interfaces.emplace(path() / "network", std::string(128, 'a'),
                       [this](std::string_view name, bool up) {
                         switched.push_back(std::string{name} + (up ? " up" : " down"));
                       });
    wifi.emplace(path() / "network", &seal);
    proxy.emplace(path() / "network", &seal);
    certificates.emplace(path() / "network/certificates", &seal);
    telemetry.emplace(path() / "log", *events);
    services.emplace();
    services->capabilities = &*gate;
    services->interfaces = &*interfaces;
    services->wifi = &*wifi;
    services->proxy = &*proxy;
    services->certificates = &*certificates;
    services->log = &*log;
    services->telemetry = &*telemetry;
    services->device_key = &device_key;
    services->loop = loop.get();
    services->clock = &clock;
    services->apps = &*apps;
    services->store = &*store;
    services->events = &*events;
    services->broker = &*broker;
    services->state = &*board_state;
    services->board = &link;
    services->facts = link.info().value();
    services->device_id = std::string(128, 'a');
    services->started = clock.monotonic();
    services->begin_restart = [this] { services->ending = true; };
    services->restart = [this] { ++restarts; };
    handler.emplace(*services);
    thread_ = std::thread{[this] { loop->run(); }};
    on_loop([this] { CHECK(apps->boot()); });
  }

  struct Answer {
    int status = 0;
    http::Headers headers;
    std::string text;
    bool close = false;
    bool hang_up = false;
    std::chrono::milliseconds delay{0};
    std::function<void()> after;
    http::BodyStream stream;
    [[nodiscard]] json::Value body() const { return json::parse(text).value_or(json::Value{}); }
    [[nodiscard]] std::string header(std::string_view name) const {
      return http::find_header(headers, name).value_or("");
    }
  };

  // Sends a request as the server would, the body in pieces.
  Answer send(const std::string& method, const std::string& target, std::string_view body = "",
              const std::string& type = "application/json", http::Headers more = {}) {
    http::Request request{.method = method, .target = target, .headers = std::move(more)};
    if (!body.empty()) {
      request.headers.emplace_back("Content-Type", type);
    }
    if (!http::find_header(request.headers, "Host")) {
      request.headers.emplace_back("Host", "192.168.35.2");
    }
    auto decision = handler->on_request(request, body.size());
    if (auto* answer = std::get_if<http::Response>(&decision)) {
      return convert(std::move(*answer));
    }
    auto& sink = *std::get<std::unique_ptr<http::BodySink>>(decision);
    while (!body.empty()) {
      const auto piece = body.substr(0, 1000);
      body.remove_prefix(piece.size());
      if (!sink.write(piece)) {
        break;
      }
    }
    return convert(sink.finish());
  }

  struct Wish {
    int component = 1;
    int image = 11;
    std::string capabilities = "{}";
    bool temporary = false;
    std::uint32_t api_set = 15;
  };

  Answer stage(const Wish& wish) {
    const auto component = test_guid(wish.component);
    const auto package =
        signer.package({.manifest = manifest_text(component, wish.capabilities),
                        .files = {{"bin/app", {.content = native_program(), .executable = true}}},
                        .component = component,
                        .image = test_guid(wish.image),
                        .temporary = wish.temporary ? 1 : 0,
                        .api_set = wish.api_set});
    return stage_bytes(package);
  }

  Answer stage_bytes(const std::vector<std::byte>& package) {
    std::string text;
    for (const auto byte : package) {
      text.push_back(std::to_integer<char>(byte));
    }
    return send("PUT", "/update/stage", text, "application/octet-stream");
  }

  Answer install(const Wish& wish) {
    REQUIRE(stage(wish).status == 200);
    return send("POST", "/update/install");
  }

  template <typename Work>
  void on_loop(Work work) {
    static_cast<void>(loop->call([&] {
      work();
      return true;
    }));
  }

  // Lets the loop do what it has to, then looks.
  template <typename Look>
  bool soon(Look look) {
    for (int turn = 0; turn < 500; ++turn) {
      if (loop->call([&] { return static_cast<bool>(look()); })) {
        return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    return false;
  }

  [[nodiscard]] std::string state_of(int component) {
    return send("GET", "/app/status/" + test_guid(component).text())
        .body()
        .string_at("state")
        .value_or("");
  }

  FakeClock clock;
  TestSigner signer;
  FakeBoardLink link;
  FakeLauncher launcher;
  agent::SystemStoreDisk disk;
  agent::NetworkState network;
  std::unique_ptr<agent::Loop> loop;
  std::optional<agent::BoardState> board_state;
  std::optional<agent::EventLog> events;
  std::optional<agent::AppStore> store;
  std::optional<agent::BrokerService> broker;
  std::optional<agent::AppManager> apps;
  crypto::PrivateKey device_key = crypto::PrivateKey::generate().value();
  crypto::SealingKey seal = crypto::SealingKey::load_or_create(path() / "seal-key").value();
  std::optional<agent::DiagnosticLog> log;
  std::optional<agent::CapabilityGate> gate;
  std::optional<agent::InterfaceStore> interfaces;
  std::optional<agent::WifiStore> wifi;
  std::optional<agent::ProxyStore> proxy;
  std::optional<agent::CertificateStore> certificates;
  std::optional<agent::TelemetryView> telemetry;
  std::vector<std::string> switched;  // "wlan0 down", in order.
  std::optional<agent::Services> services;
  std::optional<agent::RestHandler> handler;
  int restarts = 0;
  bool debugger = true;  // Of the next restart().

 private:
  static Answer convert(http::Response response) {
    Answer answer{.status = response.status,
                  .headers = std::move(response.headers),
                  .text = {},
                  .close = response.close,
                  .hang_up = response.hang_up,
                  .delay = response.delay,
                  .after = std::move(response.after),
                  .stream = {}};
    if (auto* text = std::get_if<std::string>(&response.body)) {
      answer.text = std::move(*text);
    } else {
      answer.stream = std::get<http::BodyStream>(std::move(response.body));
    }
    return answer;
  }

  static std::string pem_of(const crypto::PublicKey& key) {
    return "-----BEGIN PUBLIC KEY-----\n" + to_base64(key.spki()) + "\n-----END PUBLIC KEY-----\n";
  }

  void stop() {
    if (thread_.joinable()) {
      loop->quit();
      thread_.join();
      handler.reset();
      services.reset();
      apps.reset();
    }
  }

  std::thread thread_;
};

}  // namespace sphere::test
