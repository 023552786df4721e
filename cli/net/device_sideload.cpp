// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/connection.h"
#include "cli/net/sideload.h"
#include "cli/output/output.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device_api/bodies.h"
#include "sphere/image/metadata.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

Result<Output> deploy(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  const std::string file = arguments.value("image-package").value_or("");
  SPHERE_TRY_ASSIGN(const Deployed deployed,
                    noted(context, *session,
                          deploy_package(context, *session, file,
                                         {.manual_start = arguments.has("manual-start"),
                                          .force = arguments.has("force")})));
  Output output;
  output.data.set("componentId", deployed.component_id.text())
      .set("imageId", deployed.image_id.text())
      .set("name", deployed.name)
      .set("state", deployed.is_app ? json::Value{to_text(deployed.state)} : json::Value{})
      .set("bytes", static_cast<std::int64_t>(deployed.bytes));
  output.text =
      fmt::format("Deployed {} (component {}, {} bytes): {}.", escape_control(deployed.name),
                  deployed.component_id.text(), with_thousands(deployed.bytes),
                  deployed.is_app ? to_text(deployed.state) : "in force");
  return output;
}

// What --component-id and --except-component-ids leave of the apps on the device.
Result<std::vector<InstalledApp>> chosen_apps(DeviceSession& session, const Arguments& arguments) {
  const auto one = arguments.value("component-id");
  std::vector<Guid> kept;
  for (const std::string& text : arguments.list("except-component-ids")) {
    SPHERE_TRY_ASSIGN(const Guid id, parse_component(text));
    kept.push_back(id);
  }
  if (one) {
    SPHERE_TRY_ASSIGN(const Guid id, parse_component(*one));
    // Whatever has that id: also a board configuration.
    SPHERE_TRY_ASSIGN(const auto images, session.rest.images());
    const auto found = std::ranges::find_if(images.components, [&id](const auto& component) {
      return to_lower(component.uid) == id.text();
    });
    if (found == images.components.end()) {
      return std::vector<InstalledApp>{};
    }
    if (found->image_type == image::kTrustedKeyStore) {
      return fail(Errc::invalid_argument, "a trust store is replaced and never deleted",
                  {.reason = "usage.bad-value",
                   .value = *one,
                   .next = "deploy the next one: sphere image-package pack-trust-store"});
    }
    return std::vector<InstalledApp>{{.component_id = id, .name = found->name}};
  }
  SPHERE_TRY_ASSIGN(auto apps, installed_apps(session));
  std::erase_if(apps, [&kept](const InstalledApp& app) {
    return std::ranges::find(kept, app.component_id) != kept.end();
  });
  return apps;
}

Result<Output> delete_apps(Context& context, const Arguments& arguments) {
  if (arguments.has("component-id") && arguments.has("except-component-ids")) {
    return fail(Errc::invalid_argument,
                "--component-id and --except-component-ids contradict each other",
                {.reason = "usage.conflict", .next = "give only one of them"});
  }
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto apps, noted(context, *session, chosen_apps(*session, arguments)));
  Output output;
  output.data = json::Array{};
  for (const InstalledApp& app : apps) {
    context.reporter.step("Deleting " + app.name);
    SPHERE_TRY(noted(context, *session, session->rest.delete_app(app.component_id)));
    output.data.push(json::Value{}
                         .set("componentId", app.component_id.text())
                         .set("name", app.name)
                         .set("deleted", true));
    output.text += fmt::format("Deleted {} (component {}).\n", escape_control(app.name),
                               app.component_id.text());
  }
  output.columns = {{.key = "componentId", .heading = "Component ID"},
                    {.key = "name", .heading = "Name"},
                    {.key = "deleted", .heading = "Deleted"}};
  if (output.text.empty()) {
    output.text = "There is no app to delete.";
  }
  return output;
}

constexpr std::array kCommands = {
    NetCommand{.path = "device sideload deploy", .run = deploy},
    NetCommand{.path = "device sideload delete", .run = delete_apps},
};

}  // namespace

std::span<const NetCommand> device_sideload_net_commands() { return kCommands; }

}  // namespace sphere::cli
