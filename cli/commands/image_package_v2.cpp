// SPDX-License-Identifier: MIT
#include "cli/commands/image_package_v2.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
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
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/block_io.h"
#include "sphere/image/executable_check.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/package.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/sections_v2.h"
#include "sphere/image/sign_v2.h"
#include "sphere/image/verify_v2.h"
#include "sphere/json/value.h"
#include "sphere/project/pack.h"

namespace sphere::cli {
namespace {

constexpr std::size_t kMaxSbom = std::size_t{64} * 1024 * 1024;

tl::unexpected<Error> bad_value(std::string_view option, const std::string& value,
                                std::string_view example) {
  return fail(Errc::invalid_argument,
              fmt::format("{} has a value that it cannot have: {}", option, escape_control(value)),
              {.reason = "usage.bad-value",
               .value = value,
               .next = fmt::format("write it as {}", example)});
}

Result<std::optional<std::uint32_t>> read_version(const Arguments& arguments,
                                                  std::string_view option) {
  const auto text = arguments.value(option);
  if (!text) {
    return std::nullopt;
  }
  std::uint32_t number = 0;
  const auto [end, error] =
      std::from_chars(std::to_address(text->cbegin()), std::to_address(text->cend()), number);
  if (error != std::errc{} || end != std::to_address(text->cend())) {
    return bad_value(fmt::format("--{}", option), *text, "a number from 0 to 4294967295");
  }
  return number;
}

Result<std::optional<image::SecurityVersion>> read_security(const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto version, read_version(arguments, "security-version"));
  SPHERE_TRY_ASSIGN(const auto least_os, read_version(arguments, "least-os-version"));
  if (!version && !least_os) {
    return std::nullopt;
  }
  return image::SecurityVersion{.image = version.value_or(0), .least_os = least_os.value_or(0)};
}

// Values of a list, also several with commas between them, as CMake writes them.
std::vector<std::string> split_list(const std::vector<std::string>& values) {
  std::vector<std::string> result;
  for (const auto& value : values) {
    for (auto& part : split(value, ',')) {
      if (!part.empty()) {
        result.push_back(std::move(part));
      }
    }
  }
  return result;
}

image::Provenance read_provenance_options(const Arguments& arguments) {
  image::Provenance lines = {{.key = "tool", .value = fmt::format("sphere/{}", SPHERE_VERSION)}};
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kKeys = {
      {{"source", "source"}, {"revision", "revision"}, {"package-version", "version"}}};
  for (const auto& [option, key] : kKeys) {
    if (auto value = arguments.value(option)) {
      lines.push_back({.key = std::string{key}, .value = *std::move(value)});
    }
  }
  return lines;
}

// The document that --sbom names, by what it says it is.
Result<std::optional<image::SbomReference>> read_sbom(const Arguments& arguments) {
  const auto path = arguments.value("sbom");
  if (!path) {
    return std::nullopt;
  }
  SPHERE_TRY_ASSIGN(const auto bytes, read_file(*path, kMaxSbom));
  SPHERE_TRY_ASSIGN(const auto text, read_text_file(*path, kMaxSbom));
  const auto document = json::parse(text);
  const bool is_spdx = document && document->string_at("spdxVersion").has_value();
  const bool is_cyclonedx = document && document->string_at("bomFormat") == "CycloneDX";
  if (!is_spdx && !is_cyclonedx) {
    return fail(Errc::invalid_argument,
                fmt::format("{} is neither an SPDX nor a CycloneDX document in JSON", *path),
                {.reason = "usage.bad-value",
                 .value = *path,
                 .next = "name a document with spdxVersion or bomFormat"});
  }
  const auto in_image = arguments.value("sbom-path");
  auto locator = in_image.value_or(
      arguments.value("sbom-locator").value_or(std::filesystem::path{*path}.filename().string()));
  if (locator.empty() || locator.size() > image::kMaxLocator) {
    return bad_value("--sbom-locator", locator, "a URI of at most 255 bytes");
  }
  return image::SbomReference{.format = is_spdx ? image::SbomReference::Format::spdx
                                                : image::SbomReference::Format::cyclonedx,
                              .in_body = in_image.has_value(),
                              .digest = crypto::sha256(bytes),
                              .locator = std::move(locator)};
}

Result<project::PackV2Options> read_v2_options(const Arguments& arguments) {
  project::PackV2Options options{.compress = arguments.has("compress"),
                                 .boards = split_list(arguments.list("board")),
                                 .provenance = read_provenance_options(arguments)};
  if (arguments.has("incremental") || arguments.has("verify-cache")) {
    options.leaf_cache = arguments.value("output-file").value_or("") + ".leaves";
  }
  options.verify_cache = arguments.has("verify-cache");
  SPHERE_TRY_ASSIGN(options.security, read_security(arguments));
  SPHERE_TRY_ASSIGN(options.sbom, read_sbom(arguments));
  return options;
}

Result<std::uint16_t> read_machine(const Arguments& arguments) {
  constexpr std::array<std::pair<std::string_view, std::uint16_t>, 4> kMachines = {
      {{"none", image::kMachineNone},
       {"arm", image::kMachineArm},
       {"x86-64", image::kMachineX86_64},
       {"aarch64", image::kMachineAarch64}}};
  const auto name = arguments.value("machine").value_or("none");
  const auto* found = std::ranges::find(kMachines, name, [](const auto& row) { return row.first; });
  return found == kMachines.end() ? image::kMachineNone : found->second;
}

// What an image is, from the name of --body-format, or from its first bytes.
Result<image::BodyFormat> read_body_format(const Arguments& arguments,
                                           const image::FileBlocks& file) {
  const auto name = arguments.value("body-format").value_or("auto");
  if (name == "block") {
    return image::BodyFormat::block_image;
  }
  if (name == "squashfs") {
    return image::BodyFormat::squashfs;
  }
  if (name == "erofs") {
    return image::BodyFormat::erofs;
  }
  if (name == "device-tree") {
    return image::BodyFormat::device_tree;
  }
  return image::detect_body_format(file, file.size());
}

Result<std::uint16_t> read_image_type(const Arguments& arguments) {
  const auto text = arguments.value("image-type").value_or("8");
  std::uint16_t type = 0;
  const auto [end, error] =
      std::from_chars(std::to_address(text.cbegin()), std::to_address(text.cend()), type);
  if (error != std::errc{} || end != std::to_address(text.cend()) || type == image::kCapability) {
    return bad_value("--image-type", text,
                     "a number of an image type, such as 8 for a root file "
                     "system");
  }
  if (type == image::kTrustedKeyStore) {
    return fail(Errc::invalid_argument, "pack-image makes no trust store",
                {.reason = "usage.bad-value",
                 .value = text,
                 .next = "use sphere image-package pack-trust-store"});
  }
  return type;
}

Result<image::RawImage> read_raw_image(const Context& context, const Arguments& arguments,
                                       const image::FileBlocks& file) {
  SPHERE_TRY_ASSIGN(const auto common, pack_options(context, arguments));
  SPHERE_TRY_ASSIGN(auto v2, read_v2_options(arguments));
  const auto component_text = arguments.value("component-id").value_or("");
  const auto component = Guid::parse(component_text);
  if (!component || component->is_zero()) {
    return bad_value("--component-id", component_text, "00112233-4455-6677-8899-aabbccddeeff");
  }
  image::RawImage image{.source = &file,
                        .size = file.size(),
                        .info = {.component_id = *component,
                                 .image_id = common.image_id,
                                 .build_time = common.build_time,
                                 .name = arguments.value("name").value_or(""),
                                 .security = v2.security,
                                 .provenance = std::move(v2.provenance),
                                 .sbom = std::move(v2.sbom),
                                 .compress = v2.compress}};
  SPHERE_TRY_ASSIGN(image.info.image_type, read_image_type(arguments));
  SPHERE_TRY_ASSIGN(image.format, read_body_format(arguments, file));
  if (!v2.boards.empty()) {
    image::TargetHardware hardware{.boards = std::move(v2.boards)};
    SPHERE_TRY_ASSIGN(hardware.machine, read_machine(arguments));
    SPHERE_TRY(image::sort_boards(hardware));
    image.info.hardware = std::move(hardware);
  }
  return image;
}

json::Value text_list(const std::vector<std::string>& texts) {
  return json::Array(texts.begin(), texts.end());
}

}  // namespace

