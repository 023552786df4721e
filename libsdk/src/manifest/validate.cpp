// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/manifest/findings.h"
#include "libsdk/src/manifest/rules.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::manifest {
namespace {

constexpr std::uint32_t kInvalidJson = 1;
constexpr std::size_t kListed = 20;

Place root_place() { return {.pointer = "", .source = {.line = 1, .column = 1}}; }

bool is_fragment(const json::Value& root) {
  return root.members().size() == 1 && root.members()[0].key == "Capabilities";
}

void report_fragment(Draft& draft, const Place& place) {
  for (const std::uint32_t id : {3U, 4U}) {
    draft.findings.error(id, place, "this is a capability fragment, not the manifest of an app",
                         "copy what it holds into the app_manifest.json of an app");
  }
}

void report_missing(Draft& draft, const Place& place, const json::Value& root) {
  for (const auto& rule : top_level_rules()) {
    if (rule.missing != 0 && root.find(rule.key) == nullptr) {
      draft.findings.error(rule.missing, place.member(rule.key),
                           fmt::format("\"{}\" is missing", rule.key),
                           fmt::format("add \"{}\": {}", rule.key, rule.example));
    }
  }
  if (root.find("ComponentId") == nullptr) {
    constexpr std::string_view kMessage = "\"ComponentId\" is missing";
    if (draft.reader == Reader::device) {
      draft.findings.error(kInvalidJson, place.member("ComponentId"), std::string{kMessage});
    } else {
      draft.findings.warn("ComponentIdMissing", place.member("ComponentId"), std::string{kMessage},
                          "image-package pack-application writes a random one into the file");
    }
  }
}

void report_unknown_key(Draft& draft, const Place& place, const json::Member& member) {
  std::vector<std::string> known;
  for (const auto& rule : top_level_rules()) {
    known.emplace_back(rule.key);
  }
  draft.findings.warn(
      "UnknownKey", place,
      fmt::format("{} is no key of a manifest and has no effect", quoted(member.key)),
      suggestion(member.key, known));
}

void read_root(Draft& draft, const json::Value& root) {
  const Place place{.pointer = "", .source = root.source()};
  if (root.kind() != json::Kind::object) {
    draft.findings.error(kInvalidJson, place,
                         fmt::format("the file holds {}, not a JSON object", shown(root)));
    return;
  }
  // Rules of other keys depend on it, and it may stand behind them.
  if (root.string_at("ApplicationType") == "RealTimeCapable") {
    draft.manifest.type = ApplicationType::real_time;
  }
  if (is_fragment(root)) {
    report_fragment(draft, place);
  } else {
    report_missing(draft, place, root);
  }
  read_members(draft, top_level_rules(), place, root, report_unknown_key);
}

std::string line_of(const Finding& finding, std::string_view file) {
  const auto pointer = finding.pointer.empty() ? "" : escape_control(finding.pointer) + ": ";
  auto line =
      fmt::format("{}:{}:{}: {}{}", file, finding.line, finding.column, pointer, finding.message);
  if (finding.id) {
    line += fmt::format(" (error {}, {})", *finding.id, finding.rule);
  }
  return line;
}

}  // namespace

bool Validation::has_errors() const {
  return std::ranges::any_of(
      findings, [](const Finding& finding) { return finding.severity == Severity::error; });
}

Validation validate(std::string_view text, Reader reader) {
  Draft draft{.reader = reader};
  const auto root = json::parse(text, {.bytes = kMaxManifestBytes});
  if (root) {
    read_root(draft, *root);
  } else {
    Place place = root_place();
    place.source = json::place_of(root.error()).value_or(place.source);
    draft.findings.error(kInvalidJson, place, root.error().message());
  }
  Validation result{.manifest = {}, .findings = draft.findings.take()};
  if (!result.has_errors()) {
    result.manifest = std::move(draft.manifest);
  }
  return result;
}

void read_members(Draft& draft, std::span<const KeyRule> rules, const Place& place,
                  const json::Value& object,
                  void (*unknown)(Draft& draft, const Place& place, const json::Member& member)) {
  for (const auto& member : object.members()) {
    const auto rule = std::ranges::find_if(
        rules, [&](const KeyRule& candidate) { return candidate.key == member.key; });
    if (rule == rules.end()) {
      unknown(draft, place.member(member), member);
    } else {
      rule->read(draft, *rule, place.member(member), member.value);
    }
  }
}

void report_form(Draft& draft, const KeyRule& rule, const Place& place, const json::Value& value,
                 std::string_view form) {
  std::string hint;
  if (!rule.example.empty()) {
    hint = fmt::format("write \"{}\": {}", rule.key, rule.example);
  }
  draft.findings.error(rule.error, place,
                       fmt::format("\"{}\" is {}, not {}", rule.key, shown(value), form),
                       std::move(hint));
}

Finding package_finding(PackageProblem problem, std::string_view detail) {
  const auto name = escape_control(detail);
  Findings findings;
  const auto id = static_cast<std::uint32_t>(problem);
  switch (problem) {
    case PackageProblem::unreadable_manifest:
      findings.error(id, root_place(), fmt::format("cannot read the manifest: {}", name));
      break;
    case PackageProblem::no_entry_point_file:
      findings.error(id, root_place().member("EntryPoint"),
                     fmt::format("the package has no file {}", name),
                     "\"EntryPoint\" names the program; CMake installs it as /bin/app");
      break;
    case PackageProblem::entry_point_directory:
      findings.error(id, root_place().member("EntryPoint"),
                     fmt::format("{} is no file of the package", name),
                     "\"EntryPoint\" must name the program itself");
      break;
    case PackageProblem::no_manifest:
      findings.error(id, root_place(), fmt::format("there is no app_manifest.json in {}", name));
      break;
  }
  return findings.take().front();
}

Error to_error(const Validation& validation, std::string_view file) {
  std::string lines;
  std::size_t count = 0;
  const Finding* first = nullptr;
  for (const auto& finding : validation.findings) {
    if (finding.severity != Severity::error) {
      continue;
    }
    first = first == nullptr ? &finding : first;
    if (++count <= kListed) {
      lines += (count == 1 ? "" : "\n") + line_of(finding, file);
    }
  }
  if (count > kListed) {
    lines += fmt::format("\n{} more errors", count - kListed);
  }
  const std::string pointer = first == nullptr ? "" : escape_control(first->pointer);
  const std::string next = first == nullptr ? "" : first->hint;
  return {Errc::invalid_argument,
          std::move(lines),
          {.reason = "package.manifest", .value = pointer, .next = next}};
}

}  // namespace sphere::manifest
