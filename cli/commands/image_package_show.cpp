// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
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
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::size_t kHexShown = 32;  // Bytes of an unknown section in the text form.

// What show found out, for both forms.
struct Findings {
  const PackageFile* file;
  const image::Metadata* metadata;
  SignatureReport signature;
  std::optional<image::Package> package = {};  // An application that could be read.
  std::string problem = {};                    // Why its content could not be read.
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
    return "v2";
  }
  if (metadata.compressed) {
    return fmt::format("v1, production (LZMA, {} bytes uncompressed)",
                       with_thousands(metadata.uncompressed_size));
  }
  const bool development = (metadata.temporary.value_or(0) & image::kUnderDevelopment) != 0;
  return development ? "v1, development" : "v1";
}

std::string signature_lines(const Findings& findings) {
  return inner_line("Key", findings.signature.key != nullptr ? findings.signature.key->label
                                                             : std::string{"unknown"}) +
         inner_line("Result", findings.signature.result);
}

std::string section_lines(const Findings& findings) {
  std::string text;
  for (const auto& section : findings.metadata->sections) {
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

std::optional<json::Value> manifest_of(const image::Package& package) {
  const auto* file = package.files.find("app_manifest.json");
  auto value = file == nullptr ? json::parse("") : json::parse(text_of(file->content));
  return value ? std::optional{*std::move(value)} : std::nullopt;
}

std::string manifest_text(const image::Package& package) {
  const auto manifest = manifest_of(package);
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

std::string file_lines(const image::Package& package) {
  std::string text = line("Files", fmt::format("({} inodes, CRC good)", package.files.inode_count));
  for (const auto& file : package.files.files) {
    text += fmt::format("  {}{:>11}  /{}\n", file.executable ? "0755" : "0644", file.content.size(),
                        escape_control(file.path));
  }
  return text + line("Manifest", manifest_text(package));
}

std::string to_text(const Findings& findings) {
  const auto& bytes = findings.file->bytes;
  std::string text = line("Image package", findings.file->path);
  text += line("Size", fmt::format("{} bytes (body {})", with_thousands(bytes.size()),
                                   with_thousands(findings.metadata->body_size)));
  text += line("Format", format_text(*findings.metadata));
  text += line("SHA-256", to_hex(crypto::sha256(bytes)));
  text += section_lines(findings);
  if (findings.package) {
    text += file_lines(*findings.package);
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
  return value;
}

json::Value file_values(const image::Package& package) {
  json::Value list = json::Array{};
  for (const auto& file : package.files.files) {
    json::Value value;
    value.set("path", "/" + file.path)
        .set("mode", file.executable ? "0755" : "0644")
        .set("size", static_cast<std::uint64_t>(file.content.size()))
        .set("sha256", to_hex(crypto::sha256(file.content)));
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
      .set("bytes", static_cast<std::uint64_t>(findings.file->bytes.size()))
      .set("format", format_text(metadata))
      .set("sections", section_values(metadata))
      .set("signature", signature_value(findings));
  if (findings.package) {
    value.set("files", file_values(*findings.package))
        .set("manifest", manifest_of(*findings.package).value_or(json::Value{}));
  } else {
    value.set("files", json::Value{}).set("manifest", json::Value{});
  }
  value.set("problem", findings.problem.empty() ? json::Value{} : json::Value{findings.problem});
  return value;
}

std::vector<KnownKey> own_keys(Context& context) {
  auto keys = known_keys(context);
  std::erase_if(keys, [](const KnownKey& key) { return key.kind == "publicTestKey"; });
  return keys;
}

}  // namespace

Result<Output> run_show_package(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto file, read_package_file(arguments));
  SPHERE_TRY_ASSIGN(const auto metadata, image::read_metadata(file.bytes));
  const auto keys = known_keys(context);
  Findings findings{.file = &file,
                    .metadata = &metadata,
                    .signature = look_at_signature(file.bytes, metadata, keys)};
  auto package = image::parse_package(file.bytes);
  bool is_good = findings.signature.result != "bad";
  if (package) {
    findings.package = *std::move(package);
  } else {
    // A kind that is not read here is no fault of the file.
    is_good = is_good && package.error().code() == Errc::unsupported;
    findings.problem = package.error().message();
  }
  return Output{.data = to_value(findings), .text = to_text(findings), .verdict_failed = !is_good};
}

Result<Output> run_verify_package(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto file, read_package_file(arguments));
  SPHERE_TRY_ASSIGN(const auto package, image::parse_package(file.bytes));
  const auto trust = arguments.value("trust");
  auto trusted =
      trust ? read_trusted_keys(*trust) : Result<std::vector<KnownKey>>{own_keys(context)};
  if (!trusted) {
    return tl::make_unexpected(std::move(trusted).error());
  }
  const auto verified = image::verify(package, trust_store(*trusted));
  std::string reason;
  if (!verified) {
    const bool is_public = image::public_test_key()
                               .verify(image::signed_digest(package),
                                       package.metadata.signature.first<crypto::kSignatureSize>())
                               .has_value();
    reason = is_public
                 ? "signed with the public SDK test key, which proves nothing about the author"
                 : verified.error().message();
  }
  Output output{
      .text = verified ? fmt::format("{}: good, signed by {}", file.path, verified->signer().label)
                       : fmt::format("{}: not trusted: {}", file.path, reason),
      .verdict_failed = !verified};
  output.data.set("file", file.path)
      .set("verdict", verified ? "good" : "untrusted")
      .set("reason", verified ? json::Value{} : json::Value{reason})
      .set("signedBy", verified ? json::Value{verified->signer().label} : json::Value{})
      .set("certificate", to_hex(package.metadata.signature_info.thumbprint))
      .set("imageId", package.metadata.identity.image_id.text())
      .set("componentId", package.metadata.identity.component_id.text());
  return output;
}

}  // namespace sphere::cli
