// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/commands/image_package.h"
#include "cli/commands/image_package_forms.h"
#include "cli/commands/image_package_show_v2.h"
#include "cli/commands/image_package_tree.h"
#include "cli/commands/image_package_v2.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/image/batch.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/production.h"
#include "sphere/image/trust.h"
#include "sphere/image/verify_v2.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::size_t kHexShown = 32;  // Bytes of an unknown section in the text form.

// What show found out, for both forms.
struct Findings {
  std::string path;
  std::uint64_t size = 0;
  const image::Metadata* metadata = nullptr;
  crypto::Sha256Digest digest = {};  // Of the file.
  SignatureReport signature = {};
  std::optional<image::Package> package = {};  // An application that could be read.
  std::optional<SignatureReport> inner = {};   // Of the package inside of a production package.
  FormContent form = {};                       // Of a kind without files.
  std::optional<json::Value> manifest = {};    // Its manifest, when that is JSON.
  json::Value files = {};                      // For JSON.
  std::string problem = {};                    // Why its content could not be read.
  bool is_damaged = false;                     // And whether that is the file's fault.
  bool wants_tree = false;                     // --tree
  bool wants_body = false;                     // --check-body
};

// "Label             value": the value begins in column 19.
std::string line(std::string_view label, std::string_view value) {
  return fmt::format("{:<19}{}\n", label, escape_control(value));
}
std::string inner_line(std::string_view label, std::string_view value) {
  return fmt::format("  {:<17}{}\n", label, escape_control(value));
}

std::string format_text(const image::Metadata& metadata) {
  if (metadata.signature_info.signing_type == image::kSigningTypePackageV2) {
    return (metadata.temporary.value_or(0) & image::kUnderDevelopment) != 0 ? "v2, development"
                                                                            : "v2";
  }
  if (metadata.compressed) {
    return fmt::format("v1, production (LZMA, {} bytes uncompressed)",
                       with_thousands(metadata.uncompressed_size));
  }
  const bool development = (metadata.temporary.value_or(0) & image::kUnderDevelopment) != 0;
  return development ? "v1, development" : "v1";
}

std::string time_text(std::uint64_t time) {
  return to_rfc3339(static_cast<std::int64_t>(std::min(time, std::uint64_t{INT64_MAX})));
}

std::string signature_lines(const Findings& findings) {
  const auto& signature = findings.signature;
  auto text =
      inner_line("Key", signature.key != nullptr ? signature.key->label : std::string{"unknown"});
  if (!findings.metadata->compressed) {
    return text + inner_line("Result", signature.result);
  }
  return text + inner_line("Signed", time_text(findings.metadata->debug.build_time)) +
         inner_line("Result", fmt::format("outer {}, inner {}", signature.result,
                                          findings.inner ? findings.inner->result : "not read"));
}

// The section of the inner package that tells more than the same one outside: when it was built.
image::Section shown_section(const Findings& findings, const image::Section& section) {
  if (findings.inner && findings.package && section.id == std::array<char, 2>{'D', 'B'}) {
    const auto& inner = findings.package->metadata.sections;
    const auto found = std::ranges::find(inner, section.id, &image::Section::id);
    return found == inner.end() ? section : *found;
  }
  return section;
}

std::string section_lines(const Findings& findings) {
  std::string text;
  for (const auto& stored : findings.metadata->sections) {
    if (is_v2_section(stored) && findings.metadata->v2.content) {
      continue;
    }
    const auto section = shown_section(findings, stored);
    const auto fields = image::describe_section(section);
    if (fields.empty()) {
      const auto shown = std::min(section.payload.size(), kHexShown);
      text += line(
          "Section " + std::string{section.id.data(), section.id.size()},
          fmt::format("{} bytes {}{}", section.payload.size(), to_hex(section.payload.first(shown)),
                      shown < section.payload.size() ? "..." : ""));
      continue;
    }
    text += std::string{image::section_name(section.id)} + "\n";
    for (const auto& field : fields) {
      text += inner_line(field.label, field.text);
    }
    if (section.id == std::array<char, 2>{'S', 'G'}) {
      text += signature_lines(findings);
    }
  }
  return text;
}