Result<std::unique_ptr<RunTools>> RunTools::create() {
  SPHERE_TRY_ASSIGN(auto engine, crypto::HashEngine::from_environment());
  return std::unique_ptr<RunTools>{new RunTools{std::move(engine)}};
}

Result<void> check_whole_body(const image::Package& package) {
  if (package.kind != image::PackageKind::package_v2) {
    return {};
  }
  SPHERE_TRY_ASSIGN(const auto tools, RunTools::create());
  return image::check_body_v2(package, tools->get());
}

bool is_raw_image(const image::Package& package) {
  return package.kind == image::PackageKind::package_v2 && package.metadata.v2.content &&
         package.metadata.v2.content->format != image::BodyFormat::asxipfs;
}

Result<std::vector<std::string>> unpack_image(const image::Package& package,
                                              const std::filesystem::path& directory) {
  SPHERE_TRY_ASSIGN(const auto body, image::open_body(package));
  std::error_code error;
  if (std::filesystem::exists(directory, error) && !std::filesystem::is_empty(directory, error)) {
    return fail(Errc::exists,
                fmt::format("{} exists and is not an empty directory", directory.string()),
                {.reason = "local.file-exists",
                 .value = directory.string(),
                 .next = "name a directory that does not exist"});
  }
  SPHERE_TRY(make_directories(directory));
  const std::string name = "image";
  SPHERE_TRY_ASSIGN(auto file, AtomicFile::create(directory / name));
  SPHERE_TRY(image::stream_bytes(
      *body, 0, package.metadata.v2.content.value_or(image::ContentHeader{}).content_size,
      [&file](std::span<const std::byte> bytes) { return file.write(bytes); }));
  SPHERE_TRY(file.commit());
  return std::vector<std::string>{name};
}

