// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "libsdk/src/manifest/findings.h"
#include "libsdk/src/manifest/rules.h"
#include "sphere/core/guid.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::manifest {
namespace {

constexpr std::uint32_t kBadEntryPoint = 16;
constexpr std::uint32_t kBadAppType = 26;

void read_schema_version(Draft& draft, const KeyRule& rule, const Place& place,
                         const json::Value& value) {
  if (value.integer() != 1) {
    report_form(draft, rule, place, value, "1");
  }
}

void read_name(Draft& draft, const KeyRule& rule, const Place& place, const json::Value& value) {
  if (value.string() == nullptr) {
    report_form(draft, rule, place, value, "a string");
    return;
  }
  draft.manifest.name = *value.string();
}

void read_component_id(Draft& draft, const KeyRule& rule, const Place& place,
                       const json::Value& value) {
  if (const auto* const text = value.string()) {
    draft.manifest.component_id_text = *text;
    draft.manifest.component_id = Guid::parse(*text);
  }
  if (draft.manifest.component_id) {
    return;
  }
  if (draft.reader == Reader::device) {
    report_form(draft, rule, place, value, "a GUID");
    return;
  }
  draft.findings.warn("ComponentIdMalformed", place,
                      fmt::format("\"ComponentId\" is {}, not a GUID", shown(value)),
                      "image-package pack-application replaces it by a random one in the file");
}

// What makes a path unusable as an entry point; "" when nothing does.
std::string_view path_fault(std::string_view path) {
  const bool has_control = std::ranges::any_of(path, [](char letter) {
    return static_cast<unsigned char>(letter) < 0x20 || letter == '\x7f';
  });
  if (has_control) {
    return "has a control character";
  }
  if (path.find('\\') != std::string_view::npos) {
    return "has a backslash";
  }
  for (const auto& part : split(path, '/')) {
    if (part.empty()) {
      return "has an empty component";
    }
    if (part == "." || part == "..") {
      return R"(has a component that is "." or "..")";
    }
  }
  return {};
}

void read_entry_point(Draft& draft, const KeyRule& rule, const Place& place,
                      const json::Value& value) {
  const auto* const text = value.string();
  if (text == nullptr) {
    report_form(draft, rule, place, value, "a string");
    return;
  }
  const bool rooted = text->starts_with('/');
  const auto path = std::string_view{*text}.substr(rooted ? 1 : 0);
  if (text->empty()) {
    draft.findings.error(kBadEntryPoint, place, "\"EntryPoint\" is empty",
                         "name the program in the package: \"/bin/app\"");
    return;
  }
  if (const auto fault = path_fault(path); !fault.empty()) {
    draft.findings.error(kBadEntryPoint, place,
                         fmt::format("the path \"EntryPoint\": {} {}", quoted(*text), fault),
                         "name the program in the package: \"/bin/app\"");
    return;
  }
  if (!rooted) {
    draft.findings.warn("EntryPointWithoutSlash", place,
                        fmt::format(R"("EntryPoint" is {}, taken as "/{}")", quoted(*text),
                                    escape_control(cut_utf8(path, 64))),
                        "begin the path with '/'");
  }
  draft.manifest.entry_point = fmt::format("/{}", path);
}

void read_arguments(Draft& draft, const KeyRule& rule, const Place& place,
                    const json::Value& value) {
  if (value.kind() != json::Kind::array) {
    report_form(draft, rule, place, value, "a list of strings");
    return;
  }
  for (std::size_t i = 0; i < value.items().size(); ++i) {
    const auto& item = value.items()[i];
    const auto* const text = item.string();
    if (text == nullptr) {
      draft.findings.error(rule.error, place.item(i, item),
                           fmt::format("argument {} is {}, not a string", i, shown(item)),
                           "put it in quotes");
    } else if (text->find('\0') != std::string::npos) {
      draft.findings.error(rule.error, place.item(i, item),
                           fmt::format("argument {} has a NUL character, which no argument can", i),
                           "remove \\u0000");
    } else {
      draft.manifest.arguments.push_back(*text);
    }
  }
}

// The value itself was taken before the other keys were read.
void read_type(Draft& draft, const KeyRule& rule, const Place& place, const json::Value& value) {
  const auto* const text = value.string();
  if (text == nullptr) {
    report_form(draft, rule, place, value, "a string");
    return;
  }
  if (*text == "Default" || *text == "RealTimeCapable") {
    return;
  }
  const std::array<std::string, 2> known = {"Default", "RealTimeCapable"};
  auto hint = suggestion(*text, known);
  if (hint.empty()) {
    hint = R"(write "Default" for a high-level app, "RealTimeCapable" for a real-time app)";
  }
  draft.findings.error(kBadAppType, place,
                       fmt::format("\"ApplicationType\" {} is not known", quoted(*text)), hint);
}

void read_malloc_version(Draft& draft, const KeyRule& rule, const Place& place,
                         const json::Value& value) {
  if (value.integer() != 1 && value.integer() != 2) {
    report_form(draft, rule, place, value, "1 or 2");
  }
}

// The two keys of the packer. A source that has them is not wrong: packing writes them anew.
void warn_of_packer_key(Draft& draft, const KeyRule& rule, const Place& place) {
  if (draft.reader == Reader::packer) {
    draft.findings.warn("WrittenByPacking", place,
                        fmt::format("\"{}\" is written by packing; the one in the source is "
                                    "replaced",
                                    rule.key),
                        "remove it");
  }
}

void read_runtime_version(Draft& draft, const KeyRule& rule, const Place& place,
                          const json::Value& value) {
  const auto version = value.integer();
  if (!version || *version < 0 || *version > std::numeric_limits<std::uint32_t>::max()) {
    report_form(draft, rule, place, value, "the number of an API set");
    return;
  }
  draft.manifest.target_application_runtime_version = version;
  warn_of_packer_key(draft, rule, place);
}

void read_beta_apis(Draft& draft, const KeyRule& rule, const Place& place,
                    const json::Value& value) {
  if (value.string() == nullptr) {
    report_form(draft, rule, place, value, "a string");
    return;
  }
  draft.manifest.target_beta_apis = *value.string();
  warn_of_packer_key(draft, rule, place);
}

void read_core(Draft& draft, const KeyRule& rule, const Place& place, const json::Value& value) {
  constexpr std::int64_t kMost = 255;
  const auto core = value.integer();
  if (!core || *core < 0 || *core > kMost) {
    report_form(draft, rule, place, value, "the number of a real-time core");
    return;
  }
  draft.manifest.core = static_cast<std::uint32_t>(*core);
  if (draft.manifest.type == ApplicationType::high_level) {
    draft.findings.warn("NoEffectInHighLevelApp", place,
                        "\"Core\" has an effect in real-time apps only", "remove it");
  }
}

// Fields of the chip maker's own apps. A device checks their form and ignores them.
void read_first_party(Draft& draft, const KeyRule& rule, const Place& place,
                      const json::Value& value) {
  if (draft.reader == Reader::device && value.kind() != json::Kind::object) {
    report_form(draft, rule, place, value, "an object");
    return;
  }
  draft.findings.warn("FirstPartyKey", place,
                      fmt::format("\"{}\" is no key for apps and has no effect", rule.key),
                      "remove it");
}

void refuse_policy(Draft& draft, const KeyRule& /*rule*/, const Place& place,
                   const json::Value& /*value*/) {
  draft.findings.error(1, 2, "CustomerManifestHasPolicy", place,
                       "\"Policy\" is not allowed in the manifest of an app", "remove it");
}

constexpr std::array<KeyRule, 14> kRules = {{
    {.key = "SchemaVersion",
     .error = 17,
     .read = read_schema_version,
     .missing = 4,
     .example = "1"},
    {.key = "Name", .error = 1, .read = read_name, .missing = 1, .example = "\"MyApp\""},
    {.key = "ComponentId", .error = 1, .read = read_component_id},
    {.key = "EntryPoint",
     .error = 3,
     .read = read_entry_point,
     .missing = 3,
     .example = "\"/bin/app\""},
    {.key = "CmdArgs", .error = 5, .read = read_arguments, .example = "[\"--verbose\"]"},
    {.key = "ApplicationType", .error = 27, .read = read_type, .example = "\"Default\""},
    {.key = "Capabilities", .error = 6, .read = read_capabilities, .missing = 6, .example = "{}"},
    {.key = "MallocVersion", .error = 59, .read = read_malloc_version, .example = "2"},
    {.key = "TargetApplicationRuntimeVersion", .error = 1, .read = read_runtime_version},
    {.key = "TargetBetaApis", .error = 1, .read = read_beta_apis},
    {.key = "Core", .error = 1, .read = read_core, .example = "0"},
    {.key = "Debug", .error = 8, .read = read_first_party},
    {.key = "Update", .error = 14, .read = read_first_party},
    {.key = "Policy", .error = 20, .read = refuse_policy},
}};

}  // namespace

std::span<const KeyRule> top_level_rules() { return kRules; }

}  // namespace sphere::manifest