std::string_view text_of(std::span<const std::byte> bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes seen as characters.
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Of an application; nothing when it is no JSON.
Result<std::optional<json::Value>> manifest_of(const image::Package& package) {
  const auto* file = package.files.find("app_manifest.json");
  if (file == nullptr) {
    return std::nullopt;
  }
  SPHERE_TRY_ASSIGN(const auto content, image::read_file_content(package.files, *file));
  auto value = json::parse(text_of(content.bytes()));
  return value ? std::optional{*std::move(value)} : std::nullopt;
}

std::string manifest_text(const std::optional<json::Value>& manifest) {
  if (!manifest) {
    return "not readable";
  }
  const auto type = manifest->string_at("ApplicationType").value_or("Default");
  const bool is_real_time = type == "RealTimeCapable";
  std::string text =
      fmt::format("{} ({}), entry point {}", type, is_real_time ? "real-time" : "high-level",
                  manifest->string_at("EntryPoint").value_or("missing"));
  const auto* capabilities = manifest->find("Capabilities");
  if (capabilities != nullptr) {
    for (const auto& entry : capabilities->members()) {
      text += fmt::format(", {} {}", entry.key, json::to_compact(entry.value));
    }
  }
  return text;
}

std::string file_lines(const Findings& findings) {
  const auto& package = *findings.package;
  std::string text = line(
      "Files", fmt::format("({} inodes{})", package.files.inode_count,
                           package.kind == image::PackageKind::package_v2 ? "" : ", CRC good"));
  if (findings.wants_tree) {
    return text + tree_lines(package.files) + line("Manifest", manifest_text(findings.manifest));
  }
  for (const auto& file : package.files.files) {
    text += fmt::format("  {}{:>11}  /{}\n", file.executable ? "0755" : "0644", file.size,
                        escape_control(file.path));
  }
  return text + line("Manifest", manifest_text(findings.manifest));
}

// What --check-body says. Everything has been checked by then.
std::string body_text(const Findings& findings) {
  const auto size = with_thousands(findings.metadata->body_size);
  if (const auto& tree = findings.metadata->v2.tree; tree && findings.metadata->v2.content) {
    const auto bytes =
        with_thousands(static_cast<std::size_t>(findings.metadata->v2.content->body_size));
    return findings.is_damaged
               ? fmt::format("{} bytes, damaged", bytes)
               : fmt::format("{} bytes, {} of {} blocks good", bytes,
                             with_thousands(tree->data_blocks), with_thousands(tree->data_blocks));
  }
  if (findings.package || !findings.form.key.empty()) {
    return fmt::format("{} bytes, {} good", size, findings.package ? "CRC and padding" : "form");
  }
  return findings.is_damaged ? fmt::format("{} bytes, damaged", size)
                             : fmt::format("{} bytes, of another kind than an application's", size);
}

std::size_t body_bytes(const image::Metadata& metadata) {
  return static_cast<std::size_t>(metadata.v2.content ? metadata.v2.content->body_size
                                                      : metadata.body_size);
}

std::string to_text(const Findings& findings) {
  std::string text = line("Image package", findings.path);
  text += line("Size", fmt::format("{} bytes (body {})", with_thousands(findings.size),
                                   with_thousands(body_bytes(*findings.metadata))));
  text += line("Format", format_text(*findings.metadata));
  text += line("SHA-256", to_hex(findings.digest));
  text += section_lines(findings);
  if (findings.metadata->v2.content) {
    text += lines_v2(*findings.metadata);
  }
  if (findings.wants_body) {
    text += line("Body", body_text(findings));
  }
  text += findings.form.text;
  if (findings.package) {
    text += file_lines(findings);
  }
  if (!findings.problem.empty()) {
    text += line("Content", findings.problem);
  }
  return text;
}

json::Value section_values(const image::Metadata& metadata) {
  json::Value list = json::Array{};
  for (const auto& section : metadata.sections) {
    json::Value value;
    value.set("id", escape_control({section.id.data(), section.id.size()}))
        .set("length", static_cast<std::uint64_t>(section.payload.size()));
    json::Value fields;
    for (const auto& field : image::describe_section(section)) {
      fields.set(field.key, field.text);
    }
    if (fields.is_null()) {
      value.set("hex", to_hex(section.payload));
    } else {
      value.set("fields", std::move(fields));
    }
    list.push(std::move(value));
  }
  return list;
}

json::Value signature_value(const Findings& findings) {
  const auto* key = findings.signature.key;
  json::Value value;
  value.set("type", static_cast<std::uint64_t>(findings.metadata->signature_info.signing_type))
      .set("certificate", to_hex(findings.metadata->signature_info.thumbprint))
      .set("keyId", key == nullptr ? json::Value{} : json::Value{to_hex(key->key.id())})
      .set("key", key == nullptr ? std::string_view{"unknown"} : key->kind)
      .set("result", findings.signature.result);
  if (findings.metadata->compressed) {
    value.set("innerResult", findings.inner ? json::Value{findings.inner->result} : json::Value{})
        .set("signedUtc", time_text(findings.metadata->debug.build_time));
  }
  return value;
}

Result<json::Value> file_values(const image::Package& package) {
  json::Value list = json::Array{};
  for (const auto& file : package.files.files) {
    crypto::Sha256 hash;
    SPHERE_TRY(stream_file_content(package.files, file,
                                   [&hash](std::span<const std::byte> bytes) -> Result<void> {
                                     hash.update(bytes);
                                     return {};
                                   }));
    json::Value value;
    value.set("path", "/" + file.path)
        .set("mode", file.executable ? "0755" : "0644")
        .set("size", static_cast<std::uint64_t>(file.size))
        .set("sha256", to_hex(hash.finish()));
    list.push(std::move(value));
  }
  return list;
}

json::Value to_value(const Findings& findings) {
  const auto& metadata = *findings.metadata;
  const auto type = metadata.identity.image_type;
  const auto name = image::image_type_name(type);
  json::Value value;
  value.set("imageId", metadata.identity.image_id.text())
      .set("componentId", metadata.identity.component_id.text())
      .set("name", metadata.debug.name)
      .set("imageType", name.empty() ? std::to_string(type) : std::string{name})
      .set("bytes", findings.size)
      .set("format", format_text(metadata))
      .set("sections", section_values(metadata))
      .set("signature", signature_value(findings));
  value.set("files", findings.files).set("manifest", findings.manifest.value_or(json::Value{}));
  if (metadata.v2.content) {
    add_values_v2(metadata, value);
  }
  if (!findings.form.key.empty()) {
    value.set(findings.form.key, findings.form.value);
  }
  if (findings.wants_tree && findings.package) {
    value.set("directories", directory_values(findings.package->files));
  }
  value.set("problem", findings.problem.empty() ? json::Value{} : json::Value{findings.problem});
  return value;
}

// Adds what an application holds.
Result<void> look_into_files(const image::Package& package, Findings& findings) {
  SPHERE_TRY(require_application(package));
  SPHERE_TRY_ASSIGN(findings.manifest, manifest_of(package));
  SPHERE_TRY_ASSIGN(findings.files, file_values(package));
  findings.package = package;
  return {};
}

// The same for a package v2, every block proven that is read; all of them for --check-body.
Result<void> look_into_v2(const image::Package& container, Findings& findings) {
  auto package = container;
  SPHERE_TRY(image::open_files(package));
  if (findings.wants_body) {
    SPHERE_TRY(check_whole_body(package));
  }
  if (package.metadata.identity.image_type == image::kTrustedKeyStore) {
    SPHERE_TRY_ASSIGN(findings.form, read_trust_form(package));
  }
  if (package.files.body == nullptr) {
    return {};
  }
  SPHERE_TRY_ASSIGN(findings.manifest, manifest_of(package));
  SPHERE_TRY_ASSIGN(findings.files, file_values(package));
  findings.package = package;
  return {};
}

Result<Findings> look_at_v2(Findings findings, const image::Package& container,
                            const std::vector<KnownKey>& keys) {
  if (const auto looked = look_into_v2(container, findings); !looked) {
    findings.problem = looked.error().message();
    findings.is_damaged = true;
  }
  SPHERE_TRY_ASSIGN(const auto digests, image::check_body(container));
  findings.digest = digests.file;
  SPHERE_TRY_ASSIGN(findings.signature, look_at_signature_v2(container, keys));
  return findings;
}

// Adds what the package holds.
Result<void> look_into(const image::Package& package, const std::vector<KnownKey>& keys,
                       Findings& findings) {
  switch (package.kind) {
    case image::PackageKind::production: {
      SPHERE_TRY_ASSIGN(const auto inner, image::open_inner(package));
      findings.inner = look_at_signature(inner.digests.signed_bytes, inner.package.metadata, keys);
      return look_into_files(inner.package, findings);
    }
    case image::PackageKind::capability:
    case image::PackageKind::board_configuration: {
      SPHERE_TRY_ASSIGN(findings.form, read_form(package));
      return {};
    }
    default:
      return look_into_files(package, findings);
  }
}

// Everything about the file at `path` whose container could be read as `container`. Errors: the
// file cannot be read any more.
Result<Findings> look_at(const std::string& path, const image::Package& container,
                         const std::vector<KnownKey>& keys, bool wants_body) {
  Findings findings{.path = path, .size = container.size, .metadata = &container.metadata};
  findings.wants_body = wants_body;
  if (container.kind == image::PackageKind::package_v2) {
    return look_at_v2(std::move(findings), container, keys);
  }
  auto opened = image::open_package(container.source, container.size);
  auto digests = opened ? image::check_body(*opened) : tl::make_unexpected(opened.error());
  auto looked = digests ? look_into(*opened, keys, findings) : tl::make_unexpected(digests.error());
  if (!looked) {
    findings.problem = looked.error().message();
    // A kind that is not read here is no fault of the file.
    findings.is_damaged = looked.error().code() != Errc::unsupported;
  }
  if (!digests) {
    digests = image::check_body(container);
  }
  if (!digests) {
    return tl::make_unexpected(std::move(digests).error());
  }
  findings.digest = digests->file;
  findings.signature = look_at_signature(digests->signed_bytes, container.metadata, keys);
  return findings;
}

}  // namespace

Result<Output> run_show_package(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto path, package_path(arguments));
  SPHERE_TRY(image::finish_interrupted_signing(path));
  SPHERE_TRY_ASSIGN(auto file, image::FileBlocks::open(path));
  const auto size = file.size();
  const auto container =
      image::open_container(std::make_shared<image::FileBlocks>(std::move(file)), size);
  if (!container) {
    return tl::make_unexpected(about_file(container.error(), path));
  }
  const auto keys = known_keys(context);
  SPHERE_TRY_ASSIGN(auto findings, look_at(path, *container, keys, arguments.has("check-body")));
  findings.wants_tree = arguments.has("tree");
  const bool is_good = !findings.is_damaged && findings.signature.result != "bad" &&
                       !(findings.inner && findings.inner->result == "bad");
  return Output{.data = to_value(findings), .text = to_text(findings), .verdict_failed = !is_good};
}

}  // namespace sphere::cli
