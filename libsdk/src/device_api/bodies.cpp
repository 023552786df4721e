// SPDX-License-Identifier: MIT
#include "sphere/device_api/bodies.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libsdk/src/device_api/list_reader.h"
#include "libsdk/src/device_api/object_reader.h"
#include "sphere/core/result.h"
#include "sphere/device_api/error_code.h"
#include "sphere/json/value.h"

namespace sphere::device_api {

namespace {

json::Value text_or_null(const std::string& text) {
  return text.empty() ? json::Value{} : json::Value{text};
}

Image read_image(ObjectReader& outer, const json::Value& value, std::string where) {
  ObjectReader reader{value, std::move(where)};
  Image image{.uid = reader.text("uid"),
              .length_in_bytes = reader.integer("length_in_bytes"),
              .uncompressed_length_in_bytes = reader.integer("uncompressed_length_in_bytes"),
              .replica_type = reader.integer("replica_type")};
  outer.take_error(reader.done());
  return image;
}

Component read_component(ObjectReader& outer, const json::Value& value, std::string where) {
  ObjectReader reader{value, std::move(where)};
  Component component{
      .uid = reader.text("uid"),
      .image_type = reader.integer("image_type"),
      .is_update_staged = reader.boolean("is_update_staged"),
      .does_image_type_require_restart = reader.boolean("does_image_type_require_restart"),
      .name = reader.text("name"),
      .images = {}};
  component.images =
      read_list<Image>(reader, "images", [&reader](const json::Value& item, std::string place) {
        return read_image(reader, item, std::move(place));
      });
  outer.take_error(reader.done());
  return component;
}

json::Value component_to_json(const Component& component) {
  json::Value images{json::Array{}};
  for (const Image& image : component.images) {
    images.push(json::Value{}
                    .set("uid", image.uid)
                    .set("length_in_bytes", image.length_in_bytes)
                    .set("uncompressed_length_in_bytes", image.uncompressed_length_in_bytes)
                    .set("replica_type", image.replica_type));
  }
  return json::Value{}
      .set("uid", component.uid)
      .set("image_type", component.image_type)
      .set("is_update_staged", component.is_update_staged)
      .set("does_image_type_require_restart", component.does_image_type_require_restart)
      .set("name", component.name)
      .set("images", std::move(images));
}

struct StateName {
  AppState state;
  std::string_view text;
};
// NOLINTBEGIN(modernize-use-designated-initializers): the rows of a table.
constexpr std::array kStateNames{
    StateName{AppState::running, "running"}, StateName{AppState::not_present, "notPresent"},
    StateName{AppState::stopped, "stopped"}, StateName{AppState::debugging, "debugging"}};
// NOLINTEND(modernize-use-designated-initializers)

CodePlace read_place(ObjectReader& outer, std::string_view key) {
  const json::Value* const value = outer.optional(key);
  if (value == nullptr) {
    return {};
  }
  ObjectReader reader{*value, outer.where(key) + "."};
  CodePlace place{.address = reader.text("address"),
                  .module = reader.text_or_empty("module"),
                  .offset = reader.text_or_empty("offset")};
  outer.take_error(reader.done());
  return place;
}

Crash read_crash(ObjectReader& outer, const json::Value& value, std::string where) {
  ObjectReader reader{value, std::move(where)};
  Crash crash{.at = read_place(reader, "at"),
              .caller = read_place(reader, "caller"),
              .fault_address = reader.text("faultAddress"),
              .signal_code = reader.integer("signalCode"),
              .thread = reader.text_or_empty("thread"),
              .build_id = reader.text_or_empty("buildId")};
  outer.take_error(reader.done());
  return crash;
}

MemoryEnd read_memory_end(ObjectReader& outer, const json::Value& value, std::string where) {
  ObjectReader reader{value, std::move(where)};
  const MemoryEnd memory{.budget_bytes = reader.integer("budgetBytes"),
                         .limit_bytes = reader.integer("limitBytes"),
                         .used_bytes = reader.integer("usedBytes")};
  outer.take_error(reader.done());
  return memory;
}

LastExit read_last_exit(ObjectReader& outer, const json::Value& value, const std::string& where) {
  ObjectReader reader{value, where};
  LastExit exit{.kind = reader.text("kind"),
                .code = reader.integer("code"),
                .at = reader.text_or_empty("at"),
                .crash = {},
                .memory = {}};
  if (const json::Value* const crash = reader.optional("crash")) {
    exit.crash = read_crash(reader, *crash, where + "crash.");
  }
  if (const json::Value* const memory = reader.optional("memory")) {
    exit.memory = read_memory_end(reader, *memory, where + "memory.");
  }
  outer.take_error(reader.done());
  return exit;
}

json::Value place_to_json(const CodePlace& place) {
  if (place.address.empty()) {
    return {};
  }
  return json::Value{}
      .set("address", place.address)
      .set("module", text_or_null(place.module))
      .set("offset", text_or_null(place.offset));
}

json::Value last_exit_to_json(const LastExit& exit) {
  auto value =
      json::Value{}.set("kind", exit.kind).set("code", exit.code).set("at", text_or_null(exit.at));
  if (exit.crash) {
    value.set("crash", json::Value{}
                           .set("at", place_to_json(exit.crash->at))
                           .set("caller", place_to_json(exit.crash->caller))
                           .set("faultAddress", exit.crash->fault_address)
                           .set("signalCode", exit.crash->signal_code)
                           .set("thread", text_or_null(exit.crash->thread))
                           .set("buildId", text_or_null(exit.crash->build_id)));
  }
  if (exit.memory) {
    value.set("memory", json::Value{}
                            .set("budgetBytes", exit.memory->budget_bytes)
                            .set("limitBytes", exit.memory->limit_bytes)
                            .set("usedBytes", exit.memory->used_bytes));
  }
  return value;
}

AppState read_state(ObjectReader& reader, std::string_view key) {
  const std::string text = reader.text(key);
  const auto state = parse_app_state(text);
  if (!state) {
    reader.refuse(key, "a state of an app");
  }
  return state ? *state : AppState::stopped;
}

App read_app(ObjectReader& outer, const json::Value& value, const std::string& where) {
  ObjectReader reader{value, where};
  App app{.component_id = reader.text("componentId"),
          .image_id = reader.text("imageId"),
          .name = reader.text("name"),
          .type = reader.text("type"),
          .state = read_state(reader, "state"),
          .temporary = reader.boolean("temporary"),
          .signed_by = reader.text("signedBy"),
          .restarts = reader.integer("restarts"),
          .last_exit = {},
          .memory_bytes = reader.integer("memoryBytes"),
          .started_at = {}};
  if (const json::Value* const exit = reader.optional("lastExit")) {
    app.last_exit = read_last_exit(reader, *exit, where + "lastExit.");
  }
  if (reader.optional("startedAt") != nullptr) {
    app.started_at = reader.text("startedAt");
  }
  outer.take_error(reader.done());
  return app;
}

json::Value app_to_json(const App& app) {
  return json::Value{}
      .set("componentId", app.component_id)
      .set("imageId", app.image_id)
      .set("name", app.name)
      .set("type", app.type)
      .set("state", to_text(app.state))
      .set("temporary", app.temporary)
      .set("signedBy", app.signed_by)
      .set("restarts", app.restarts)
      .set("lastExit", app.last_exit ? last_exit_to_json(*app.last_exit) : json::Value{})
      .set("memoryBytes", app.memory_bytes)
      .set("startedAt", app.started_at ? json::Value{*app.started_at} : json::Value{});
}

VirtualPeripheral read_peripheral(ObjectReader& outer, const json::Value& value,
                                  std::string where) {
  ObjectReader reader{value, std::move(where)};
  VirtualPeripheral peripheral{.name = reader.text("name"),
                               .kind = reader.text("kind"),
                               .pins = read_integers(reader, "pins"),
                               .used_by = reader.text_or_empty("usedBy")};
  outer.take_error(reader.done());
  return peripheral;
}

std::int64_t read_level(ObjectReader& reader) {
  const std::int64_t level = reader.integer("level");
  if (level != 0 && level != 1) {
    reader.refuse("level", "0 or 1");
  }
  return level;
}

}  // namespace

json::Value to_json(const ErrorBody& body) {
  json::Value value;
  value.set("error", static_cast<std::int64_t>(body.error));
  for (const auto& [key, text] : {std::pair{"message", &body.message},
                                  std::pair{"next", &body.next}, std::pair{"name", &body.name}}) {
    if (!text->empty()) {
      value.set(key, *text);
    }
  }
  return value;
}

Result<ErrorBody> error_from_json(const json::Value& value) {
  ObjectReader reader{value};
  const std::int64_t code = reader.integer("error");
  if (code < 0 || code > std::numeric_limits<ErrorCode>::max()) {
    reader.refuse("error", "a number of 31 bits");
  }
  return finish(reader, ErrorBody{.error = static_cast<ErrorCode>(code),
                                  .message = reader.text_or_empty("message"),
                                  .next = reader.text_or_empty("next"),
                                  .name = reader.text_or_empty("name")});
}

json::Value to_json(const Images& images) {
  json::Value components{json::Array{}};
  for (const Component& component : images.components) {
    components.push(component_to_json(component));
  }
  return json::Value{}
      .set("has_staged_updates", images.has_staged_updates)
      .set("is_ota_update_in_progress", images.is_ota_update_in_progress)
      .set("restart_required", images.restart_required)
      .set("components", std::move(components));
}

Result<Images> images_from_json(const json::Value& value) {
  ObjectReader reader{value};
  Images images{.has_staged_updates = reader.boolean("has_staged_updates"),
                .is_ota_update_in_progress = reader.boolean("is_ota_update_in_progress"),
                .restart_required = reader.boolean("restart_required"),
                .components = {}};
  images.components = read_list<Component>(reader, "components",
                                           [&reader](const json::Value& item, std::string place) {
                                             return read_component(reader, item, std::move(place));
                                           });
  return finish(reader, std::move(images));
}

std::string_view to_text(AppState state) {
  for (const StateName& row : kStateNames) {
    if (row.state == state) {
      return row.text;
    }
  }
  return "";
}

Result<AppState> parse_app_state(std::string_view text) {
  for (const StateName& row : kStateNames) {
    if (row.text == text) {
      return row.state;
    }
  }
  return fail(Errc::corrupt, "not a state of an app",
              {.reason = "device.error", .value = std::string{text}});
}

json::Value to_json(const std::vector<App>& apps) {
  json::Value list{json::Array{}};
  for (const App& app : apps) {
    list.push(app_to_json(app));
  }
  return json::Value{}.set("apps", std::move(list));
}

Result<std::vector<App>> apps_from_json(const json::Value& value) {
  ObjectReader reader{value};
  auto apps =
      read_list<App>(reader, "apps", [&reader](const json::Value& item, const std::string& place) {
        return read_app(reader, item, place);
      });
  return finish(reader, std::move(apps));
}

json::Value to_json(const BoardInfo& info) {
  json::Value features{json::Array{}};
  for (const std::string& feature : info.features) {
    features.push(feature);
  }
  return json::Value{}
      .set("api", info.api)
      .set("agent", info.agent)
      .set("osVersion", info.os_version)
      .set("board", json::Value{}
                        .set("id", info.board_id)
                        .set("name", info.board_name)
                        .set("virtual", info.is_virtual))
      .set("features", std::move(features))
      .set("limits", json::Value{}
                         .set("maxImageBytes", info.max_image_bytes)
                         .set("maxConnections", info.max_connections)
                         .set("maxFollowers", info.max_followers));
}

Result<BoardInfo> board_info_from_json(const json::Value& value) {
  ObjectReader reader{value};
  ObjectReader board{reader.object("board"), "board."};
  ObjectReader limits{reader.object("limits"), "limits."};
  BoardInfo info{.api = reader.text("api"),
                 .agent = reader.text("agent"),
                 .os_version = reader.text("osVersion"),
                 .board_id = board.text("id"),
                 .board_name = board.text("name"),
                 .is_virtual = board.boolean("virtual"),
                 .features = read_texts(reader, "features"),
                 .max_image_bytes = limits.integer("maxImageBytes"),
                 .max_connections = limits.integer("maxConnections"),
                 .max_followers = limits.integer("maxFollowers")};
  reader.take_error(board.done());
  reader.take_error(limits.done());
  return finish(reader, std::move(info));
}

json::Value to_json(const SecurityState& state) {
  return json::Value{}
      .set("securityState", state.security_state)
      .set("deviceIdentifier", state.device_identifier)
      .set("deviceIdentityPublicKey", state.device_identity_public_key);
}

Result<SecurityState> security_state_from_json(const json::Value& value) {
  ObjectReader reader{value};
  return finish(
      reader, SecurityState{.security_state = reader.text("securityState"),
                            .device_identifier = reader.text("deviceIdentifier"),
                            .device_identity_public_key = reader.text("deviceIdentityPublicKey")});
}

json::Value to_json(const OutputLine& line) {
  return json::Value{}
      .set("seq", line.seq)
      .set("at", text_or_null(line.at))
      .set("text", line.text)
      .set("cut", line.cut);
}

Result<OutputLine> output_line_from_json(const json::Value& value) {
  ObjectReader reader{value};
  return finish(reader, OutputLine{.seq = reader.integer("seq"),
                                   .at = reader.text_or_empty("at"),
                                   .text = reader.text("text"),
                                   .cut = reader.boolean("cut")});
}

json::Value to_json(const std::vector<VirtualPeripheral>& peripherals) {
  json::Value list{json::Array{}};
  for (const VirtualPeripheral& peripheral : peripherals) {
    json::Value pins{json::Array{}};
    for (const std::int64_t pin : peripheral.pins) {
      pins.push(pin);
    }
    list.push(json::Value{}
                  .set("name", peripheral.name)
                  .set("kind", peripheral.kind)
                  .set("pins", std::move(pins))
                  .set("usedBy", text_or_null(peripheral.used_by)));
  }
  return json::Value{}.set("peripherals", std::move(list));
}

Result<std::vector<VirtualPeripheral>> virtual_peripherals_from_json(const json::Value& value) {
  ObjectReader reader{value};
  auto list = read_list<VirtualPeripheral>(reader, "peripherals",
                                           [&reader](const json::Value& item, std::string place) {
                                             return read_peripheral(reader, item, std::move(place));
                                           });
  return finish(reader, std::move(list));
}

json::Value to_json(const GpioState& state) {
  return json::Value{}
      .set("direction", state.direction)
      .set("level", state.level)
      .set("usedBy", text_or_null(state.used_by));
}

Result<GpioState> gpio_state_from_json(const json::Value& value) {
  ObjectReader reader{value};
  GpioState state{.direction = reader.text("direction"),
                  .level = read_level(reader),
                  .used_by = reader.text_or_empty("usedBy")};
  if (state.direction != "in" && state.direction != "out" && state.direction != "unused") {
    reader.refuse("direction", "in, out or unused");
  }
  return finish(reader, std::move(state));
}

json::Value to_json(const GpioEdge& edge) {
  return json::Value{}.set("atUs", edge.at_us).set("pin", edge.pin).set("level", edge.level);
}

Result<GpioEdge> gpio_edge_from_json(const json::Value& value) {
  ObjectReader reader{value};
  return finish(reader, GpioEdge{.at_us = reader.integer("atUs"),
                                 .pin = reader.integer("pin"),
                                 .level = read_level(reader)});
}

}  // namespace sphere::device_api
