// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/device_api/bodies.h"
#include "sphere/device_api/network.h"
#include "sphere/http/client.h"

namespace sphere::device {

// A device's refusal, kept beside the Error made of it.
struct DeviceError {
  device_api::ErrorCode code = 0;
  int status = 0;
};

// Typed calls of the device REST API. A refusal becomes an Error whose reason tells what a person
// can do (device.locked, device.busy, app.not-present, package.untrusted, ..., device.error) and
// whose message holds number, name and sentence of the device's code. Other errors: http::Client's.
class RestClient {
 public:
  explicit RestClient(std::unique_ptr<http::Client> client) : client_{std::move(client)} {}

  // Asked several times a second during a call; true ends it with Errc::cancelled.
  void set_cancelled(std::function<bool()> cancelled) { cancelled_ = std::move(cancelled); }

  [[nodiscard]] Result<std::int64_t> uptime_seconds();
  [[nodiscard]] Result<std::string> os_version();
  [[nodiscard]] Result<device_api::SecurityState> security_state();
  [[nodiscard]] Result<std::vector<std::int64_t>> capabilities();
  [[nodiscard]] Result<std::string> manufacturing_state();
  [[nodiscard]] Result<device_api::BoardInfo> board_info();
  [[nodiscard]] Result<void> restart();

  [[nodiscard]] Result<device_api::Images> images();
  // Sends a whole package. `progress`: bytes sent, bytes in all.
  [[nodiscard]] Result<void> stage(std::string package,
                                   std::function<void(std::size_t, std::size_t)> progress = {});
  // True when the device restarts because of it.
  [[nodiscard]] Result<bool> install(bool manual_start);
  [[nodiscard]] Result<void> delete_app(const Guid& component);

  [[nodiscard]] Result<device_api::AppState> app_state(const Guid& component);
  [[nodiscard]] Result<device_api::AppState> start_app(const Guid& component);
  [[nodiscard]] Result<device_api::AppState> stop_app(const Guid& component);
  [[nodiscard]] Result<std::vector<device_api::App>> apps();
  // Lines of the app's output; with `follow` until the sink returns false or the board ends it.
  // Lines that the board dropped because we read too slowly are told by a line with seq 0.
  using LineSink = std::function<bool(const device_api::OutputLine&)>;
  [[nodiscard]] Result<void> app_output(const Guid& component, bool follow, const LineSink& sink);

  // Starts the app under the debugger; it waits at its first instruction.
  struct DebugPorts {
    std::int64_t gdb = 0, output = 0;
  };
  [[nodiscard]] Result<DebugPorts> debug_app(const Guid& component);
  // Those of an app that is debugged already.
  [[nodiscard]] Result<DebugPorts> debug_ports(const Guid& component);
  struct Quota {
    std::int64_t used_kb = 0, limit_kb = 0;
  };
  [[nodiscard]] Result<Quota> app_quota(const Guid& component);
  [[nodiscard]] Result<device_api::MemoryStats> memory_stats();
  [[nodiscard]] Result<json::Value> sandbox(const Guid& component);  // device-rest-api 9.3

  [[nodiscard]] Result<void> set_manufacturing_state(std::string_view state);
  // The rows of GET /sphere/v1/capability.
  [[nodiscard]] Result<json::Value> capability_list();
  // Sends a capability file (base64) with each call from now on; "" ends that.
  void set_capability(std::string base64) { capability_ = std::move(base64); }

  [[nodiscard]] Result<std::vector<device_api::NetInterface>> interfaces();
  [[nodiscard]] Result<void> set_interface_up(const std::string& name, bool up);
  [[nodiscard]] Result<void> set_hardware_address(const std::string& name,
                                                  const std::string& address);
  [[nodiscard]] Result<device_api::NetStatus> net_status();
  [[nodiscard]] Result<std::optional<device_api::Proxy>> proxy();
  [[nodiscard]] Result<void> set_proxy(const device_api::Proxy& proxy);
  [[nodiscard]] Result<void> delete_proxy();
  [[nodiscard]] Result<json::Value> firewall_rulesets();  // A list.

  [[nodiscard]] Result<std::vector<device_api::WifiNetwork>> wifi_networks();
  [[nodiscard]] Result<device_api::WifiNetwork> wifi_network(std::int64_t id);
  [[nodiscard]] Result<device_api::WifiNetwork> add_wifi(const device_api::WifiNetwork& network,
                                                         const std::string& psk);
  [[nodiscard]] Result<device_api::WifiNetwork> enable_wifi(std::int64_t id, bool on);
  [[nodiscard]] Result<void> forget_wifi(std::int64_t id);
  [[nodiscard]] Result<std::vector<device_api::WifiFailure>> wifi_failures();
  [[nodiscard]] Result<std::vector<device_api::WifiScanEntry>> wifi_scan();
  [[nodiscard]] Result<device_api::WifiStatus> wifi_status();
  [[nodiscard]] Result<void> reload_wifi();

  [[nodiscard]] Result<std::vector<std::string>> certificates();
  [[nodiscard]] Result<device_api::StoredCertificate> certificate(const std::string& id);
  struct NewCertificate {
    std::string type, certificate_pem, key_pem = {}, password = {};
  };
  [[nodiscard]] Result<void> add_certificate(const std::string& id,
                                             const NewCertificate& certificate);
  [[nodiscard]] Result<void> delete_certificate(const std::string& id);
  [[nodiscard]] Result<std::int64_t> certificate_space();

  // GET /log and GET /telemetry as they are.
  [[nodiscard]] Result<std::string> diagnostic_log();
  [[nodiscard]] Result<std::string> telemetry();
  using JsonSink = std::function<bool(const json::Value&)>;
  // Decoded lines of the log; `query` is what follows the '?'.
  [[nodiscard]] Result<void> log_lines(const std::string& query, const JsonSink& sink);

  [[nodiscard]] Result<std::vector<device_api::VirtualPeripheral>> peripherals();
  [[nodiscard]] Result<device_api::GpioState> gpio(std::int64_t pin);
  [[nodiscard]] Result<device_api::GpioState> set_gpio(std::int64_t pin, std::int64_t level);
  [[nodiscard]] Result<void> pulse_gpio(std::int64_t pin, std::int64_t level,
                                        std::chrono::microseconds length);
  using EdgeSink = std::function<bool(const device_api::GpioEdge&)>;
  [[nodiscard]] Result<void> watch_gpio(const EdgeSink& sink);

  // Version of the API the device speaks, from its last answer; "" before the first.
  [[nodiscard]] const std::string& api_version() const noexcept { return api_version_; }
  // The device's own number for the last refused call.
  [[nodiscard]] const std::optional<DeviceError>& last_device_error() const noexcept {
    return last_device_error_;
  }

 private:
  [[nodiscard]] Result<http::ClientResponse> exchange(http::ClientRequest request);
  [[nodiscard]] Result<json::Value> call(http::ClientRequest request);
  [[nodiscard]] Result<json::Value> get(std::string path);
  [[nodiscard]] Result<json::Value> send_json(std::string method, std::string path,
                                              const json::Value& body);
  [[nodiscard]] Result<device_api::AppState> trigger(const Guid& component,
                                                     std::string_view trigger);
  // Reads lines of JSON until `take` gives false or the stream ends.
  [[nodiscard]] Result<void> stream(std::string path,
                                    const std::function<Result<bool>(const json::Value&)>& take);

  std::unique_ptr<http::Client> client_;
  std::function<bool()> cancelled_;
  std::optional<DeviceError> last_device_error_;
  std::string api_version_;
  std::string capability_;
};

}  // namespace sphere::device
