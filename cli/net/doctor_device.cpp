// SPDX-License-Identifier: MIT
#include "cli/net/doctor_device.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/connection.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/attached.h"
#include "sphere/device/rest_client.h"
#include "sphere/http/client.h"
#include "sphere/image/capability.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::chrono::seconds kRungLimit{3};

// The calls of one device, each rung with its limit.
class Rungs {
 public:
  Rungs(const Context& context, const device::AttachedDevice& device, device::RestClient rest)
      : context_{&context}, device_{&device}, rest_{std::move(rest)} {
    rest_.set_cancelled(
        [this] { return context_->interrupted || context_->clock.monotonic() > until_; });
  }
  Rungs(const Rungs&) = delete;
  Rungs& operator=(const Rungs&) = delete;
  Rungs(Rungs&&) = delete;
  Rungs& operator=(Rungs&&) = delete;
  ~Rungs() = default;

  json::Array run() {
    for (const auto rung : {&Rungs::identity, &Rungs::version, &Rungs::access}) {
      until_ = context_->clock.monotonic() + kRungLimit;
      if (!(this->*rung)()) {
        break;
      }
    }
    return std::move(rows_);
  }

 private:
  [[nodiscard]] std::string name(std::string_view rung) const {
    return fmt::format("device: {} {}", device_->connection_path, rung);
  }
  bool good(std::string_view rung, std::string detail) {
    rows_.push_back(doctor_row(name(rung), "ok", std::move(detail)));
    return true;
  }
  bool failed(std::string_view rung, const Error& error) {
    const bool slow = error.code() == Errc::cancelled && !context_->interrupted;
    rows_.push_back(doctor_row(
        name(rung), "fail",
        slow
            ? fmt::format("accepts connections and gives no answer within {} s", kRungLimit.count())
            : error.message(),
        slow ? "wait until it has started, or restart it: sphere device restart"
             : error.hint().next));
    return false;
  }

  bool identity() {
    const auto up = rest_.uptime_seconds();
    if (!up) {
      return failed("identity", up.error());
    }
    uptime_ = *up;
    return good("identity",
                device_->endpoint.tls_name.empty()
                    ? std::string{"its certificate is trusted"}
                    : "its certificate is trusted and names " + device_->endpoint.tls_name);
  }

  bool version() {
    const auto os = rest_.os_version();
    if (!os) {
      return failed("version", os.error());
    }
    return good("version", fmt::format("OS {}, device API {}, up for {} s", escape_control(*os),
                                       escape_control(rest_.api_version()), uptime_));
  }

  bool access() {
    const auto state = rest_.manufacturing_state();
    const auto numbers = rest_.capabilities();
    if (!state || !numbers) {
      return failed("access", !state ? state.error() : numbers.error());
    }
    if (std::ranges::find(*numbers, std::int64_t{image::kAppDevelopment}) == numbers->end()) {
      rows_.push_back(
          doctor_row(name("access"), "warn",
                     fmt::format("{}, not enabled for development: apps are not installed by hand",
                                 escape_control(*state)),
                     "sphere device enable-development"));
      return true;
    }
    return good("access", fmt::format("{}, enabled for development", escape_control(*state)));
  }

  const Context* context_;
  const device::AttachedDevice* device_;
  device::RestClient rest_;
  std::chrono::nanoseconds until_{0};
  std::int64_t uptime_ = 0;
  json::Array rows_;
};

// Virtual boards that run: the rungs of all others stand in the area link.
Result<Output> check(Context& context, const Arguments& /*arguments*/) {
  Output output{.data = json::Array{}};
  const auto boards = open_boards(context);
  if (!boards) {
    return output;
  }
  SPHERE_TRY_ASSIGN(const auto attached, device::list_attached(*boards));
  for (const device::AttachedDevice& device : attached) {
    for (json::Value& row : device_rungs(context, device)) {
      output.data.push(std::move(row));
    }
  }
  return output;
}

constexpr std::array kCommands = {NetCommand{.path = "doctor device", .run = check}};

}  // namespace

json::Value doctor_row(std::string name, std::string_view result, std::string detail,
                       std::string next) {
  return json::Value{}
      .set("check", std::move(name))
      .set("result", result)
      .set("detail", std::move(detail))
      .set("next", next.empty() ? json::Value{} : json::Value{std::move(next)});
}

json::Array device_rungs(const Context& context, const device::AttachedDevice& device) {
  auto client = http::make_client(device.endpoint);
  if (!client) {
    return {doctor_row(fmt::format("device: {} identity", device.connection_path), "fail",
                       client.error().message(), client.error().hint().next)};
  }
  return Rungs{context, device, device::RestClient{*std::move(client)}}.run();
}

std::span<const NetCommand> doctor_device_net_commands() { return kCommands; }

}  // namespace sphere::cli
