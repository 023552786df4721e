// SPDX-License-Identifier: MIT
// Capabilities, manufacturing state, log, memory, sandbox, and the two commands that begin and end
// development.
#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/connection.h"
#include "cli/net/session_capability.h"
#include "cli/net/sideload.h"
#include "cli/output/output.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/signer.h"
#include "sphere/device_api/device_log.h"
#include "sphere/device_api/network.h"
#include "sphere/image/capability.h"
#include "sphere/image/metadata.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::size_t kCapabilityLimit = 3072;

Result<Output> show_capabilities(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto list, noted(context, *session, session->rest.capability_list()));
  Output output{.columns = {{.key = "number", .heading = "Number"},
                            {.key = "name", .heading = "Name"},
                            {.key = "source", .heading = "Source"},
                            {.key = "notAfter", .heading = "Not after"}}};
  output.data = json::Array{};
  for (const auto& row : list.items()) {
    const auto number = row.integer_at("number").value_or(0);
    const auto name = image::capability_name(static_cast<std::uint32_t>(number));
    const auto not_after = row.string_at("notAfter");
    output.data.push(json::Value{}
                         .set("number", number)
                         .set("name", name.empty() ? json::Value{} : json::Value{name})
                         .set("source", row.string_at("source").value_or(""))
                         .set("notAfter", not_after ? json::Value{*not_after} : json::Value{}));
  }
  return output;
}

// A file that has the form of a capability file; whether it counts is the device's to say.
Result<std::vector<std::byte>> read_capability_file(const std::string& path) {
  SPHERE_TRY_ASSIGN(auto bytes, read_file(path, kCapabilityLimit));
  const auto metadata = image::read_metadata(bytes);
  const bool good = metadata && metadata->identity.image_type == image::kCapability &&
                    image::read_capability(std::span{bytes}.first(metadata->body_size));
  if (!good) {
    return fail(Errc::corrupt, escape_control(path) + " is no capability file",
                {.reason = "package.corrupt",
                 .value = path,
                 .next = "look into it: sphere image-package show " + path});
  }
  return bytes;
}

Result<Output> apply_capability(Context& context, const Arguments& arguments) {
  const auto file = arguments.value("capability-file");
  if (file.has_value() == arguments.has("none")) {
    return fail(Errc::invalid_argument, "give either --capability-file or --none",
                {.reason = "usage.conflict", .next = "see: sphere device capability apply --help"});
  }
  std::vector<std::byte> bytes;
  if (file) {
    SPHERE_TRY_ASSIGN(bytes, read_capability_file(*file));
  }
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  const auto place = applied_capability(context, session->device);
  Output output;
  output.data.set("deviceId", session->device.device_id).set("applied", file.has_value());
  if (!file) {
    SPHERE_TRY(remove_tree(place));
    output.text = "No capability file goes with the following commands.";
    return output;
  }
  SPHERE_TRY(make_directories(place.parent_path(), 0700));
  SPHERE_TRY(write_file(place, bytes, {.mode = 0600}));
  output.text = "The capability file goes with each of the following commands for this device.";
  return output;
}

std::string text_of(const std::vector<std::byte>& bytes) {
  std::string text(bytes.size(), '\0');
  std::ranges::transform(bytes, text.begin(),
                         [](std::byte byte) { return std::to_integer<char>(byte); });
  return text;
}

