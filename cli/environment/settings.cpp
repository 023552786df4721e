// SPDX-License-Identifier: MIT
#include "cli/environment/settings.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/environment/variables.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/pkcs11.h"
#include "sphere/device/virtual_board.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::size_t kLargest = std::size_t{64} * 1024;

// The text keys that this program reads.
struct TextKey {
  std::string_view key;
  Setting Settings::* setting;
  bool in_project;  // A project may set it: nothing that decides about trust or identity.
};
constexpr std::array kTextKeys = {
    TextKey{.key = "output", .setting = &Settings::output, .in_project = true},
    TextKey{.key = "color", .setting = &Settings::color, .in_project = false},
    TextKey{.key = "device", .setting = &Settings::device, .in_project = true},
    TextKey{.key = "sdkDirectory", .setting = &Settings::sdk_directory, .in_project = false},
    TextKey{.key = "signKey", .setting = &Settings::sign_key, .in_project = true},
    TextKey{.key = "progress", .setting = &Settings::progress, .in_project = false},
};
// Keys of other programs and of the service commands.
constexpr std::array<std::string_view, 6> kOtherKeys = {
    "catalog", "service", "services", "deploymentTimeoutSeconds", "recovery", "gdb"};

struct Choice {
  std::string_view key;
  std::string_view words;  // Separated by blanks.
};
constexpr std::array kChoices = {Choice{.key = "output", .words = "table json jsonc yaml tsv none"},
                                 Choice{.key = "color", .words = "auto always never"},
                                 Choice{.key = "progress", .words = "auto plain json none"}};

tl::unexpected<Error> broken(const std::filesystem::path& file, const json::Source& source,
                             const std::string& what) {
  return fail(Errc::corrupt,
              fmt::format("configuration file {}, line {}, column {}: {}", file.string(),
                          source.line, source.column, what),
              {.reason = "local.file-unreadable",
               .value = fmt::format("{}:{}:{}", file.string(), source.line, source.column),
               .next = "correct the file, or move it away"});
}

Result<void> check_choice(std::string_view key, const std::string& value, const json::Value& at,
                          const std::filesystem::path& file) {
  for (const Choice& choice : kChoices) {
    const auto words = split(choice.words, ' ');
    if (choice.key == key && std::ranges::find(words, value) == words.end()) {
      return broken(file, at.source(), fmt::format("\"{}\" is one of {}", key, join(words, ", ")));
    }
  }
  return {};
}

Result<void> take_texts(std::vector<std::string>& texts, const json::Member& member,
                        const std::filesystem::path& file) {
  texts.clear();
  for (const json::Value& item : member.value.items()) {
    if (item.string() == nullptr) {
      return broken(file, item.source(),
                    fmt::format("\"{}\" is not a list of strings", member.key));
    }
    texts.push_back(*item.string());
  }
  return {};
}

Result<void> take_ports(std::vector<std::uint16_t>& ports, const json::Member& member,
                        const std::filesystem::path& file) {
  ports.clear();
  for (const json::Value& item : member.value.items()) {
    const auto number = item.integer().value_or(0);
    if (number < 1 || number > std::numeric_limits<std::uint16_t>::max()) {
      return broken(file, item.source(), fmt::format("\"{}\" is not a list of ports", member.key));
    }
    ports.push_back(static_cast<std::uint16_t>(number));
  }
  return {};
}

// Paths of trusted keys; relative ones count from the file's own directory.
Result<void> take_trust(Settings& settings, const json::Member& member,
                        const std::filesystem::path& file) {
  if (member.value.kind() != json::Kind::array) {
    return broken(file, member.value.source(), "\"trust\" is not a list of strings");
  }
  SPHERE_TRY(take_texts(settings.trust, member, file));
  for (auto& path : settings.trust) {
    path = (file.parent_path() / path).string();  // An absolute path stays.
  }
  return {};
}

