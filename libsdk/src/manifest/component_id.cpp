// SPDX-License-Identifier: MIT
#include <cstddef>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"
#include "sphere/manifest/rewrite.h"

namespace sphere::manifest {
namespace {

std::size_t end_of(const json::Source& source) { return source.offset + source.length; }

// The blanks in front of `at`: a new member behind this one looks like it.
std::string_view blanks_before(std::string_view text, std::size_t at) {
  const auto last = text.substr(0, at).find_last_not_of(" \t\r\n");
  return text.substr(last + 1, at - last - 1);
}

std::string added(std::string_view text, const json::Value& root, const Guid& id) {
  std::string result{text};
  if (root.members().empty()) {
    result.insert(root.source().offset + 1, fmt::format(R"("ComponentId": "{}")", id.text()));
    return result;
  }
  const json::Member* neighbour = root.members().data();
  for (const auto& member : root.members()) {
    neighbour = member.key == "Name" ? &member : neighbour;
  }
  const auto key_end = end_of(neighbour->key_source);
  result.insert(
      end_of(neighbour->value.source()),
      fmt::format(R"(,{}"ComponentId"{}"{}")", blanks_before(text, neighbour->key_source.offset),
                  text.substr(key_end, neighbour->value.source().offset - key_end), id.text()));
  return result;
}

}  // namespace

Result<std::string> with_component_id(std::string_view text, const Guid& id) {
  SPHERE_TRY_ASSIGN(const auto root, json::parse(text, {.bytes = kMaxManifestBytes}));
  if (root.kind() != json::Kind::object) {
    return fail(Errc::corrupt, "the manifest is no JSON object", {.reason = "package.manifest"});
  }
  const auto* const old = root.find("ComponentId");
  if (old == nullptr) {
    return added(text, root, id);
  }
  std::string result{text};
  result.replace(old->source().offset, old->source().length, fmt::format("\"{}\"", id.text()));
  return result;
}

}  // namespace sphere::manifest
