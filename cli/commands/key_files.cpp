// SPDX-License-Identifier: MIT
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/commands/key_commands.h"
#include "cli/commands/key_secrets.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key_store.h"
#include "sphere/crypto/secret.h"
#include "sphere/crypto/secret_source.h"

// Verbs that make, move and remove key files.
namespace sphere::cli {
namespace {

Result<crypto::KeyUse> use_of(const Arguments& arguments) {
  return crypto::parse_key_use(arguments.value("use").value_or("image"));
}

std::string in_words(std::string_view name) { return fmt::format("the key \"{}\"", name); }

Output made(const crypto::KeyInfo& info, std::string_view done) {
  return {.data = key_value(info),
          .text = fmt::format("{} the key \"{}\", key id {}.", done, info.name, to_hex(info.id))};
}

// The passphrase to encrypt with, when the line asks for it.
Result<std::optional<crypto::Secret>> new_passphrase(CommandSecrets& secrets,
                                                     const Arguments& arguments,
                                                     std::string_view name) {
  if (!arguments.has("encrypt")) {
    return std::nullopt;
  }
  SPHERE_TRY_ASSIGN(auto secret, secrets.get(crypto::SecretKind::new_passphrase, in_words(name)));
  return std::optional{std::move(secret)};
}

const crypto::Secret* pointer_to(const std::optional<crypto::Secret>& secret) {
  return secret ? &*secret : nullptr;
}

}  // namespace

Result<Output> run_key_create(Context& context, const Arguments& arguments) {
  SPHERE_TRY(require_key_home(context));
  SPHERE_TRY_ASSIGN(const auto use, use_of(arguments));
  const auto name = arguments.value("name").value_or("");
  CommandSecrets secrets{context, arguments};
  SPHERE_TRY_ASSIGN(const auto passphrase, new_passphrase(secrets, arguments, name));
  SPHERE_TRY_ASSIGN(const auto info, context.keys.create(name, use, pointer_to(passphrase)));
  return made(info, "Created");
}

Result<Output> run_key_import(Context& context, const Arguments& arguments) {
  SPHERE_TRY(require_key_home(context));
  SPHERE_TRY_ASSIGN(const auto use, use_of(arguments));
  const auto name = arguments.value("name").value_or("");
  const auto file = arguments.value("file");
  const auto token = arguments.value("token");
  if (file.has_value() == token.has_value() || (token && arguments.has("encrypt"))) {
    return fail(Errc::invalid_argument,
                token ? "--token excludes --file and --encrypt" : "--file or --token is missing",
                {.reason = token ? "usage.conflict" : "usage.missing-option",
                 .value = token.value_or("--file"),
                 .next = "sphere key import --help"});
  }
  CommandSecrets secrets{context, arguments};
  if (token) {
    SPHERE_TRY_ASSIGN(const auto signer, open_token_key(context, *token, secrets));
    SPHERE_TRY_ASSIGN(const auto info,
                      context.keys.add_token_key(name, use,
                                                 {.uri = *token,
                                                  .public_key = signer->public_key(),
                                                  .thumbprint = signer->thumbprint()}));
    return made(info, "Imported");
  }
  SPHERE_TRY_ASSIGN(const auto passphrase, new_passphrase(secrets, arguments, name));
  SPHERE_TRY_ASSIGN(const auto info,
                    context.keys.import(name, use, *file, &secrets, pointer_to(passphrase)));
  return made(info, "Imported");
}

Result<Output> run_key_export(Context& context, const Arguments& arguments) {
  SPHERE_TRY(require_key_home(context));
  const auto name = arguments.positional(0);
  const std::filesystem::path file = arguments.value("file").value_or("");
  if (arguments.has("public")) {
    SPHERE_TRY_ASSIGN(const auto key, context.keys.describe(name));
    SPHERE_TRY(write_file(file, key.public_key.pem(), {.replace = arguments.has("force")}));
    return Output{
        .data = key_value(key.info).set("file", file.string()),
        .text = fmt::format("Wrote the public half of the key \"{}\" to {}.", name, file.string())};
  }
  SPHERE_TRY_ASSIGN(const auto key, context.keys.describe(name));
  const bool plain = arguments.has("plain");
  CommandSecrets secrets{context, arguments};
  SPHERE_TRY_ASSIGN(const auto text, context.keys.export_key(name, plain, secrets));
  SPHERE_TRY_ASSIGN(auto written,
                    AtomicFile::create(file, {.mode = 0600, .replace = arguments.has("force")}));
  SPHERE_TRY(written.write(text.bytes()));
  SPHERE_TRY(written.commit());
  return Output{.data = key_value(key.info).set("file", file.string()),
                .text = fmt::format("Wrote the key \"{}\" to {}, {}.", name, file.string(),
                                    plain ? "not encrypted" : "encrypted")};
}

Result<Output> run_key_delete(Context& context, const Arguments& arguments) {
  SPHERE_TRY(require_key_home(context));
  const auto name = arguments.positional(0);
  json::Value value;
  value.set("name", name);
  SPHERE_TRY(context.keys.remove(name));
  return Output{.data = value, .text = fmt::format("Deleted the key \"{}\".", name)};
}

}  // namespace sphere::cli
