// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
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
#include "cli/commands/image_package_show_v2.h"
#include "cli/commands/image_package_v2.h"
#include "cli/commands/package_view.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"
#include "sphere/image/executable_check.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/image/trust_image.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"

namespace sphere::cli {
namespace {

constexpr std::uint32_t kNewestApiSet = 15;
constexpr std::uint32_t kApplicationRuntime = 3;  // Identity type in ND.
constexpr std::size_t kNameBytes = 31;            // Of a name in DB.

enum class Severity : std::uint8_t { error, warning, note };

std::string_view severity_name(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "error";
    case Severity::warning:
      return "warning";
    case Severity::note:
      break;
  }
  return "note";
}

struct Finding {
  Severity severity = Severity::error;
  std::string rule;
  std::string message;
  std::string next;
};
using Findings = std::vector<Finding>;

std::string_view text_of(std::span<const std::byte> bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes seen as characters.
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What reading the package said no to, as a finding.
void add_refusal(const Error& error, Findings& findings) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kRules = {
      {{"package.corrupt", "package-corrupt"},
       {"package.unsupported", "package-unsupported"},
       {"package.too-large", "package-too-large"},
       {"package.executable", "entry-point-missing"}}};
  const auto* const rule = std::ranges::find(kRules, error.hint().reason,
                                             &std::pair<std::string_view, std::string_view>::first);
  findings.push_back(
      {.severity = Severity::error,
       .rule = std::string{rule == kRules.end() ? "package-corrupt" : rule->second},
       .message = error.message(),
       .next = error.hint().next.empty() ? "get or build the package again" : error.hint().next});
}

// Whether reading failed for a reason that is not the package's: then there is no verdict.
bool is_about_content(const Error& error) {
  return error.code() == Errc::corrupt || error.code() == Errc::unverified ||
         error.code() == Errc::unsupported || error.code() == Errc::too_large;
}

void check_sections(const image::Metadata& metadata, Findings& findings) {
  constexpr std::string_view kUsualOrder = "ID SG DB TP CM ND ";
  std::size_t last = 0;
  bool in_order = true;
  for (const auto& section : metadata.sections) {
    const std::string id{section.id.data(), section.id.size()};
    if (image::section_name(section.id).empty()) {
      findings.push_back({.severity = Severity::warning,
                          .rule = "unknown-section",
                          .message = fmt::format("the metadata section {} of {} bytes is not known",
                                                 escape_control(id), section.payload.size()),
                          .next = "nothing decides on it; leave it out if you made the package"});
      continue;
    }
    if (const auto at = kUsualOrder.find(id + " "); at != std::string_view::npos) {
      in_order = in_order && at >= last;
      last = at;
    }
  }
  if (!in_order) {
    findings.push_back({.severity = Severity::warning,
                        .rule = "section-order",
                        .message = "the metadata sections are not in the usual order",
                        .next = "tools that expect the order may refuse it: pack the app again"});
  }
}

void check_identity(const image::Metadata& metadata, Findings& findings) {
  if (metadata.identity.image_id.is_zero()) {
    findings.push_back({.severity = Severity::warning,
                        .rule = "image-id-zero",
                        .message = "the image id is all zero, so versions cannot be told apart",
                        .next = "pack the app again"});
  }
  const auto flags = metadata.temporary.value_or(0);
  if ((flags & image::kRemoveAtBoot) != 0) {
    findings.push_back({.severity = Severity::warning,
                        .rule = "temporary-image",
                        .message = "the image is removed when the board starts",
                        .next = "pack it again to keep it"});
  }
  if ((flags & image::kUnderDevelopment) != 0) {
    findings.push_back({.severity = Severity::note,
                        .rule = "development-image",
                        .message = "the image is marked as under development",
                        .next = "sign it for production before it goes to a fleet"});
  }
}

void check_signature(const SignatureReport& report, Findings& findings) {
  if (report.result == "bad") {
    findings.push_back({.severity = Severity::error,
                        .rule = "signature-bad",
                        .message = "the signature does not match the key that the package names",
                        .next = "get the package again, or sign it again"});
  } else if (report.key != nullptr && report.key->kind == "publicTestKey") {
    findings.push_back({.severity = Severity::warning,
                        .rule = "public-test-key",
                        .message = "anybody can make a package signed with the public SDK test key",
                        .next = "sign it with a key of your own: sphere image-package sign"});
  } else if (report.key == nullptr && report.result == "unknown key") {
    findings.push_back({.severity = Severity::note,
                        .rule = "unknown-key",
                        .message = "no key that is known here signed the package",
                        .next = "check it with the signer's key: sphere image-package verify"});
  }
}

std::optional<std::uint32_t> runtime_of(const image::Metadata& metadata) {
  for (const auto& entry : metadata.depends.value_or(std::vector<image::AbiDependency>{})) {
    if (entry.identity_type == kApplicationRuntime) {
      return entry.version;
    }
  }
  return std::nullopt;
}

void check_api_set(const image::Metadata& metadata, const manifest::Manifest& manifest,
                   Findings& findings) {
  const auto runtime = runtime_of(metadata);
  if (manifest.type == manifest::ApplicationType::real_time) {
    return;
  }
  if (!runtime) {
    findings.push_back({.severity = Severity::error,
                        .rule = "api-set-missing",
                        .message = "the package does not say which API set the app needs",
                        .next = "pack it again with --target-api-set"});
    return;
  }
  if (*runtime == 0 || *runtime > kNewestApiSet) {
    findings.push_back({.severity = Severity::warning,
                        .rule = "api-set-unknown",
                        .message = fmt::format("API set {} is not known here; the newest is {}",
                                               *runtime, kNewestApiSet),
                        .next = "use a known API set, or update the SDK"});
  }
  if (const auto stated = manifest.target_application_runtime_version;
      stated && *stated != static_cast<std::int64_t>(*runtime)) {
    findings.push_back({.severity = Severity::warning,
                        .rule = "api-set-mismatch",
                        .message = fmt::format("the manifest names API set {}, the metadata {}",
                                               *stated, *runtime),
                        .next = "pack the app again"});
  }
}

void check_names(const image::Metadata& metadata, const manifest::Manifest& manifest,
                 Findings& findings) {
  if (manifest.component_id && *manifest.component_id != metadata.identity.component_id) {
    findings.push_back({.severity = Severity::error,
                        .rule = "component-mismatch",
                        .message = fmt::format("ComponentId {} of the manifest is not that of the "
                                               "metadata, {}",
                                               manifest.component_id->text(),
                                               metadata.identity.component_id.text()),
                        .next = "pack the app again"});
  }
  const auto name = cut_utf8(manifest.name, kNameBytes);
  if (name.size() < manifest.name.size()) {
    findings.push_back({.severity = Severity::warning,
                        .rule = "name-cut",
                        .message = fmt::format("the app's name has {} bytes; boards and lists show "
                                               "\"{}\"",
                                               manifest.name.size(), escape_control(name)),
                        .next = fmt::format("use a Name of at most {} bytes", kNameBytes)});
  }
  if (metadata.debug.name != name) {
    findings.push_back(
        {.severity = Severity::warning,
         .rule = "name-mismatch",
         .message = fmt::format("the metadata names the app \"{}\", the manifest "
                                "\"{}\"",
                                escape_control(metadata.debug.name), escape_control(name)),
         .next = "pack the app again"});
  }
}

void add_manifest_findings(const manifest::Validation& validation, Findings& findings) {
  for (const auto& finding : validation.findings) {
    const bool is_error = finding.severity == manifest::Severity::error;
    findings.push_back({.severity = is_error ? Severity::error : Severity::warning,
                        .rule = "manifest/" + finding.rule,
                        .message = fmt::format("/app_manifest.json:{}:{}: {}", finding.line,
                                               finding.column, finding.message),
                        .next = finding.hint.empty() ? "correct the manifest and pack the app again"
                                                     : finding.hint});
  }
}

void check_program(const image::Package& package, const manifest::Manifest& manifest,
                   Findings& findings) {
  const bool is_real_time = manifest.type == manifest::ApplicationType::real_time;
  const auto found = image::check_executable(
      package.files,
      {.entry_point = manifest.entry_point,
       .kind = is_real_time ? image::ProgramKind::real_time : image::ProgramKind::high_level,
       .package_bytes = static_cast<std::size_t>(package.size)});
  for (const auto& finding : found) {
    findings.push_back({.severity = finding.severity == image::FindingSeverity::error
                                        ? Severity::error
                                        : Severity::warning,
                        .rule = finding.rule,
                        .message = finding.message,
                        .next = finding.next});
  }
}

// Which of `patterns` occur in the file.
Result<std::vector<bool>> search_file(const image::FileSystem& files, const image::FileEntry& file,
                                      const std::vector<std::string>& patterns) {
  std::vector<bool> found(patterns.size());
  const auto longest = std::ranges::max(patterns, {}, &std::string::size).size();
  std::string window;  // A piece of the file behind the end of the piece before.
  SPHERE_TRY(image::stream_file_content(
      files, file, [&](std::span<const std::byte> bytes) -> Result<void> {
        window.erase(0, window.size() - std::min(window.size(), longest - 1));
        window += text_of(bytes);
        for (std::size_t i = 0; i < patterns.size(); ++i) {
          found[i] = found[i] || window.find(patterns[i]) != std::string::npos;
        }
        return {};
      }));
  return found;
}

// The executable files beside the entry point, as many as are looked for.
std::vector<const image::FileEntry*> helpers_of(const image::Package& package,
                                                const std::string& entry_point) {
  constexpr std::size_t kMost = 32;
  std::vector<const image::FileEntry*> helpers;
  const auto* const program = package.files.find(entry_point);
  for (const auto& file : package.files.files) {
    if (file.executable && &file != program && helpers.size() < kMost) {
      helpers.push_back(&file);
    }
  }
  return helpers;
}

// Reads each file once. An executable file that no other file names is most likely marked by
// mistake; key material is readable for everybody who has the package.
Result<void> check_contents(const image::Package& package, const std::string& entry_point,
                            Findings& findings) {
  const auto helpers = helpers_of(package, entry_point);
  std::vector<std::string> patterns = {"PRIVATE KEY-----"};
  for (const auto* helper : helpers) {
    patterns.push_back(helper->path.substr(helper->path.rfind('/') + 1));
  }
  std::vector<bool> is_named(helpers.size());
  for (const auto& file : package.files.files) {
    SPHERE_TRY_ASSIGN(const auto found, search_file(package.files, file, patterns));
    for (std::size_t i = 0; i < helpers.size(); ++i) {
      is_named[i] = is_named[i] || (found[i + 1] && helpers[i] != &file);
    }
    if (found[0]) {
      findings.push_back({.severity = Severity::warning,
                          .rule = "private-key",
                          .message = fmt::format("/{} holds a private key, readable for everybody "
                                                 "who has the package",
                                                 escape_control(file.path)),
                          .next = "let the device make its key, or use device authentication"});
    }
  }
  for (std::size_t i = 0; i < helpers.size(); ++i) {
    if (!is_named[i]) {
      findings.push_back({.severity = Severity::warning,
                          .rule = "unused-executable",
                          .message = fmt::format("/{} is executable, but no file of the package "
                                                 "names it",
                                                 escape_control(helpers[i]->path)),
                          .next = "leave it out of --executables"});
    }
  }
  return {};
}

Result<void> check_application(const image::Package& package, Findings& findings) {
  const auto* const file = package.files.find("app_manifest.json");
  if (file == nullptr) {
    return {};  // open_package() has refused it.
  }
  SPHERE_TRY_ASSIGN(const auto content, image::read_file_content(package.files, *file));
  const auto validation = manifest::validate(text_of(content.bytes()), manifest::Reader::device);
  add_manifest_findings(validation, findings);
  if (const auto& manifest = validation.manifest) {
    check_names(package.metadata, *manifest, findings);
    check_api_set(package.metadata, *manifest, findings);
    check_program(package, *manifest, findings);
  }
  return check_contents(
      package, validation.manifest ? validation.manifest->entry_point : std::string{}, findings);
}

// A trust store whose form has been checked.
Result<void> check_trust_store(const image::Package& package, Findings& findings) {
  SPHERE_TRY_ASSIGN(const auto record, image::open_trust_record(package));
  const auto owners =
      std::ranges::count(record.entries, image::Role::trust_store, &image::TrustEntry::role);
  if (owners == 1) {
    findings.push_back({.severity = Severity::warning,
                        .rule = "one-trust-store-key",
                        .message = "when its one trust-store key is lost, no board that has this "
                                   "store can get another",
                        .next = "add a second one that is kept elsewhere"});
  }
  for (const auto& entry : record.entries) {
    if (entry.key == image::public_test_key()) {
      findings.push_back({.severity = Severity::warning,
                          .rule = "public-test-key",
                          .message = "boards with this store take packages from anybody, signed "
                                     "with the public SDK test key, while they are developed on",
                          .next = "leave it out of stores for a fleet"});
    }
  }
  return {};
}

// What only an opened package tells; `container` is the same file.
Result<void> check_content(const image::Package& container, Context& context, Findings& findings) {
  const auto package = image::open_package(container.source, container.size).and_then(with_files);
  if (!package && !is_about_content(package.error())) {
    return tl::make_unexpected(package.error());
  }
  if (!package) {
    add_refusal(package.error(), findings);
    return {};
  }
  const auto digests = image::check_body(*package).and_then(
      [&](const image::PackageDigests& found) -> Result<image::PackageDigests> {
        SPHERE_TRY(check_whole_body(*package));
        return found;
      });
  if (!digests && !is_about_content(digests.error())) {
    return tl::make_unexpected(digests.error());
  }
  if (!digests) {
    add_refusal(digests.error(), findings);
    return {};
  }
  const auto keys = known_keys(context);
  SPHERE_TRY_ASSIGN(const auto signature,
                    package->kind == image::PackageKind::package_v2
                        ? look_at_signature_v2(*package, keys)
                        : look_at_signature(digests->signed_bytes, package->metadata, keys));
  check_signature(signature, findings);
  if (package->metadata.identity.image_type == image::kTrustedKeyStore) {
    return check_trust_store(*package, findings);
  }
  const bool is_application = package->files.body != nullptr &&
                              package->metadata.identity.image_type == image::kApplication;
  return is_application ? check_application(*package, findings) : Result<void>{};
}

Result<Findings> check_file(const std::string& path, Context& context) {
  SPHERE_TRY_ASSIGN(auto file, image::FileBlocks::open(path));
  const auto size = file.size();
  const auto container =
      image::open_container(std::make_shared<image::FileBlocks>(std::move(file)), size);
  Findings findings;
  if (!container && !is_about_content(container.error())) {
    return tl::make_unexpected(container.error());
  }
  if (!container) {
    add_refusal(container.error(), findings);
    return findings;
  }
  check_sections(container->metadata, findings);
  check_identity(container->metadata, findings);
  SPHERE_TRY(check_content(*container, context, findings));
  // Not std::stable_sort: clang 19 calls what it uses in libstdc++ 12 deprecated.
  Findings sorted;
  for (const auto severity : {Severity::error, Severity::warning, Severity::note}) {
    std::ranges::copy_if(findings, std::back_inserter(sorted),
                         [severity](const Finding& f) { return f.severity == severity; });
  }
  return sorted;
}

std::string to_text(const std::string& path, const Findings& findings) {
  std::string text;
  for (const auto& finding : findings) {
    text +=
        fmt::format("{}: {} [{}]\n  next: {}\n", severity_name(finding.severity),
                    escape_control(finding.message), finding.rule, escape_control(finding.next));
  }
  const auto count = [&](Severity severity) {
    return std::ranges::count(findings, severity, &Finding::severity);
  };
  const auto plural = [](auto number, std::string_view word) {
    return fmt::format("{} {}{}", number, word, number == 1 ? "" : "s");
  };
  return text + fmt::format("{}: {}, {}, {}\n", path, plural(count(Severity::error), "error"),
                            plural(count(Severity::warning), "warning"),
                            plural(count(Severity::note), "note"));
}

}  // namespace

Result<Output> run_check_package(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto path, package_path(arguments));
  SPHERE_TRY_ASSIGN(const auto findings, check_file(path, context));
  json::Value list = json::Array{};
  for (const auto& finding : findings) {
    json::Value value;
    value.set("severity", severity_name(finding.severity))
        .set("rule", finding.rule)
        .set("message", finding.message)
        .set("next", finding.next);
    list.push(std::move(value));
  }
  const bool has_errors = std::ranges::any_of(
      findings, [](const Finding& finding) { return finding.severity == Severity::error; });
  Output output{.text = to_text(path, findings), .verdict_failed = has_errors};
  output.data.set("file", path).set("findings", std::move(list));
  return output;
}

}  // namespace sphere::cli
