// SPDX-License-Identifier: MIT
#include "cli/commands/image_package.h"

#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/commands/image_package_v2.h"
#include "cli/commands/key_secrets.h"
#include "cli/commands/nouns.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/image/batch.h"

namespace sphere::cli {
namespace {

constexpr std::array<std::string_view, 3> kDirectoryAliases = {"input", "i", "p"};
constexpr std::array<std::string_view, 4> kOutputAliases = {"destination", "destination-file",
                                                            "output", "o"};
constexpr std::array<std::string_view, 1> kManifestAliases = {"m"};
constexpr std::array<std::string_view, 1> kHardwareAliases = {"h"};
constexpr std::array<std::string_view, 1> kDefinitionAliases = {"f"};
constexpr std::array<std::string_view, 1> kApiSetAliases = {"s"};
constexpr std::array<std::string_view, 2> kFormats = {"v1", "v2"};
constexpr std::array<std::string_view, 5> kBodyFormats = {"auto", "block", "squashfs", "erofs",
                                                          "device-tree"};
constexpr std::array<std::string_view, 4> kMachines = {"none", "arm", "x86-64", "aarch64"};
constexpr std::array<std::string_view, 3> kPackageAliases = {"image", "imagepackage", "p"};

constexpr OptionSpec kKey{.name = "key",
                          .value_name = "NAME",
                          .help =
                              "Key to sign with: a name of `sphere key list`, or the path of a "
                              "PEM file with a slash in it"};
constexpr OptionSpec kTestKey{.name = "compat-test-key",
                              .value_name = "FILE",
                              .help =
                                  "Sign with the public SDK test key from this file; for boards "
                                  "of the original maker"};
constexpr OptionSpec kForce{.name = "force",
                            .kind = OptionKind::flag,
                            .help = "Replace an output file that is no image package, too"};
constexpr OptionSpec kNoSync{
    .name = "no-sync",
    .kind = OptionKind::flag,
    .help = "Do not wait until the file is on the disk; for scratch disks"};
constexpr OptionSpec kBatch{
    .name = "batch",
    .kind = OptionKind::flag,
    .help = "Take jobs from standard input: one JSON object with these options a line"};
constexpr OptionSpec kJobs{.name = "jobs",
                           .value_name = "N",
                           .help =
                               "How many threads work at most; as many as can run at once when "
                               "not given"};
constexpr OptionSpec kPackage{.name = "image-package",
                              .value_name = "FILE",
                              .help = "The image package; the same as FILE",
                              .aliases = kPackageAliases};

constexpr OptionSpec kOutputFile{.name = "output-file",
                                 .short_name = "of",
                                 .required = true,
                                 .value_name = "FILE",
                                 .help = "The package to write",
                                 .aliases = kOutputAliases};
constexpr OptionSpec kImageId{
    .name = "image-id",
    .value_name = "GUID",
    .help = "Image id; random, or derived from the content with SOURCE_DATE_EPOCH or format v2"};
constexpr OptionSpec kBuildDate{
    .name = "build-date",
    .value_name = "TIME",
    .help =
        "Build time, 2026-07-31T00:00:00Z or Unix seconds; SOURCE_DATE_EPOCH or now when not "
        "given"};
constexpr OptionSpec kCompress{
    .name = "compress",
    .kind = OptionKind::flag,
    .help = "Store the body in compressed chunks, if that makes it smaller (format v2)"};
constexpr OptionSpec kSecurityVersion{
    .name = "security-version",
    .value_name = "N",
    .help = "Devices that have run N refuse images below it (format v2)"};
constexpr OptionSpec kLeastOs{.name = "least-os-version",
                              .value_name = "N",
                              .help = "Least security version of the OS that runs it (format v2)"};
constexpr OptionSpec kBoard{
    .name = "board",
    .kind = OptionKind::list,
    .value_name = "ID",
    .help = "Boards that the image is for, mt3620-rdb; any when not given (format v2)"};
constexpr OptionSpec kSource{.name = "source",
                             .value_name = "URI",
                             .help = "Where its source is, for the provenance (format v2)"};
constexpr OptionSpec kRevision{
    .name = "revision", .value_name = "ID", .help = "Which state of the source it is (format v2)"};
constexpr OptionSpec kPackageVersion{.name = "package-version",
                                     .value_name = "TEXT",
                                     .help = "Version for people to read (format v2)"};
constexpr OptionSpec kSbom{
    .name = "sbom",
    .value_name = "FILE",
    .help = "List of its software, SPDX or CycloneDX JSON, to refer to (format v2)"};
constexpr OptionSpec kSbomLocator{
    .name = "sbom-locator",
    .value_name = "URI",
    .help = "Where that list can be found; its file name when not given"};
constexpr OptionSpec kSbomPath{.name = "sbom-path",
                               .value_name = "PATH",
                               .help = "Where that list is in the image, when it is there"};

constexpr OptionSpec kIncremental{
    .name = "incremental",
    .kind = OptionKind::flag,
    .help =
        "Hash only files that changed since the last time; keeps OUTPUT-FILE.leaves (format "
        "v2)"};
constexpr OptionSpec kVerifyCache{
    .name = "verify-cache",
    .kind = OptionKind::flag,
    .help = "Hash every file and name those that OUTPUT-FILE.leaves is wrong about (format v2)"};

constexpr std::array kPackOptions = {
    OptionSpec{.name = "package-directory",
               .required = true,
               .required_unless = "batch",
               .value_name = "DIR",
               .help = "Directory with the files of the app",
               .aliases = kDirectoryAliases},
    OptionSpec{.name = "output-file",
               .short_name = "of",
               .required = true,
               .required_unless = "batch",
               .value_name = "FILE",
               .help = "The package to write",
               .aliases = kOutputAliases},
    OptionSpec{.name = "application-manifest",
               .short_name = "a",
               .value_name = "FILE",
               .help = "The manifest; app_manifest.json of the directory when not given",
               .aliases = kManifestAliases},
    OptionSpec{.name = "executables",
               .short_name = "x",
               .kind = OptionKind::list,
               .value_name = "PATH",
               .help = "Files of the app that are executable beside its entry point"},
    OptionSpec{.name = "hardware-definitions",
               .kind = OptionKind::list,
               .value_name = "DIR",
               .help = "Directories with hardware definitions, or the definition itself",
               .aliases = kHardwareAliases},
    OptionSpec{.name = "target-definition-filename",
               .value_name = "FILE",
               .help = "File name of the hardware definition that resolves $NAMES",
               .aliases = kDefinitionAliases},
    OptionSpec{.name = "target-api-set",
               .value_name = "SET",
               .help = "API set of a high-level app; the newest of the SDK when not given",
               .aliases = kApiSetAliases},
    kKey,
    kTestKey,
    kPassphraseFd,
    kPassphraseFile,
    kImageId,
    kBuildDate,
    OptionSpec{.name = "format",
               .value_name = "FORMAT",
               .help = "Format of the package",
               .default_text = "v1",
               .choices = kFormats},
    OptionSpec{.name = "no-check",
               .kind = OptionKind::flag,
               .help = "Do not check whether a board can start the program"},
    OptionSpec{.name = "frozen",
               .kind = OptionKind::flag,
               .help = "Never change the manifest; fail when it has no ComponentId"},
    kCompress,
    kSecurityVersion,
    kLeastOs,
    kBoard,
    kSource,
    kRevision,
    kPackageVersion,
    kSbom,
    kSbomLocator,
    kSbomPath,
    kIncremental,
    kVerifyCache,
    kForce,
    kBatch,
    kJobs,
    kNoSync,
};

constexpr std::array kPackImageOptions = {
    kOutputFile,
    OptionSpec{.name = "component-id",
               .required = true,
               .value_name = "GUID",
               .help = "What the image is a version of"},
    OptionSpec{.name = "name", .value_name = "TEXT", .help = "Name of up to 31 bytes"},
    OptionSpec{.name = "image-type",
               .value_name = "N",
               .help = "Number of the image type",
               .default_text = "8"},
    OptionSpec{.name = "body-format",
               .value_name = "FORMAT",
               .help = "What the image is; auto looks at its first bytes",
               .default_text = "auto",
               .choices = kBodyFormats},
    OptionSpec{.name = "machine",
               .value_name = "MACHINE",
               .help = "Processor of the code inside, with --board",
               .default_text = "none",
               .choices = kMachines},
    kKey,
    kPassphraseFd,
    kPassphraseFile,
    kImageId,
    kBuildDate,
    kCompress,
    kSecurityVersion,
    kLeastOs,
    kBoard,
    kSource,
    kRevision,
    kPackageVersion,
    kSbom,
    kSbomLocator,
    kSbomPath,
    kForce,
    kNoSync,
};
constexpr std::array kExpandOptions = {
    kPackage,
    OptionSpec{.name = "output-file",
               .short_name = "of",
               .value_name = "FILE",
               .help = "The package to write; the package itself is replaced when not given"},
    kForce,
    kNoSync,
};

constexpr std::array kShowOptions = {
    kPackage,
    OptionSpec{.name = "tree",
               .kind = OptionKind::flag,
               .help = "Show the files below their directories, with the bytes of each directory"},
    OptionSpec{.name = "check-body",
               .kind = OptionKind::flag,
               .help = "Say in a line of its own what was checked of the body"},
};
constexpr std::array kCheckOptions = {kPackage};
constexpr std::array kVerifyOptions = {
    kPackage,
    OptionSpec{.name = "trust",
               .value_name = "FILE|DIR",
               .help = "Trusted keys or certificates in PEM; your own image keys when not given"},
    kBatch,
    kJobs,
};
constexpr std::array kUnpackOptions = {
    kPackage,
    OptionSpec{.name = "output-directory",
               .value_name = "DIR",
               .help = "Where to write the files; must be absent or empty. The name of the package "
                       "without its suffix when not given"},
};
constexpr std::array kSignOptions = {
    kPackage,
    kKey,
    kTestKey,
    kPassphraseFd,
    kPassphraseFile,
    OptionSpec{.name = "trust",
               .value_name = "FILE|DIR",
               .help = "With --production of format v1: keys that may have signed the package so "
                       "far; your own and the public SDK test key when not given"},
    OptionSpec{.name = "output-file",
               .short_name = "of",
               .value_name = "FILE",
               .help = "The package to write; the package itself is changed when not given"},
    OptionSpec{.name = "format",
               .value_name = "FORMAT",
               .help = "Convert a development package to this format; its own when not given",
               .choices = kFormats},
    OptionSpec{.name = "production",
               .kind = OptionKind::flag,
               .help = "Sign for production: drop what marks a package as under development, and "
                       "note the time; of format v1 make a compressed package around it"},
    kCompress,
    OptionSpec{.name = "output-directory",
               .value_name = "DIR",
               .help = "Where to write the packages, under their names; those of a directory with "
                       "their paths in it"},
    kForce,
    kBatch,
    kJobs,
    kNoSync,
};

constexpr std::array kBoardConfigOptions = {
    OptionSpec{.name = "preset",
               .required = true,
               .value_name = "PRESET",
               .help = "The hardware that is added: lan-enc28j60-isu0-int5, an Ethernet controller "
                       "on ISU0 with its interrupt on GPIO 5"},
    kOutputFile,
    kKey,
    kTestKey,
    kPassphraseFd,
    kPassphraseFile,
    kImageId,
    kBuildDate,
    kForce,
    kNoSync,
};

constexpr std::array kTrustStoreOptions = {
    OptionSpec{.name = "output-file",
               .short_name = "of",
               .required = true,
               .value_name = "FILE",
               .help = "The package to write",
               .aliases = kOutputAliases},
    OptionSpec{.name = "key",
               .required = true,
               .value_name = "NAME",
               .help = "Key to sign with, of use trust-store and in the store that boards have: a "
                       "name of `sphere key list`, the path of a PEM file with a slash in it, or "
                       "the URI of a token"},
    OptionSpec{.name = "add",
               .kind = OptionKind::list,
               .value_name = "ROLE=KEY[,LABEL]",
               .help = "A key that boards accept, by name or PEM file, as production, development, "
                       "capability, board-configuration, os or trust-store key"},
    OptionSpec{.name = "base",
               .value_name = "FILE",
               .help = "The trust store that boards have, to begin with its keys; its version plus "
                       "one is the new one's"},
    OptionSpec{.name = "remove",
               .kind = OptionKind::list,
               .value_name = "KEY",
               .help = "A key of the base to leave out: its id, name or PEM file"},
    OptionSpec{.name = "revoke",
               .kind = OptionKind::list,
               .value_name = "KEY",
               .help = "A key to leave out and to refuse wherever else it is trusted: its id, name "
                       "or PEM file"},
    OptionSpec{.name = "security-version",
               .value_name = "N",
               .help = "Version of the store; boards take none that is not higher than theirs. "
                       "Without a base 1 when not given"},
    kBoard,
    kPassphraseFd,
    kPassphraseFile,
    kImageId,
    kBuildDate,
    kForce,
    kNoSync,
};

constexpr std::array kRecoveryOptions = {
    OptionSpec{.name = "package-directory",
               .required = true,
               .value_name = "DIR",
               .help = "Directory with the images of the board, as they go into its flash",
               .aliases = kDirectoryAliases},
    OptionSpec{.name = "output-file",
               .short_name = "of",
               .required = true,
               .value_name = "FILE",
               .help = "The manifest to write: DIR/sphere.recoverymanifest makes DIR a set",
               .aliases = kOutputAliases},
    OptionSpec{.name = "board",
               .required = true,
               .value_name = "ID",
               .help = "Board that the set is for; others refuse it"},
    OptionSpec{.name = "security-version",
               .value_name = "N",
               .help = "Boards that have run a higher one refuse the set",
               .default_text = "0"},
    kKey,
    kPassphraseFd,
    kPassphraseFile,
    kImageId,
    kBuildDate,
    kForce,
    kNoSync,
};

constexpr OptionSpec kForceAny{
    .name = "force", .kind = OptionKind::flag, .help = "Replace an output file that is there"};
constexpr std::array kExportOptions = {
    kPackage,
    OptionSpec{.name = "signer",
               .required = true,
               .value_name = "FILE",
               .help = "Certificate or public key, in PEM, of the key that will sign"},
    OptionSpec{.name = "output-file",
               .short_name = "of",
               .required = true,
               .value_name = "FILE",
               .help = "The signing request to write"},
    OptionSpec{.name = "digest-file",
               .value_name = "FILE",
               .help = "Write the 32 bytes of the digest alone, too; for openssl pkeyutl"},
    kForceAny,
};
constexpr std::array kSignDigestOptions = {
    kKey,
    kPassphraseFd,
    kPassphraseFile,
    OptionSpec{.name = "output-file",
               .short_name = "of",
               .required = true,
               .value_name = "FILE",
               .help = "The signature to write, 64 bytes"},
    kForceAny,
};
constexpr std::array kImportOptions = {
    kPackage,
    OptionSpec{.name = "request",
               .required = true,
               .value_name = "FILE",
               .help = "The signing request that was signed"},
    OptionSpec{.name = "signature",
               .required = true,
               .value_name = "FILE",
               .help = "The signature: 64 bytes, or DER as openssl writes it"},
    OptionSpec{.name = "output-file",
               .short_name = "of",
               .value_name = "FILE",
               .help = "The package to write; the package itself is changed when not given"},
    kForce,
    kNoSync,
};
constexpr std::array kRequestFile = {
    PositionalSpec{.name = "REQUEST", .help = "The signing request"}};

constexpr std::array kImageFile = {PositionalSpec{.name = "IMAGE", .help = "The image"}};

constexpr std::array kTwoFiles = {
    PositionalSpec{.name = "A", .help = "An image package"},
    PositionalSpec{.name = "B", .help = "The one to compare it with"}};

constexpr std::array kPackages = {
    PositionalSpec{.name = "FILE",
                   .help = "Image packages, or directories: every *.imagepackage below",
                   .required = false,
                   .repeats = true}};
constexpr std::array kFile = {
    PositionalSpec{.name = "FILE", .help = "The image package", .required = false}};

constexpr std::array<std::string_view, 4> kPackExamples = {
    "sphere image-package pack-application --batch < jobs.txt",
    "sphere image-package pack-application --package-directory out/app --application-manifest "
    "app_manifest.json --output-file app.imagepackage",
    "sphere image-package pack-application --package-directory out/app --output-file "
    "app.imagepackage --hardware-definitions hardware/mt3620_rdb --target-definition-filename "
    "sample_appliance.json",
    "sphere image-package pack-application --format v2 --compress --security-version 3 "
    "--package-directory out/app --output-file app.imagepackage"};
constexpr std::array<std::string_view, 2> kPackImageExamples = {
    "sphere image-package pack-image rootfs.squashfs --component-id "
    "5b4a6a2e-8f0c-4d43-9a37-1f0c55aa9e01 --name root --security-version 3 --output-file "
    "root.imagepackage",
    "sphere image-package pack-image slot.img --body-format block --component-id "
    "5b4a6a2e-8f0c-4d43-9a37-1f0c55aa9e01 --board mt3620-rdb --machine arm --compress "
    "--output-file slot.imagepackage"};
constexpr std::array<std::string_view, 1> kExpandExamples = {
    "sphere image-package expand app.imagepackage --output-file expanded.imagepackage"};
constexpr std::array<std::string_view, 2> kShowExamples = {
    "sphere image-package show app.imagepackage",
    "sphere image-package show app.imagepackage --tree"};
constexpr std::array<std::string_view, 3> kVerifyExamples = {
    "sphere image-package verify app.imagepackage",
    "sphere image-package verify app.imagepackage --trust keys/release.pem",
    "sphere image-package verify out/packages --output none"};
constexpr std::array<std::string_view, 1> kUnpackExamples = {
    "sphere image-package unpack app.imagepackage --output-directory app"};
constexpr std::array<std::string_view, 2> kDiffExamples = {
    "sphere image-package diff first.imagepackage second.imagepackage",
    "sphere image-package diff first.imagepackage second.imagepackage --output json"};
constexpr std::array<std::string_view, 1> kCheckExamples = {
    "sphere image-package check app.imagepackage"};
constexpr std::array<std::string_view, 5> kSignExamples = {
    "sphere image-package sign app.imagepackage --key release --output-file signed.imagepackage",
    "sphere image-package sign out/packages --key release --output-directory signed",
    "sphere image-package sign --batch --key release < jobs.txt",
    "sphere image-package sign app.imagepackage --format v2 --output-file app-v2.imagepackage",
    "sphere image-package sign app.imagepackage --production --key release --output-file "
    "production.imagepackage"};
constexpr std::array<std::string_view, 1> kBoardConfigExamples = {
    "sphere image-package pack-board-config --preset lan-enc28j60-isu0-int5 --output-file "
    "lan.imagepackage"};

constexpr std::array<std::string_view, 2> kTrustStoreExamples = {
    "sphere image-package pack-trust-store --key owner --add trust-store=owner --add "
    "production=release --output-file store-1.imagepackage",
    "sphere image-package pack-trust-store --key owner --base store-1.imagepackage --add "
    "production=keys/release-2.pem,Release 2 --revoke release --output-file store-2.imagepackage"};

constexpr std::array<std::string_view, 1> kRecoveryExamples = {
    "sphere image-package pack-recovery --package-directory out/board --board my-board --key owner "
    "--output-file out/board/sphere.recoverymanifest"};

constexpr std::array<std::string_view, 1> kExportExamples = {
    "sphere image-package export-digest app.imagepackage --signer release.crt --output-file "
    "app.request"};
constexpr std::array<std::string_view, 1> kSignDigestExamples = {
    "sphere image-package sign-digest app.request --key release --output-file app.signature"};
constexpr std::array<std::string_view, 1> kImportExamples = {
    "sphere image-package import-signature app.imagepackage --request app.request --signature "
    "app.signature"};

constexpr std::array kCommands = {
    CommandSpec{.path = "image-package pack-application",
                .summary = "Make a signed image package from an app's directory and manifest",
                .options = kPackOptions,
                .examples = kPackExamples,
                .run = run_pack_application},
    CommandSpec{.path = "image-package pack-board-config",
                .summary = "Make a signed board configuration from a preset",
                .options = kBoardConfigOptions,
                .examples = kBoardConfigExamples,
                .run = run_pack_board_config},
    CommandSpec{.path = "image-package pack-trust-store",
                .summary = "Make a signed trust store: the keys that boards accept from then on",
                .options = kTrustStoreOptions,
                .examples = kTrustStoreExamples,
                .run = run_pack_trust_store},
    CommandSpec{.path = "image-package pack-recovery",
                .summary = "Make the signed manifest of a recovery set for your own boards",
                .options = kRecoveryOptions,
                .examples = kRecoveryExamples,
                .run = run_pack_recovery},
    CommandSpec{.path = "image-package pack-image",
                .summary = "Make a signed package of format v2 around an image: a partition, a "
                           "squashfs or erofs file system",
                .options = kPackImageOptions,
                .positionals = kImageFile,
                .examples = kPackImageExamples,
                .run = run_pack_image},
    CommandSpec{.path = "image-package expand",
                .summary = "Write a compressed package of format v2 in its expanded form, under "
                           "the same signature",
                .options = kExpandOptions,
                .positionals = kFile,
                .examples = kExpandExamples,
                .run = run_expand_package},
    CommandSpec{.path = "image-package show",
                .summary = "Show what an image package holds and who signed it",
                .options = kShowOptions,
                .positionals = kFile,
                .examples = kShowExamples,
                .run = run_show_package},
    CommandSpec{.path = "image-package verify",
                .summary = "Check an image package against trusted keys",
                .options = kVerifyOptions,
                .positionals = kPackages,
                .examples = kVerifyExamples,
                .run = run_verify_package},
    CommandSpec{.path = "image-package unpack",
                .summary = "Write the files of an image package to a directory",
                .options = kUnpackOptions,
                .positionals = kFile,
                .examples = kUnpackExamples,
                .run = run_unpack_package},
    CommandSpec{.path = "image-package diff",
                .summary = "Show in what two image packages differ; exit status 1 if they do",
                .positionals = kTwoFiles,
                .examples = kDiffExamples,
                .run = run_diff_packages},
    CommandSpec{.path = "image-package check",
                .summary = "Look for mistakes in an image package; exit status 1 for an error",
                .options = kCheckOptions,
                .positionals = kFile,
                .examples = kCheckExamples,
                .run = run_check_package},
    CommandSpec{.path = "image-package sign",
                .summary = "Sign an image package with another key",
                .options = kSignOptions,
                .positionals = kPackages,
                .examples = kSignExamples,
                .run = run_sign_package},
    CommandSpec{.path = "image-package export-digest",
                .summary = "Write what a key on another machine has to sign",
                .options = kExportOptions,
                .positionals = kFile,
                .examples = kExportExamples,
                .run = run_export_digest},
    CommandSpec{.path = "image-package sign-digest",
                .summary = "Sign a signing request, without the package",
                .options = kSignDigestOptions,
                .positionals = kRequestFile,
                .examples = kSignDigestExamples,
                .run = run_sign_digest},
    CommandSpec{.path = "image-package import-signature",
                .summary = "Put a signature that was made elsewhere into its package",
                .options = kImportOptions,
                .positionals = kFile,
                .examples = kImportExamples,
                .run = run_import_signature},
};

}  // namespace

std::span<const CommandSpec> image_package_commands() { return kCommands; }

Result<std::string> package_path(const Arguments& arguments) {
  auto path = arguments.positional(0);
  if (const auto option = arguments.value("image-package")) {
    if (!path.empty()) {
      return fail(Errc::invalid_argument, "the package is named twice",
                  {.reason = "usage.conflict", .value = *option, .next = "name it once"});
    }
    path = *option;
  }
  if (path.empty()) {
    return fail(Errc::invalid_argument, "FILE is missing",
                {.reason = "usage.missing-option",
                 .value = "FILE",
                 .next = "sphere image-package show --help"});
  }
  return path;
}

Error about_file(Error error, const std::string& path) {
  const bool is_named = error.message().find(path) != std::string::npos;
  return is_named ? error : std::move(error).while_doing(path);
}

Result<AtomicFile> create_package_file(const std::filesystem::path& path,
                                       const Arguments& arguments) {
  if (!arguments.has("force")) {
    SPHERE_TRY(image::require_replaceable(path));
  }
  return AtomicFile::create(path, {.sync = !arguments.has("no-sync")});
}

}  // namespace sphere::cli
