// SPDX-License-Identifier: MIT
#include "cli/commands/key_secrets.h"

#include <cerrno>
#include <charconv>
#include <cstddef>
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

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/environment/signals.h"
#include "cli/environment/variables.h"
#include "cli/output/terminal.h"
#include "cli/output/terminal_prompt.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/encrypted_key.h"
#include "sphere/crypto/secret.h"
#include "sphere/crypto/secret_source.h"

namespace sphere::cli {
namespace {

constexpr unsigned kAttemptsAtTerminal = 3;

// The first line of a text.
crypto::Secret first_line(crypto::Secret secret) {
  const auto end = secret.text().find('\n');
  if (end != std::string_view::npos) {
    secret.shorten(end);
  }
  if (secret.text().ends_with('\r')) {
    secret.shorten(secret.bytes().size() - 1);
  }
  return secret;
}

Result<int> parse_descriptor(const std::string& text) {
  int number = -1;
  const auto* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc{} || read.ptr != end || number < 0) {
    return fail(Errc::invalid_argument, fmt::format("\"{}\" is no descriptor", text),
                {.reason = "usage.bad-value",
                 .value = text,
                 .next = "give a number, such as --passphrase-fd 3 3< FILE"});
  }
  return number;
}

// One line, so that what follows in a pipe is left to others as far as the kernel allows.
Result<crypto::Secret> read_descriptor(int descriptor) {
  crypto::Secret secret{std::vector<std::byte>(crypto::kMaxPassphrase + 1)};
  std::size_t size = 0;
  while (size < secret.bytes().size()) {
    const bool has_input = wait_for_input(descriptor);
    const auto count = has_input ? ::read(descriptor, secret.writable().data() + size, 1) : -1;
    if (!has_input || (count < 0 && errno == EINTR)) {
      return fail(Errc::cancelled, "interrupted while reading the passphrase");
    }
    if (count < 0) {
      return tl::make_unexpected(
          system_error("read", fmt::format("descriptor {}", descriptor), errno)
              .with_hint({.reason = "usage.bad-value",
                          .value = std::to_string(descriptor),
                          .next = "open it in the shell: --passphrase-fd 3 3< FILE"}));
    }
    if (count == 0 || secret.bytes()[size] == std::byte{'\n'}) {
      break;
    }
    ++size;
  }
  secret.shorten(size);
  return first_line(std::move(secret));
}

Result<std::optional<crypto::Secret>> from_environment(crypto::SecretKind kind) {
  const auto* const name =
      kind == crypto::SecretKind::pin ? "SPHERE_TOKEN_PIN" : "SPHERE_KEY_PASSPHRASE";
  const auto value = filled_variable(name);
  if (!value) {
    return std::nullopt;
  }
  const auto bytes = std::as_bytes(std::span{*value});
  return crypto::Secret{{bytes.begin(), bytes.end()}};
}

bool can_ask() { return is_terminal(STDERR_FILENO) && has_controlling_terminal(); }

Result<crypto::Secret> ask(crypto::SecretKind kind, std::string_view what) {
  if (kind != crypto::SecretKind::new_passphrase) {
    return prompt_secret(
        fmt::format("{} of {}: ", kind == crypto::SecretKind::pin ? "PIN" : "Passphrase", what));
  }
  SPHERE_TRY_ASSIGN(auto first, prompt_secret(fmt::format("New passphrase of {}: ", what)));
  SPHERE_TRY_ASSIGN(const auto second, prompt_secret("The same again: "));
  if (first.text() != second.text()) {
    return fail(Errc::invalid_argument, "the two passphrases differ",
                {.reason = "key.locked", .next = "try again"});
  }
  return first;
}

tl::unexpected<Error> nobody_to_ask(crypto::SecretKind kind, std::string_view what) {
  const bool pin = kind == crypto::SecretKind::pin;
  return fail(Errc::unverified,
              fmt::format("{} needs a {}, and nobody can be asked for it", what,
                          pin ? "PIN" : "passphrase"),
              {.reason = "key.locked",
               .next = fmt::format("give it with --passphrase-fd, --passphrase-file or {}",
                                   pin ? "SPHERE_TOKEN_PIN" : "SPHERE_KEY_PASSPHRASE")});
}

}  // namespace

Result<std::optional<crypto::Secret>> CommandSecrets::given(crypto::SecretKind kind) const {
  const auto descriptor = arguments_->value("passphrase-fd");
  const auto file = arguments_->value("passphrase-file");
  if (descriptor && file) {
    return fail(Errc::invalid_argument, "--passphrase-fd and --passphrase-file exclude each other",
                {.reason = "usage.conflict", .value = *file, .next = "give one of them"});
  }
  if (file) {
    SPHERE_TRY_ASSIGN(auto text, crypto::read_private_text(*file));
    return first_line(std::move(text));
  }
  if (!descriptor) {
    return from_environment(kind);
  }
  if (!context_->given_secret) {
    SPHERE_TRY_ASSIGN(const int number, parse_descriptor(*descriptor));
    SPHERE_TRY_ASSIGN(context_->given_secret, read_descriptor(number));
  }
  return context_->given_secret->clone();
}

Result<crypto::Secret> CommandSecrets::get(crypto::SecretKind kind, std::string_view what) {
  SPHERE_TRY_ASSIGN(auto secret, given(kind));
  if (secret) {
    return *std::move(secret);
  }
  return can_ask() ? ask(kind, what) : nobody_to_ask(kind, what);
}

unsigned CommandSecrets::attempts() const {
  const bool is_given = arguments_->has("passphrase-fd") || arguments_->has("passphrase-file") ||
                        filled_variable("SPHERE_KEY_PASSPHRASE").has_value();
  return is_given || !can_ask() ? 1 : kAttemptsAtTerminal;
}

}  // namespace sphere::cli
