// SPDX-License-Identifier: MIT
#include "sphere/project/pack.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/hardware/definition.h"
#include "sphere/image/block_io.h"
#include "sphere/image/executable_check.h"
#include "sphere/image/metadata.h"
#include "sphere/image/pack.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/package.h"
#include "sphere/image/sections_v2.h"
#include "sphere/image/verify_v2.h"
#include "sphere/manifest/manifest.h"
#include "sphere/manifest/rewrite.h"

namespace sphere::project {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kManifestName = "app_manifest.json";
constexpr std::size_t kMaxManifest = std::size_t{64} * 1024;
constexpr std::uint32_t kNewestKnownApiSet = 15;

// A path so that the same file is meant whatever links lead to it.
fs::path resolved(const fs::path& path) {
  std::error_code error;
  auto real = fs::canonical(path, error);
  return error ? path : real;
}

std::string place(const fs::path& file, const manifest::Finding& finding) {
  return fmt::format("{}:{}:{}: {}", file.string(), finding.line, finding.column, finding.message);
}

struct Source {
  fs::path path;
  std::string text;
  manifest::Manifest manifest;
  std::vector<std::string> warnings;
};

Result<Source> read_manifest(const PackOptions& options) {
  Source source;
  source.path =
      resolved(options.manifest.empty() ? options.directory / kManifestName : options.manifest);
  auto text = read_text_file(source.path, kMaxManifest);
  if (!text) {
    return tl::make_unexpected(std::move(text).error());
  }
  auto validation = manifest::validate(*text, manifest::Reader::packer);
  if (!validation.manifest) {
    return tl::make_unexpected(manifest::to_error(validation, source.path.string()));
  }
  for (const auto& finding : validation.findings) {
    if (options.check) {
      source.warnings.push_back(place(source.path, finding));
    }
  }
  source.text = *std::move(text);
  source.manifest = *std::move(validation.manifest);
  return source;
}

// The highest plain number among the SDK's sysroots.
std::uint32_t newest_api_set(const fs::path& sdk) {
  std::uint32_t newest = 0;
  std::error_code error;
  for (fs::directory_iterator entry{sdk / "Sysroots", error}, end; !error && entry != end;
       entry.increment(error)) {
    const auto set = parse_api_set(entry->path().filename().string());
    if (set && set->beta.empty()) {
      newest = std::max(newest, set->number);
    }
  }
  return newest == 0 ? kNewestKnownApiSet : newest;
}

// The API set of a high-level app; nothing for a real-time one.
Result<std::optional<ApiSet>> choose_api_set(const PackOptions& options, Source& source) {
  if (source.manifest.type == manifest::ApplicationType::real_time) {
    if (!options.api_set.empty()) {
      source.warnings.push_back(
          fmt::format("a real-time app has no API set; {} is ignored", options.api_set));
    }
    return std::nullopt;
  }
  if (!options.api_set.empty()) {
    SPHERE_TRY_ASSIGN(auto set, parse_api_set(options.api_set));
    return set;
  }
  if (const auto number = source.manifest.target_application_runtime_version) {
    return ApiSet{.number = static_cast<std::uint32_t>(*number),
                  .beta = source.manifest.target_beta_apis};
  }
  return ApiSet{.number = newest_api_set(options.sdk_directory)};
}

// The hardware definition that resolves names, if one was given.
Result<std::optional<hardware::DefinitionSet>> load_hardware(const PackOptions& options,
                                                             Source& source) {
  std::vector<fs::path> directories;
  fs::path root = options.target_definition;
  for (const auto& path : options.hardware_definitions) {
    std::error_code error;
    if (fs::is_regular_file(path, error)) {
      directories.push_back(path.parent_path());
      root = root.empty() ? fs::absolute(path, error) : root;
    } else {
      directories.push_back(path);
    }
  }
  if (root.empty() && !directories.empty()) {
    return fail(Errc::invalid_argument, "no hardware definition is named in the directories given",
                {.reason = "usage.missing-option",
                 .value = directories.front().string(),
                 .next = "add --target-definition-filename FILE"});
  }
  if (root.empty()) {
    return std::nullopt;
  }
  SPHERE_TRY_ASSIGN(auto set, hardware::DefinitionSet::load(root, directories));
  source.warnings.insert(source.warnings.end(), set.warnings().begin(), set.warnings().end());
  return set;
}

Result<std::string> rewrite_manifest(const PackOptions& options, Source& source,
                                     const std::optional<ApiSet>& api_set) {
  SPHERE_TRY_ASSIGN(const auto definitions, load_hardware(options, source));
  manifest::Rewrite rewrite;
  if (definitions) {
    rewrite.resolve = [&definitions](std::string_view key, std::string_view name) {
      return definitions->manifest_value(key, name);
    };
  }
  if (api_set) {
    rewrite.api_set = api_set->number;
    rewrite.beta_apis = api_set->beta;
  }
  return manifest::rewrite(source.text, source.manifest, rewrite);
}

// The component id of the app: that of its manifest, or a new one put into `source`.
Result<Guid> choose_component_id(const PackOptions& options, Source& source) {
  if (source.manifest.component_id) {
    return *source.manifest.component_id;
  }
  const auto& old = source.manifest.component_id_text;
  const auto state = old.empty() ? std::string{"has no ComponentId"}
                                 : fmt::format("has the ComponentId \"{}\", which is no GUID",
                                               escape_control(old));
  if (options.frozen || ::access(source.path.c_str(), W_OK) != 0) {
    return fail(Errc::permission,
                fmt::format("{} {}, and may not be changed", source.path.string(), state),
                {.reason = "package.manifest",
                 .value = source.path.string(),
                 .next = "write a GUID into it, for example " + Guid::random().text()});
  }
  const auto id = Guid::random();
  SPHERE_TRY_ASSIGN(source.text, manifest::with_component_id(source.text, id));
  source.warnings.push_back(
      fmt::format("{} {}; {} was written into it", source.path.string(), state, id.text()));
  return id;
}

Result<void> write_manifest(const fs::path& path, const std::string& text) {
  std::error_code error;
  const auto mode = static_cast<mode_t>(fs::status(path, error).permissions());
  auto written = write_file(path, text, {.mode = error ? 0644 : mode & 0777U});
  if (!written) {
    auto hint = written.error().hint();
    hint.reason = "package.manifest";
    return tl::make_unexpected(std::move(written).error().with_hint(std::move(hint)));
  }
  return {};
}

// Names of the libraries in the sysroot of `api_set`.
std::vector<std::string> platform_libraries(const fs::path& sdk,
                                            const std::optional<ApiSet>& api_set) {
  std::vector<std::string> names;
  if (!api_set || sdk.empty()) {
    return names;
  }
  const auto set = api_set->beta.empty() ? std::to_string(api_set->number)
                                         : fmt::format("{}+{}", api_set->number, api_set->beta);
  for (const auto* folder : {"usr/lib", "lib"}) {
    std::error_code error;
    for (fs::directory_iterator entry{sdk / "Sysroots" / set / folder, error}, end;
         !error && entry != end; entry.increment(error)) {
      names.push_back(entry->path().filename().string());
    }
  }
  return names;
}

// Checks the program in the package that was made.
Result<void> check_package(const PackOptions& options, const image::Package& package,
                           const std::optional<ApiSet>& api_set, Source& source) {
  if (!options.check) {
    return {};
  }
  const auto findings = image::check_executable(
      package.files, {.entry_point = source.manifest.entry_point,
                      .kind = source.manifest.type == manifest::ApplicationType::real_time
                                  ? image::ProgramKind::real_time
                                  : image::ProgramKind::high_level,
                      .platform_libraries = platform_libraries(options.sdk_directory, api_set),
                      .package_bytes = static_cast<std::size_t>(package.size)});
  for (const auto& finding : findings) {
    if (finding.severity == image::FindingSeverity::error) {
      return fail(Errc::invalid_argument, finding.message,
                  {.reason = "package.executable",
                   .value = source.manifest.entry_point,
                   .next = finding.next});
    }
    source.warnings.push_back(fmt::format("{} ({})", finding.message, finding.next));
  }
  return {};
}

// Words the error for a missing entry point, which the manifest names and not the command line.
Error explain(Error error, const Source& source) {
  if (error.hint().reason != "package.executable" ||
      error.hint().value != source.manifest.entry_point) {
    return error;
  }
  return Error{error.code(),
               fmt::format("the entry point \"{}\" is no file of the package directory",
                           escape_control(source.manifest.entry_point)),
               {.reason = "package.executable",
                .value = source.manifest.entry_point,
                .next = "correct EntryPoint in " + source.path.string() +
                        ", or put the program into the package directory"}};
}

Result<image::UnsignedPackage> build_package(const PackOptions& options, const Source& source,
                                             image::PackRequest request,
                                             const crypto::Sha1Digest& thumbprint,
                                             const image::BuildTools& tools) {
  request.executables = options.executables;
  request.executables.push_back(source.manifest.entry_point);
  request.name = source.manifest.name;
  request.image_id = options.image_id;
  request.build_time = options.build_time;
  request.reproducible = options.reproducible;
  auto package = image::build_application(request, thumbprint, tools);
  if (!package) {
    return tl::make_unexpected(explain(std::move(package).error(), source));
  }
  return package;
}

// A package in a file that lacks its signature, with zeros in its place.
class UnsignedFile final : public image::BlockSource {
 public:
  UnsignedFile(const AtomicFile& file, std::uint64_t size) : file_{&file}, size_{size} {}