// The object "pkcs11": where the keys of tokens are.
Result<void> take_pkcs11(Settings& settings, const json::Value& pkcs11,
                         const std::filesystem::path& file) {
  if (pkcs11.kind() != json::Kind::object) {
    return broken(file, pkcs11.source(), "\"pkcs11\" is not an object");
  }
  for (const json::Member& member : pkcs11.members()) {
    if (member.key != "module") {
      settings.warnings.push_back(fmt::format("{}:{}: unknown key \"pkcs11.{}\"", file.string(),
                                              member.key_source.line, member.key));
      continue;
    }
    const auto* const path = member.value.string();
    if (path == nullptr || path->empty()) {
      return broken(file, member.value.source(), "\"pkcs11.module\" is not the path of a library");
    }
    settings.token_module = (file.parent_path() / *path).string();  // An absolute path stays.
  }
  return {};
}

// A URI chooses a library to load and a file to send to a token; whoever wrote a project may not.
bool is_active_token_uri(std::string_view text) {
  return crypto::is_token_uri(text) && text.find('?') != std::string_view::npos;
}

// The object "link": boards beside those that are found.
Result<void> take_link(Settings& settings, const json::Value& link,
                       const std::filesystem::path& file) {
  for (const json::Member& member : link.members()) {
    if (member.key == "usb" && member.value.string() != nullptr) {
      settings.link.usb = *member.value.string();
    } else if (member.key == "tty") {
      SPHERE_TRY(take_texts(settings.link.tty, member, file));
    } else if (member.key == "tcp") {
      SPHERE_TRY(take_texts(settings.link.tcp, member, file));
    } else if (member.key == "allowInbound") {
      SPHERE_TRY(take_ports(settings.allow_inbound, member, file));
    } else {
      settings.warnings.push_back(fmt::format("{}:{}: unknown key \"link.{}\"", file.string(),
                                              member.key_source.line, member.key));
    }
  }
  return {};
}

Result<void> take_member(Settings& settings, const json::Member& member,
                         const std::filesystem::path& file, bool is_project) {
  if (member.key == "link" && !is_project) {
    return take_link(settings, member.value, file);
  }
  if (member.key == "trust" && !is_project) {
    return take_trust(settings, member, file);
  }
  if (member.key == "pkcs11" && !is_project) {
    return take_pkcs11(settings, member.value, file);
  }
  const auto* const known = std::ranges::find(kTextKeys, member.key, &TextKey::key);
  if (known == kTextKeys.end()) {
    const bool other = member.key == "link" || member.key == "trust" || member.key == "pkcs11" ||
                       std::ranges::find(kOtherKeys, member.key) != kOtherKeys.end();
    if (!other) {
      settings.warnings.push_back(fmt::format("{}:{}: unknown key \"{}\"", file.string(),
                                              member.key_source.line, member.key));
    } else if (is_project && member.key != "gdb") {
      settings.warnings.push_back(fmt::format("{}:{}: \"{}\" is not read from a project's file",
                                              file.string(), member.key_source.line, member.key));
    }
    return {};
  }
  if (is_project && !known->in_project) {
    settings.warnings.push_back(fmt::format("{}:{}: \"{}\" is not read from a project's file",
                                            file.string(), member.key_source.line, member.key));
    return {};
  }
  const std::string* text = member.value.string();
  if (text == nullptr) {
    return broken(file, member.value.source(), fmt::format("\"{}\" is not a string", member.key));
  }
  SPHERE_TRY(check_choice(member.key, *text, member.value, file));
  if (is_project && is_active_token_uri(*text)) {
    return broken(file, member.value.source(),
                  fmt::format("\"{}\" of a project may not name a module or a PIN", member.key));
  }
  settings.*(known->setting) = {.value = *text, .origin = file.string()};
  return {};
}

Result<void> read_settings_file(Settings& settings, const std::filesystem::path& file,
                                bool is_project) {
  auto text = read_text_file(file, kLargest);
  if (!text) {
    if (text.error().code() == Errc::not_found) {
      return {};
    }
    return tl::make_unexpected(std::move(text).error().while_doing("reading the configuration"));
  }
  auto value = json::parse(*text, {.bytes = kLargest, .allow_comments = true});
  if (!value) {
    return fail(Errc::corrupt,
                fmt::format("configuration file {}, {}: {}", file.string(),
                            value.error().hint().value, value.error().message()),
                {.reason = "local.file-unreadable",
                 .value = file.string(),
                 .next = "correct the file, or move it away"});
  }
  if (value->kind() != json::Kind::object) {
    return broken(file, value->source(), "not an object");
  }
  for (const json::Member& member : value->members()) {
    SPHERE_TRY(take_member(settings, member, file, is_project));
  }
  return {};
}