// Until the run after the restart answers.
Result<void> wait_for_restart(Context& context, DeviceSession& session) {
  constexpr std::chrono::seconds kLimit{60};
  const auto until = std::chrono::steady_clock::now() + context.time_limit.value_or(kLimit);
  context.reporter.step("Waiting for the device, up to 60 s");
  while (true) {
    auto uptime = session.rest.uptime_seconds();
    if (uptime) {
      return {};
    }
    if (context.interrupted || std::chrono::steady_clock::now() > until) {
      return tl::make_unexpected(std::move(uptime).error());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
}

Result<void> install_capability(Context& context, DeviceSession& session,
                                const std::vector<std::byte>& file) {
  context.reporter.step("Installing the capability file");
  SPHERE_TRY(session.rest.stage(text_of(file)));
  SPHERE_TRY_ASSIGN(const bool restarts, session.rest.install(false));
  return restarts ? wait_for_restart(context, session) : Result<void>{};
}

Result<Output> update_capability(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto file,
                    read_capability_file(arguments.value("capability-file").value_or("")));
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY(noted(context, *session, install_capability(context, *session, file)));
  Output output{.text = "The capability file is installed and the device has restarted."};
  output.data.set("deviceId", session->device.device_id).set("installed", true);
  return output;
}

Result<Output> show_manufacturing_state(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  Output output{.columns = {{.key = "manufacturingState", .heading = "Manufacturing state"}}};
  SPHERE_TRY_ASSIGN(const auto state,
                    noted(context, *session, session->rest.manufacturing_state()));
  output.data.set("manufacturingState", state);
  return output;
}

Result<Output> update_manufacturing_state(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  const auto state = arguments.value("state").value_or("");
  SPHERE_TRY_ASSIGN(const auto before,
                    noted(context, *session, session->rest.manufacturing_state()));
  if (before != state) {
    context.reporter.step(fmt::format("Manufacturing state {} becomes {}; this cannot be undone",
                                      escape_control(before), state));
  }
  SPHERE_TRY(noted(context, *session, session->rest.set_manufacturing_state(state)));
  Output output{.text = fmt::format("The manufacturing state is {}.", state)};
  output.data.set("manufacturingState", state);
  return output;
}

// Each chosen app and its figures.
Result<Output> show_quota(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  std::vector<Guid> components;
  if (const auto wanted = arguments.value("component-id")) {
    SPHERE_TRY_ASSIGN(const Guid id, parse_component(*wanted));
    components.push_back(id);
  } else {
    SPHERE_TRY_ASSIGN(const auto apps, noted(context, *session, installed_apps(*session)));
    for (const auto& app : apps) {
      components.push_back(app.component_id);
    }
  }
  Output output{.columns = {{.key = "componentId", .heading = "Component ID"},
                            {.key = "usageKB", .heading = "Used KB"},
                            {.key = "limitKB", .heading = "Limit KB"}}};
  output.data = json::Array{};
  for (const Guid& component : components) {
    SPHERE_TRY_ASSIGN(const auto quota,
                      noted(context, *session, session->rest.app_quota(component)));
    output.data.push(json::Value{}
                         .set("componentId", component.text())
                         .set("usageKB", quota.used_kb)
                         .set("limitKB", quota.limit_kb));
  }
  return output;
}

Result<Output> show_memory_stats(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto stats, noted(context, *session, session->rest.memory_stats()));
  json::Value apps{json::Array{}};
  for (const auto& app : stats.apps) {
    apps.push(app.component_id);
  }
  Output output{
      .columns = {{.key = "currentMemoryUsageInBytes", .heading = "Memory usage in bytes"},
                  {.key = "userModeMemoryUsageInBytes", .heading = "User mode in bytes"},
                  {.key = "peakUserModeMemoryUsageInBytes", .heading = "Peak user mode in bytes"},
                  {.key = "apps", .heading = "Apps"}}};
  output.data.set("currentMemoryUsageInBytes", stats.current_bytes)
      .set("userModeMemoryUsageInBytes", stats.user_bytes)
      .set("peakUserModeMemoryUsageInBytes", stats.peak_user_bytes)
      .set("apps", std::move(apps));
  return output;
}

Result<Output> show_sandbox(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const Guid component, noted(context, *session, one_app(*session, arguments)));
  SPHERE_TRY_ASSIGN(const auto layers, noted(context, *session, session->rest.sandbox(component)));
  Output output{.columns = {{.key = "layer", .heading = "Layer"},
                            {.key = "name", .heading = "Name"},
                            {.key = "state", .heading = "State"},
                            {.key = "detail", .heading = "Detail"}}};
  output.data = json::Array{};
  for (const auto& layer : layers.items()) {
    output.data.push(json::Value{}
                         .set("layer", layer.string_at("id").value_or(""))
                         .set("name", layer.string_at("name").value_or(""))
                         .set("state", layer.string_at("state").value_or(""))
                         .set("detail", layer.string_at("detail").value_or("")));
  }
  return output;
}

std::string log_row_text(const json::Value& row) {
  const auto milliseconds = row.integer_at("ms").value_or(0);
  return fmt::format("[{}.{:03}] {} {}({}): {}", milliseconds / 1000, milliseconds % 1000,
                     escape_control(row.string_at("priority").value_or("")),
                     escape_control(row.string_at("categoryName").value_or("")),
                     row.integer_at("id").value_or(0),
                     escape_control(row.string_at("text").value_or("")));
}