  [[nodiscard]] Result<std::span<const std::byte>> read(
      std::uint64_t offset, std::span<std::byte> buffer) const override {
    const auto there = std::min<std::uint64_t>(buffer.size(), size_ - std::min(offset, size_));
    for (std::uint64_t done = 0; done < there;) {
      const auto rest = buffer.subspan(done, there - done);
      const auto count =
          ::pread(file_->descriptor(), rest.data(), rest.size(), static_cast<off_t>(offset + done));
      if (count == 0 || (count < 0 && errno != EINTR)) {
        return tl::make_unexpected(system_error("read", file_->target(), count == 0 ? EIO : errno));
      }
      done += count > 0 ? static_cast<std::uint64_t>(count) : 0;
    }
    std::ranges::fill(buffer.subspan(there), std::byte{0});
    return buffer;
  }

 private:
  const AtomicFile* file_;
  std::uint64_t size_;
};

// Checks the package in memory or in the file of `tools`.
Result<void> check_built(const PackOptions& options, image::UnsignedPackage& package,
                         const image::BuildTools& tools, const std::optional<ApiSet>& api_set,
                         Source& source) {
  // The reader wants a signature; what it says does not matter to the checks.
  if (!package.bytes.empty()) {
    package.bytes.resize(package.bytes.size() + image::kSignatureSize);
    auto checked = image::parse_package(package.bytes).and_then([&](const auto& parsed) {
      return check_package(options, parsed, api_set, source);
    });
    package.bytes.resize(package.bytes.size() - image::kSignatureSize);
    return checked;
  }
  SPHERE_TRY_ASSIGN(const auto opened,
                    image::open_package(std::make_shared<UnsignedFile>(*tools.output, package.size),
                                        package.size + image::kSignatureSize));
  return check_package(options, opened, api_set, source);
}

std::string text_of(const ApiSet& set) {
  return set.beta.empty() ? std::to_string(set.number) : fmt::format("{}+{}", set.number, set.beta);
}

// The machine in the ELF header of the entry point; 0 when it is no ELF file, which the checks
// find.
std::uint16_t machine_of(const PackOptions& options, const std::string& entry_point) {
  constexpr std::size_t kMachineAt = 18;
  constexpr std::string_view kMagic =
      "\x7f"
      "ELF";
  const auto relative = entry_point.substr(entry_point.starts_with('/') ? 1 : 0);
  std::ifstream file{options.directory / relative, std::ios::binary};
  std::array<char, kMachineAt + 2> head = {};
  if (!file.read(head.data(), head.size()) ||
      !std::string_view{head.data(), head.size()}.starts_with(kMagic)) {
    return image::kMachineNone;
  }
  return static_cast<std::uint16_t>(static_cast<unsigned char>(head[kMachineAt]) |
                                    (static_cast<unsigned char>(head[kMachineAt + 1]) << 8U));
}

Result<std::optional<image::TargetHardware>> hardware_of(const PackOptions& options,
                                                         const PackV2Options& v2,
                                                         const Source& source) {
  if (v2.boards.empty()) {
    return std::nullopt;
  }
  image::TargetHardware hardware{.machine = machine_of(options, source.manifest.entry_point),
                                 .boards = v2.boards};
  SPHERE_TRY(image::sort_boards(hardware));
  return hardware;
}

Result<image::ImageInfo> image_info(const PackOptions& options, const PackV2Options& v2,
                                    const Source& source, const Guid& component_id,
                                    const std::optional<ApiSet>& api_set) {
  image::ImageInfo info{.component_id = component_id,
                        .image_id = options.image_id,
                        .build_time = options.build_time,
                        .name = source.manifest.name,
                        .depends = std::vector<image::AbiDependency>{},
                        .security = v2.security,
                        .provenance = v2.provenance,
                        .sbom = v2.sbom,
                        .compress = v2.compress};
  if (api_set) {
    info.depends->push_back(
        {.version = api_set->number, .identity_type = image::kApplicationRuntime});
    info.provenance.push_back({.key = "apiset", .value = text_of(*api_set)});
  }
  SPHERE_TRY_ASSIGN(info.hardware, hardware_of(options, v2, source));
  return info;
}

// Opens the package that was written to `output`, without proof of its signature.
Result<image::Package> reopen(const AtomicFile& output) {
  SPHERE_TRY_ASSIGN(auto package, image::open_package(std::filesystem::path{
                                      fmt::format("/proc/self/fd/{}", output.descriptor())}));
  SPHERE_TRY(image::open_files(package));
  return package;
}

}  // namespace

