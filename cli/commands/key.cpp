// SPDX-License-Identifier: MIT
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/commands/key_commands.h"
#include "cli/commands/key_secrets.h"
#include "cli/commands/nouns.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/clock.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/key_store.h"
#include "sphere/crypto/library.h"
#include "sphere/crypto/pkcs11.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

std::vector<Column> columns() {
  return {{.key = "name", .heading = "Name"},
          {.key = "use", .heading = "Use"},
          {.key = "keyId", .heading = "Key ID"},
          {.key = "algorithm", .heading = "Algorithm"},
          {.key = "certificate", .heading = "Certificate"},
          {.key = "location", .heading = "Location"},
          {.key = "createdUtc", .heading = "Created (UTC)"},
          {.key = "encrypted", .heading = "Encrypted"}};
}

Result<Output> run_show(Context& context, const Arguments& arguments) {
  SPHERE_TRY(require_key_home(context));
  SPHERE_TRY_ASSIGN(const auto key, context.keys.describe(arguments.positional(0)));
  Output output{.data = key_value(key.info), .columns = columns()};
  output.data.set("publicKeyPem", key.public_key.pem());
  output.data.set("certificatePem",
                  key.certificate ? json::Value{key.certificate->pem()} : json::Value{});
  return output;
}

Result<Output> run_list(Context& context, const Arguments& /*arguments*/) {
  Output output{.data = json::Array{}, .columns = columns()};
  if (!context.has_home) {
    return output;
  }
  const auto listing = context.keys.list();
  for (const auto& info : listing.keys) {
    output.data.push(key_value(info));
  }
  // The other keys are as good as before; who looks at the status only must notice, too.
  for (const auto& error : listing.unreadable) {
    context.reporter.warn(fmt::format("{}{}", error.message(),
                                      error.hint().next.empty() ? "" : "; " + error.hint().next));
  }
  output.verdict_failed = !listing.unreadable.empty();
  return output;
}

json::Value token_value(const crypto::TokenInfo& token) {
  json::Value keys = json::Array{};
  for (const auto& key : token.keys) {
    json::Value value;
    value.set("label", key.label)
        .set("id", to_hex(key.id))
        .set("keyId", key.key_id ? json::Value{to_hex(*key.key_id)} : json::Value{});
    keys.push(std::move(value));
  }
  json::Value value;
  value.set("token", token.label)
      .set("slot", token.slot)
      .set("serial", token.serial)
      .set("manufacturer", token.manufacturer)
      .set("model", token.model)
      .set("pinLocked", token.pin_locked)
      .set("keys", std::move(keys));
  return value;
}

Result<Output> run_list_tokens(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto tokens,
                    crypto::list_tokens(arguments.value("module").value_or(context.token_module)));
  Output output;
  output.data = json::Array{};
  for (const auto& token : tokens) {
    output.text += fmt::format("{}  (slot {}, serial {}, {}{})\n", escape_control(token.label),
                               token.slot, escape_control(token.serial),
                               escape_control(token.model), token.pin_locked ? ", PIN locked" : "");
    for (const auto& key : token.keys) {
      output.text += fmt::format("  {}  id {}  key id {}\n", escape_control(key.label),
                                 to_hex(key.id), key.key_id ? to_hex(*key.key_id) : "not P-256");
    }
    output.data.push(token_value(token));
  }
  if (tokens.empty()) {
    output.text = "No tokens.\n";
  }
  output.text.pop_back();
  return output;
}

constexpr std::array<std::string_view, 7> kUses = {"image",   "capability", "device-api-ca", "root",
                                                   "targets", "dump",       "trust-store"};

constexpr OptionSpec kName{.name = "name",
                           .required = true,
                           .value_name = "NAME",
                           .help = "Name of the key: letters, digits, dots, hyphens, underscores"};
constexpr OptionSpec kUse{.name = "use",
                          .value_name = "USE",
                          .help = "What the key may sign",
                          .default_text = "image",
                          .choices = kUses};

constexpr OptionSpec kEncrypt{
    .name = "encrypt", .kind = OptionKind::flag, .help = "Encrypt the key file with a passphrase"};