// sphere.json in `directory` or the nearest parent that has one.
std::filesystem::path project_file(std::filesystem::path directory) {
  while (!directory.empty()) {
    std::error_code ignored;
    if (auto file = directory / "sphere.json"; std::filesystem::is_regular_file(file, ignored)) {
      return file;
    }
    if (directory == directory.parent_path()) {
      break;
    }
    directory = directory.parent_path();
  }
  return {};
}

Result<void> take_variables(Settings& settings) {
  const auto take = [](Setting& setting, const char* name) {
    if (auto value = filled_variable(name)) {
      setting = {.value = *std::move(value), .origin = name};
    }
  };
  take(settings.output, "SPHERE_OUTPUT");
  take(settings.device, "SPHERE_DEVICE");
  take(settings.sdk_directory, "AzureSphereDefaultSDKDir");
  take(settings.sdk_directory, "SPHERE_SDK_DIR");
  const auto formats = split(kChoices[0].words, ' ');
  if (settings.output.origin == "SPHERE_OUTPUT" &&
      std::ranges::find(formats, settings.output.value) == formats.end()) {
    return fail(Errc::invalid_argument,
                fmt::format("SPHERE_OUTPUT is one of {}", join(formats, ", ")),
                {.reason = "usage.bad-value",
                 .value = settings.output.value,
                 .next = "unset SPHERE_OUTPUT, or give it one of these words"});
  }
  return {};
}

// "$<variable>/sphere", else "$HOME/<fallback>/sphere", else nothing. XDG asks for absolute paths.
std::filesystem::path xdg_directory(const char* name, std::string_view fallback) {
  const auto own = filled_variable(name);
  if (own && own->front() == '/') {
    return std::filesystem::path{*own} / "sphere";
  }
  const auto home = filled_variable("HOME");
  return home ? std::filesystem::path{*home} / fallback / "sphere" : std::filesystem::path{};
}

}  // namespace

SettingsPlaces settings_places() {
  SettingsPlaces places;
  if (const auto own = filled_variable("SPHERE_CONFIG_DIR")) {
    places.user_file = std::filesystem::path{*own} / "config.json";
  } else if (const auto directory = xdg_directory("XDG_CONFIG_HOME", ".config");
             !directory.empty()) {
    places.user_file = directory / "config.json";
  }
  std::error_code ignored;
  places.current_directory = std::filesystem::current_path(ignored);
  return places;
}

Result<Settings> load_settings(const SettingsPlaces& places) {
  Settings settings;
  const auto project = project_file(places.current_directory);
  for (const auto* file : {&places.system_file, &places.user_file, &project}) {
    if (!file->empty()) {
      SPHERE_TRY(read_settings_file(settings, *file, file == &project));
    }
  }
  SPHERE_TRY(take_variables(settings));
  return settings;
}

device::UserDirectories user_directories() {
  device::UserDirectories result;
  result.data = xdg_directory("XDG_DATA_HOME", ".local/share");
  result.state = xdg_directory("XDG_STATE_HOME", ".local/state");
  if (const auto runtime = filled_variable("XDG_RUNTIME_DIR"); runtime && runtime->front() == '/') {
    result.runtime = std::filesystem::path{*runtime} / "sphere";
  } else {
    // Who uses it makes it 0700 and checks its owner.
    const auto temporary = filled_variable("TMPDIR").value_or("/tmp");
    result.runtime = std::filesystem::path{temporary} / fmt::format("sphere-{}", ::getuid());
  }
  return result;
}

std::filesystem::path find_sdk(const Settings& settings, const std::filesystem::path& program) {
  if (!settings.sdk_directory.value.empty()) {
    // With or without a slash at the end.
    const std::filesystem::path named{settings.sdk_directory.value};
    return named.has_filename() ? named : named.parent_path();
  }
  const auto bin = program.parent_path();
  for (const auto& candidate : {bin.parent_path(), bin.parent_path() / "sdk",
                                std::filesystem::path{"/opt/azurespheresdk"}}) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(candidate / "VERSION", ignored)) {
      return candidate;
    }
  }
  return {};
}

}  // namespace sphere::cli