Result<PackedApplication> pack_application_v2(const PackOptions& options, const PackV2Options& v2,
                                              const crypto::Signer& signer,
                                              const image::Tools& tools, AtomicFile& output) {
  SPHERE_TRY_ASSIGN(auto source, read_manifest(options));
  SPHERE_TRY_ASSIGN(const auto component_id, choose_component_id(options, source));
  SPHERE_TRY_ASSIGN(const auto api_set, choose_api_set(options, source));
  SPHERE_TRY_ASSIGN(auto text, rewrite_manifest(options, source, api_set));
  SPHERE_TRY_ASSIGN(auto info, image_info(options, v2, source, component_id, api_set));
  image::ApplicationV2 application{.directory = options.directory,
                                   .manifest_text = std::move(text),
                                   .executables = options.executables,
                                   .info = std::move(info),
                                   .leaf_cache = v2.leaf_cache,
                                   .verify_cache = v2.verify_cache};
  application.executables.push_back(source.manifest.entry_point);
  const auto packed = image::pack_application_v2(
      application, signer, tools, {.descriptor = output.descriptor(), .name = output.target()});
  if (!packed) {
    return tl::make_unexpected(explain(packed.error(), source));
  }
  source.warnings.insert(source.warnings.end(), packed->notes.begin(), packed->notes.end());
  SPHERE_TRY_ASSIGN(const auto package, reopen(output));
  SPHERE_TRY(check_package(options, package, api_set, source));
  if (!source.manifest.component_id) {
    SPHERE_TRY(write_manifest(source.path, source.text));
  }
  return PackedApplication{.size = packed->bytes,
                           .image_id = packed->image_id,
                           .component_id = component_id,
                           .name = source.manifest.name,
                           .warnings = std::move(source.warnings),
                           .stale = packed->stale};
}