constexpr std::array kCreateOptions = {kName, kUse, kEncrypt, kPassphraseFd, kPassphraseFile};
constexpr std::array kImportOptions = {
    kName,
    kUse,
    OptionSpec{.name = "file",
               .value_name = "FILE",
               .help = "PEM file with the private key and, if there is one, its certificate"},
    OptionSpec{.name = "token",
               .value_name = "URI",
               .help = "Key that stays in a PKCS#11 token, as an RFC 7512 URI"},
    kEncrypt,
    kPassphraseFd,
    kPassphraseFile,
};
constexpr std::array kExportOptions = {
    OptionSpec{.name = "file",
               .required = true,
               .value_name = "FILE",
               .help = "PEM file to write, readable by you only"},
    OptionSpec{.name = "plain",
               .kind = OptionKind::flag,
               .help = "Write the private key without a passphrase"},
    OptionSpec{.name = "public", .kind = OptionKind::flag, .help = "Write the public half only"},
    OptionSpec{.name = "force", .kind = OptionKind::flag, .help = "Replace FILE if it exists"},
    kPassphraseFd,
    kPassphraseFile,
};
constexpr std::array kNamePositional = {PositionalSpec{.name = "NAME", .help = "Name of the key"}};

constexpr std::array<std::string_view, 2> kCreateExamples = {
    "sphere key create --name release --encrypt",
    "sphere key create --name ci --encrypt --passphrase-file passphrase.txt"};
constexpr std::array<std::string_view, 1> kImportExamples = {
    "sphere key import --name release --file release.pem"};
constexpr std::array<std::string_view, 1> kShowExamples = {"sphere key show developer"};
constexpr std::array<std::string_view, 2> kExportExamples = {
    "sphere key export release --file release.pem",
    "sphere key export release --public --file release-public.pem"};
constexpr std::array<std::string_view, 1> kDeleteExamples = {"sphere key delete old --yes"};
constexpr std::array<std::string_view, 1> kListExamples = {"sphere key list"};

constexpr std::array kTokenOptions = {
    OptionSpec{.name = "module",
               .value_name = "FILE",
               .help = "Library of the token's maker; when not given, that of the configuration, "
                       "else the usual ones"}};
constexpr std::array<std::string_view, 1> kTokenExamples = {
    "sphere key list-tokens --module /usr/lib/softhsm/libsofthsm2.so"};

constexpr std::array kCommands = {
    CommandSpec{.path = "key create",
                .summary = "Make a signing key and its certificate",
                .options = kCreateOptions,
                .examples = kCreateExamples,
                .run = run_key_create},
    CommandSpec{.path = "key import",
                .summary = "Take over a private key from a PEM file",
                .options = kImportOptions,
                .examples = kImportExamples,
                .run = run_key_import},
    CommandSpec{.path = "key show",
                .summary = "Show one key, without its private half",
                .positionals = kNamePositional,
                .examples = kShowExamples,
                .run = run_show},
    CommandSpec{.path = "key list",
                .summary = "List the keys of this user",
                .examples = kListExamples,
                .run = run_list},
    CommandSpec{.path = "key list-tokens",
                .summary = "List the PKCS#11 tokens and the keys in them",
                .options = kTokenOptions,
                .examples = kTokenExamples,
                .run = run_list_tokens},
    CommandSpec{.path = "key export",
                .summary = "Write a key to a PEM file, encrypted unless asked otherwise",
                .options = kExportOptions,
                .positionals = kNamePositional,
                .examples = kExportExamples,
                .run = run_key_export},
    CommandSpec{
        .path = "key delete",
        .summary = "Delete a key for good",
        .positionals = kNamePositional,
        .examples = kDeleteExamples,
        .confirm = "Delete the key \"{0}\" for good? Nothing can be signed with it any more.",
        .confirm_without_terminal = true,
        .run = run_key_delete},
};

}  // namespace

json::Value key_value(const crypto::KeyInfo& info) {
  json::Value value;
  value.set("name", info.name)
      .set("use", crypto::to_text(info.use))
      .set("keyId", to_hex(info.id))
      .set("algorithm", "ECDSA P-256")
      .set("certificate", to_hex(info.thumbprint))
      .set("location", info.token_uri.empty() ? info.location.string() : info.token_uri)
      .set("createdUtc", to_rfc3339(info.created))
      .set("encrypted", info.encrypted);
  return value;
}

Result<void> require_key_home(const Context& context) {
  crypto::keep_out_of_core_dumps();
  if (!context.has_home) {
    return fail(
        Errc::not_found, "there is no home directory to keep keys in",
        {.reason = "local.file-not-found", .value = "HOME", .next = "set HOME or XDG_DATA_HOME"});
  }
  return {};
}

std::span<const CommandSpec> key_commands() { return kCommands; }

}  // namespace sphere::cli