Result<Output> show_log(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(auto opened, connect_device(context));
  // Shared with the stream function, which outlives this call.
  const std::shared_ptr<DeviceSession> session = std::move(opened);
  if (const auto file = arguments.value("raw")) {
    SPHERE_TRY_ASSIGN(const auto bytes, noted(context, *session, session->rest.diagnostic_log()));
    SPHERE_TRY(write_file(*file, bytes));
    Output output{.text = fmt::format("{} bytes are in {}.", with_thousands(bytes.size()), *file)};
    output.data.set("file", *file).set("bytes", static_cast<std::int64_t>(bytes.size()));
    return output;
  }
  std::string query = arguments.has("follow") ? "follow=true" : "";
  const auto add = [&](std::string_view name) {
    if (const auto value = arguments.value(name)) {
      const auto plain = std::ranges::all_of(
          *value, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
      query += fmt::format("{}{}={}", query.empty() ? "" : "&", name, plain ? *value : "?");
    }
  };
  add("level");
  add("category");
  Output output{.columns = {{.key = "seq", .heading = "Number"},
                            {.key = "ms", .heading = "Milliseconds"},
                            {.key = "priority", .heading = "Priority"},
                            {.key = "categoryName", .heading = "Category"},
                            {.key = "text", .heading = "Text"}}};
  if (arguments.has("follow")) {
    output.text_of = log_row_text;
    output.stream = [&context, session, query](const Output::RowSink& sink) {
      return noted(context, *session, session->rest.log_lines(query, sink));
    };
    return output;
  }
  output.data = json::Array{};
  SPHERE_TRY(noted(context, *session, session->rest.log_lines(query, [&](const json::Value& row) {
    output.data.push(row);
    output.text += log_row_text(row) + "\n";
    return true;
  })));
  if (output.text.empty()) {
    output.text = "The log has no such entry.";
  }
  return output;
}

// The steps of a command that goes on where one of them has nothing to do.
class Steps {
 public:
  void done(const char* name) { add(name, "done", {}); }
  void skipped(const char* name, std::string_view reason) { add(name, "skipped", reason); }
  [[nodiscard]] Output output(const DeviceSession& session, std::string text) && {
    Output output{.text = std::move(text) + text_};
    output.data.set("deviceId", session.device.device_id).set("steps", std::move(rows_));
    return output;
  }

 private:
  void add(const char* name, const char* result, std::string_view reason) {
    rows_.push(json::Value{}
                   .set("name", name)
                   .set("result", result)
                   .set("reason", reason.empty() ? json::Value{} : json::Value{reason}));
    text_ += fmt::format("\n{}: {}{}{}", name, result, reason.empty() ? "" : ", ", reason);
  }
  json::Value rows_{json::Array{}};
  std::string text_;
};

constexpr std::string_view kNoService = "no security service is configured";

// A capability file for this device, signed by a key of the user's own.
Result<std::vector<std::byte>> sign_capability(Context& context, DeviceSession& session,
                                               const std::string& name) {
  constexpr std::uint64_t kDays90 = std::uint64_t{90} * 24 * 3600;
  SPHERE_TRY_ASSIGN(auto stored, context.keys.load(name));
  SPHERE_TRY_ASSIGN(const auto state, session.rest.security_state());
  const auto device_id = from_hex(state.device_identifier);
  if (!device_id || device_id->size() != image::kDeviceIdSize) {
    return fail(Errc::corrupt, "the device's answer has no proper device id",
                {.reason = "device.error", .value = state.device_identifier});
  }
  const auto now =
      static_cast<std::uint64_t>(std::max<std::int64_t>(context.clock.unix_seconds(), 0));
  image::Capability capability{
      .numbers = {image::kAppDevelopment},
      .terms = image::CapabilityTerms{.file_id = Guid::random(),
                                      .counter = now,
                                      .not_before = now - std::min<std::uint64_t>(now, 300),
                                      .not_after = now + kDays90,
                                      .flags = image::kMayBeStored,
                                      .purpose = "enable-development"}};
  std::ranges::copy(*device_id, capability.device_id.begin());
  const crypto::KeySigner signer{std::move(stored.key), std::move(stored.certificate)};
  SPHERE_TRY_ASSIGN(auto packed, image::pack_capability({.capability = std::move(capability),
                                                         .component_id = Guid::random(),
                                                         .build_time = now},
                                                        signer));
  return std::move(packed.bytes);
}

bool may_develop(const std::vector<std::int64_t>& numbers) {
  return std::ranges::find(numbers, std::int64_t{image::kAppDevelopment}) != numbers.end();
}

// Steps 1 to 3: a file, if one was given or can be signed.
Result<void> take_capability(Context& context, DeviceSession& session, const Arguments& arguments,
                             Steps& steps) {
  std::vector<std::byte> file;
  if (const auto path = arguments.value("capability-file")) {
    SPHERE_TRY_ASSIGN(file, read_capability_file(*path));
  } else if (const auto key = arguments.value("key")) {
    SPHERE_TRY_ASSIGN(file, sign_capability(context, session, *key));
  }
  SPHERE_TRY_ASSIGN(const auto numbers, session.rest.capabilities());
  if (!file.empty()) {
    steps.done("capability");
    SPHERE_TRY(install_capability(context, session, file));
    steps.done("install");
    steps.done("restart");
    return {};
  }
  if (!may_develop(numbers)) {
    return fail(Errc::permission,
                "the device has no appDevelopment capability, and no file for it was given",
                {.reason = "service.not-configured",
                 .value = std::string{kNoService},
                 .next = "give the file: sphere device enable-development --capability-file FILE"});
  }
  steps.skipped("capability", "appDevelopment is in effect already");
  steps.skipped("install", "there is nothing to install");
  steps.skipped("restart", "there is nothing to restart for");
  return {};
}

Result<Output> enable_development(Context& context, const Arguments& arguments) {
  if (arguments.has("capability-file") && arguments.has("key")) {
    return fail(Errc::invalid_argument, "--capability-file and --key contradict each other",
                {.reason = "usage.conflict", .next = "give only one of them"});
  }
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  Steps steps;
  SPHERE_TRY(noted(context, *session, take_capability(context, *session, arguments, steps)));
  steps.skipped("group", kNoService);
  steps.skipped("debugger", "the device has no debugger image");
  if (arguments.has("enable-rt-core-debugging")) {
    steps.skipped("rt-core-debugging", "the device has no real-time debug server");
  }
  return std::move(steps).output(*session, "Apps can be deployed to the device and debugged.");
}

// The file goes; the apps that only a development key signed go with it.
Result<Output> enable_cloud_test(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  Steps steps;
  SPHERE_TRY_ASSIGN(const auto apps, noted(context, *session, session->rest.apps()));
  std::size_t deleted = 0;
  for (const auto& app : apps) {
    const auto component = Guid::parse(app.component_id);
    if (app.signed_by == "development" && component) {
      context.reporter.step("Deleting " + escape_control(app.name));
      SPHERE_TRY(noted(context, *session, session->rest.delete_app(*component)));
      ++deleted;
    }
  }
  SPHERE_TRY(remove_tree(applied_capability(context, session->device)));
  steps.skipped("capability", "only a file of the service can take it from the device");
  if (deleted > 0) {
    steps.done("apps");
  } else {
    steps.skipped("apps", "no app of a development key is on the device");
  }
  steps.skipped("group", kNoService);
  return std::move(steps).output(*session, "The device keeps no app of a development key.");
}

constexpr std::array kCommands = {
    NetCommand{.path = "device app show-quota", .run = show_quota},
    NetCommand{.path = "device app show-memory-stats", .run = show_memory_stats},
    NetCommand{.path = "device app show-sandbox", .run = show_sandbox},
    NetCommand{.path = "device capability show-attached", .run = show_capabilities},
    NetCommand{.path = "device capability apply", .run = apply_capability},
    NetCommand{.path = "device capability update", .run = update_capability},
    NetCommand{.path = "device manufacturing-state show", .run = show_manufacturing_state},
    NetCommand{.path = "device manufacturing-state update", .run = update_manufacturing_state},
    NetCommand{.path = "device log show", .run = show_log},
    NetCommand{.path = "device enable-development", .run = enable_development},
    NetCommand{.path = "device enable-cloud-test", .run = enable_cloud_test},
};

}  // namespace

std::span<const NetCommand> device_state_net_commands() { return kCommands; }

}  // namespace sphere::cli
