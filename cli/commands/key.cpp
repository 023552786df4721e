// SPDX-License-Identifier: MIT
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/commands/nouns.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key_store.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

json::Value to_value(const crypto::KeyInfo& info) {
  json::Value value;
  value.set("name", info.name)
      .set("use", crypto::to_text(info.use))
      .set("keyId", to_hex(info.id))
      .set("algorithm", "ECDSA P-256")
      .set("certificate", to_hex(info.thumbprint))
      .set("location", info.location.string())
      .set("createdUtc", to_rfc3339(info.created));
  return value;
}

std::vector<Column> columns() {
  return {{.key = "name", .heading = "Name"},
          {.key = "use", .heading = "Use"},
          {.key = "keyId", .heading = "Key ID"},
          {.key = "algorithm", .heading = "Algorithm"},
          {.key = "certificate", .heading = "Certificate"},
          {.key = "location", .heading = "Location"},
          {.key = "createdUtc", .heading = "Created (UTC)"}};
}

Result<void> require_home(const Context& context) {
  if (!context.has_home) {
    return fail(
        Errc::not_found, "there is no home directory to keep keys in",
        {.reason = "local.file-not-found", .value = "HOME", .next = "set HOME or XDG_DATA_HOME"});
  }
  return {};
}

Result<crypto::KeyUse> use_of(const Arguments& arguments) {
  return crypto::parse_key_use(arguments.value("use").value_or("image"));
}

Output made(const crypto::KeyInfo& info, std::string_view done) {
  return {.data = to_value(info),
          .text = fmt::format("{} the key \"{}\", key id {}.", done, info.name, to_hex(info.id))};
}

Result<Output> run_create(Context& context, const Arguments& arguments) {
  SPHERE_TRY(require_home(context));
  SPHERE_TRY_ASSIGN(const auto use, use_of(arguments));
  SPHERE_TRY_ASSIGN(const auto info,
                    context.keys.create(arguments.value("name").value_or(""), use));
  return made(info, "Created");
}

Result<Output> run_import(Context& context, const Arguments& arguments) {
  SPHERE_TRY(require_home(context));
  SPHERE_TRY_ASSIGN(const auto use, use_of(arguments));
  SPHERE_TRY_ASSIGN(const auto info, context.keys.import(arguments.value("name").value_or(""), use,
                                                         arguments.value("file").value_or("")));
  return made(info, "Imported");
}

Result<Output> run_show(Context& context, const Arguments& arguments) {
  SPHERE_TRY(require_home(context));
  SPHERE_TRY_ASSIGN(const auto key, context.keys.load(arguments.positional(0)));
  Output output{.data = to_value(key.info), .columns = columns()};
  output.data.set("certificatePem", key.certificate.pem());
  return output;
}

Result<Output> run_list(Context& context, const Arguments& /*arguments*/) {
  Output output{.data = json::Array{}, .columns = columns()};
  if (!context.has_home) {
    return output;
  }
  SPHERE_TRY_ASSIGN(const auto keys, context.keys.list());
  for (const auto& info : keys) {
    output.data.push(to_value(info));
  }
  return output;
}

constexpr std::array<std::string_view, 2> kUses = {"image", "device-api-ca"};

constexpr OptionSpec kName{.name = "name",
                           .required = true,
                           .value_name = "NAME",
                           .help = "Name of the key: letters, digits, dots, hyphens, underscores"};
constexpr OptionSpec kUse{.name = "use",
                          .value_name = "USE",
                          .help = "What the key may sign",
                          .default_text = "image",
                          .choices = kUses};

constexpr std::array kCreateOptions = {kName, kUse};
constexpr std::array kImportOptions = {
    kName,
    kUse,
    OptionSpec{.name = "file",
               .required = true,
               .value_name = "FILE",
               .help = "PEM file with the private key and, if there is one, its certificate"},
};
constexpr std::array kNamePositional = {PositionalSpec{.name = "NAME", .help = "Name of the key"}};

constexpr std::array<std::string_view, 1> kCreateExamples = {"sphere key create --name release"};
constexpr std::array<std::string_view, 1> kImportExamples = {
    "sphere key import --name release --file release.pem"};
constexpr std::array<std::string_view, 1> kShowExamples = {"sphere key show developer"};
constexpr std::array<std::string_view, 1> kListExamples = {"sphere key list"};

constexpr std::array kCommands = {
    CommandSpec{.path = "key create",
                .summary = "Make a signing key and its certificate",
                .options = kCreateOptions,
                .examples = kCreateExamples,
                .run = run_create},
    CommandSpec{.path = "key import",
                .summary = "Take over a private key from a PEM file",
                .options = kImportOptions,
                .examples = kImportExamples,
                .run = run_import},
    CommandSpec{.path = "key show",
                .summary = "Show one key, without its private half",
                .positionals = kNamePositional,
                .examples = kShowExamples,
                .run = run_show},
    CommandSpec{.path = "key list",
                .summary = "List the keys of this user",
                .examples = kListExamples,
                .run = run_list},
};

}  // namespace

std::span<const CommandSpec> key_commands() { return kCommands; }

}  // namespace sphere::cli