Result<void> refuse_v2_options(const Arguments& arguments) {
  for (const auto* option :
       {"compress", "security-version", "least-os-version", "board", "source", "revision",
        "package-version", "sbom", "sbom-locator", "sbom-path", "incremental", "verify-cache"}) {
    if (arguments.has(option)) {
      return fail(Errc::invalid_argument, fmt::format("--{} needs a package of format v2", option),
                  {.reason = "usage.conflict", .value = option, .next = "add --format v2"});
    }
  }
  return {};
}

Result<Output> pack_application_v2(Context& context, const Arguments& arguments, Signers& signers) {
  SPHERE_TRY_ASSIGN(const auto options, pack_options(context, arguments));
  SPHERE_TRY_ASSIGN(const auto v2, read_v2_options(arguments));
  const auto path = arguments.value("output-file").value_or("");
  SPHERE_TRY_ASSIGN(auto file, create_package_file(path, arguments));
  if (const auto& found = signers.get(arguments); !found) {
    return tl::make_unexpected(found.error());
  }
  const auto& signing = *signers.get(arguments);
  SPHERE_TRY_ASSIGN(const auto tools, RunTools::create());
  SPHERE_TRY_ASSIGN(const auto packed,
                    project::pack_application_v2(options, v2, *signing.signer, tools->get(), file));
  for (const auto& warning : packed.warnings) {
    context.reporter.warn(warning);
  }
  SPHERE_TRY(file.commit());

  Output output{.text = fmt::format("Packed {} ({} bytes, format v2), signed by {}.", path,
                                    with_thousands(packed.size), signing.signed_by),
                .verdict_failed = !packed.stale.empty()};
  for (const auto& stale : packed.stale) {
    context.reporter.warn(fmt::format("the leaf cache was wrong about /{}", escape_control(stale)));
  }
  output.data.set("file", path)
      .set("imageId", packed.image_id.text())
      .set("componentId", packed.component_id.text())
      .set("name", packed.name)
      .set("bytes", packed.size)
      .set("signedBy", signing.signed_by)
      .set("warnings", text_list(packed.warnings));
  return output;
}

Result<Output> run_pack_image(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto source, image::FileBlocks::open(arguments.positional(0)));
  SPHERE_TRY_ASSIGN(const auto image, read_raw_image(context, arguments, source));
  const auto path = arguments.value("output-file").value_or("");
  SPHERE_TRY_ASSIGN(auto file, create_package_file(path, arguments));
  SPHERE_TRY_ASSIGN(const auto signing, choose_signer(context, arguments));
  SPHERE_TRY_ASSIGN(const auto tools, RunTools::create());
  SPHERE_TRY_ASSIGN(const auto packed,
                    image::pack_raw_image(image, *signing.signer, tools->get(),
                                          {.descriptor = file.descriptor(), .name = path}));
  SPHERE_TRY(source.check_unchanged());
  SPHERE_TRY(file.commit());

  Output output{.text = fmt::format("Packed {} ({} bytes, {}), signed by {}.", path,
                                    with_thousands(packed.bytes), image::to_text(image.format),
                                    signing.signed_by)};
  output.data.set("file", path)
      .set("imageId", packed.image_id.text())
      .set("componentId", image.info.component_id.text())
      .set("name", image.info.name)
      .set("bodyFormat", image::to_text(image.format))
      .set("compressed", packed.compressed)
      .set("rootHash", to_hex(packed.root))
      .set("bytes", packed.bytes)
      .set("signedBy", signing.signed_by);
  return output;
}

Result<Output> run_expand_package(Context& /*context*/, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto path, package_path(arguments));
  SPHERE_TRY_ASSIGN(const auto package, image::open_package(std::filesystem::path{path}));
  const auto target = arguments.value("output-file").value_or(path);
  SPHERE_TRY_ASSIGN(auto file, create_package_file(target, arguments));
  const auto size =
      image::write_expanded_form(package, {.descriptor = file.descriptor(), .name = target});
  if (!size) {
    return tl::make_unexpected(about_file(size.error(), path));
  }
  SPHERE_TRY(file.commit());
  Output output{.text = fmt::format("Wrote {} ({} bytes).", target, with_thousands(*size))};
  output.data.set("file", target).set("bytes", *size);
  return output;
}

}  // namespace sphere::cli