Result<ApiSet> parse_api_set(std::string_view text) {
  const auto plus = std::min(text.find('+'), text.size());
  const auto digits = text.substr(0, plus);
  const auto beta = text.substr(std::min(plus + 1, text.size()));
  ApiSet set{.number = 0, .beta = std::string{beta}};
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), set.number);
  const bool good_beta =
      plus == text.size() ||
      (beta.size() == 8 && beta.starts_with("Beta") &&
       std::ranges::all_of(beta.substr(4), [](char c) { return c >= '0' && c <= '9'; }));
  if (error != std::errc{} || end != digits.data() + digits.size() || set.number == 0 ||
      !good_beta) {
    return fail(Errc::invalid_argument,
                fmt::format("\"{}\" is not an API set", escape_control(text)),
                {.reason = "usage.bad-value",
                 .value = escape_control(text),
                 .next = "write a number, or one with its beta set: 15, 5+Beta2004"});
  }
  return set;
}

Result<UnsignedApplication> build_application(const PackOptions& options,
                                              const crypto::Sha1Digest& thumbprint,
                                              const image::BuildTools& tools) {
  SPHERE_TRY_ASSIGN(auto source, read_manifest(options));
  SPHERE_TRY_ASSIGN(const auto component_id, choose_component_id(options, source));
  SPHERE_TRY_ASSIGN(const auto api_set, choose_api_set(options, source));
  SPHERE_TRY_ASSIGN(auto text, rewrite_manifest(options, source, api_set));
  SPHERE_TRY_ASSIGN(auto package, build_package(options, source,
                                                {.directory = options.directory,
                                                 .manifest_text = std::move(text),
                                                 .component_id = component_id,
                                                 .api_set = api_set ? std::optional{api_set->number}
                                                                    : std::nullopt},
                                                thumbprint, tools));
  SPHERE_TRY(check_built(options, package, tools, api_set, source));
  UnsignedApplication application{.package = std::move(package),
                                  .component_id = component_id,
                                  .name = source.manifest.name,
                                  .warnings = std::move(source.warnings),
                                  .manifest = source.path};
  if (!source.manifest.component_id) {
    application.new_manifest = std::move(source.text);
  }
  return application;
}

Result<PackedApplication> finish_application(UnsignedApplication application,
                                             const crypto::Signature& signature,
                                             const KeepPackage& keep) {
  auto bytes = std::move(application.package.bytes);
  const auto size = application.package.size + signature.size();
  if (!bytes.empty()) {
    bytes.insert(bytes.end(), signature.begin(), signature.end());
  }
  if (keep) {
    SPHERE_TRY(keep(bytes.empty() ? std::span<const std::byte>{signature} : bytes));
  }
  if (application.new_manifest) {
    SPHERE_TRY(write_manifest(application.manifest, *application.new_manifest));
  }
  return PackedApplication{.bytes = std::move(bytes),
                           .size = size,
                           .image_id = application.package.image_id,
                           .component_id = application.component_id,
                           .name = std::move(application.name),
                           .warnings = std::move(application.warnings)};
}

Result<PackedApplication> pack_application(const PackOptions& options, const crypto::Signer& signer,
                                           const KeepPackage& keep,
                                           const image::BuildTools& tools) {
  SPHERE_TRY_ASSIGN(auto application, build_application(options, signer.thumbprint(), tools));
  const std::array<crypto::Sha256Digest, 1> digests = {application.package.digest};
  SPHERE_TRY_ASSIGN(const auto signatures, signer.sign(digests));
  return finish_application(std::move(application), signatures.at(0), keep);
}

}  // namespace sphere::project
