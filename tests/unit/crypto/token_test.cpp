// SPDX-License-Identifier: MIT
// Tokens that err, played by tests/support/fake_token.cpp.
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/pkcs11.h"
#include "sphere/crypto/secret.h"
#include "sphere/crypto/secret_source.h"

namespace fs = std::filesystem;
using sphere::Errc;
using sphere::Result;
using sphere::crypto::list_tokens;
using sphere::crypto::PrivateKey;
using sphere::crypto::Secret;
using sphere::crypto::SecretKind;
using sphere::crypto::Sha256Digest;
using sphere::crypto::TokenSigner;

namespace {

class KnownPin final : public sphere::crypto::SecretSource {
 public:
  [[nodiscard]] Result<Secret> get(SecretKind kind, std::string_view /*what*/) override {
    CHECK(kind == SecretKind::pin);
    ++asked;
    const auto bytes = std::as_bytes(std::span{pin});
    return Secret{{bytes.begin(), bytes.end()}};
  }
  [[nodiscard]] unsigned attempts() const override { return 3; }
  std::string pin = "4711";
  int asked = 0;
};

// A variable of the environment while this object lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_{name} {
    ::setenv(name, value.c_str(), 1);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  Variable(Variable&&) = delete;
  Variable& operator=(Variable&&) = delete;
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

// The digest in which every byte is `byte`.
Sha256Digest digest_of(unsigned byte) {
  Sha256Digest digest = {};
  digest.fill(static_cast<std::byte>(byte));
  return digest;
}

struct Token {
  Token() : directory{*sphere::TemporaryDirectory::create()}, key{*PrivateKey::generate()} {
    const auto pem = key.to_pem();
    REQUIRE(sphere::write_file(directory.path() / "key.pem", pem.text(), {.mode = 0600}));
    key_file.emplace("SPHERE_FAKE_TOKEN_KEY", (directory.path() / "key.pem").string());
    log_file.emplace("SPHERE_FAKE_TOKEN_LOG", log_path().string());
  }
  [[nodiscard]] fs::path log_path() const { return directory.path() / "log"; }
  [[nodiscard]] Result<std::unique_ptr<TokenSigner>> open() {
    return TokenSigner::open({.token = "Fake", .object = "key", .module_path = kModule}, pins);
  }
  // How many lines of the log begin with `word`.
  [[nodiscard]] std::ptrdiff_t calls(std::string_view word) const {
    const auto text = sphere::read_text_file(log_path(), std::size_t{1} << 20U).value_or("");
    const auto lines = sphere::split(text, '\n');
    return std::ranges::count_if(lines,
                                 [word](const auto& line) { return line.starts_with(word); });
  }
  static Variable faults(const std::string& text) { return {"SPHERE_FAKE_TOKEN_FAULTS", text}; }

  static constexpr const char* kModule = SPHERE_FAKE_TOKEN;
  sphere::TemporaryDirectory directory;
  PrivateKey key;
  std::optional<Variable> key_file;
  std::optional<Variable> log_file;
  KnownPin pins;
};

}  // namespace

TEST_CASE_METHOD(Token, "a key in a token signs: one login, each digest once", "[token]") {
  {
    const auto signer = open();
    REQUIRE(signer);
    CHECK((*signer)->public_key() == key.public_key());
    const std::vector digests = {digest_of(1), digest_of(2), digest_of(3)};
    const auto signatures = (*signer)->sign(digests);
    REQUIRE(signatures);
    for (std::size_t i = 0; i < digests.size(); ++i) {
      CHECK(key.public_key().verify(digests[i], (*signatures)[i]));
      CHECK(calls("sign " + sphere::to_hex(digests[i])) == 1);
    }
  }
  CHECK(calls("login") == 1);
  CHECK(calls("sign") == 3);
  CHECK(calls("open") == calls("close"));
  CHECK(calls("initialize") == 1);
  CHECK(calls("finalize") == 1);
}

TEST_CASE_METHOD(Token, "a signer that goes leaves the module to the other", "[token]") {
  auto first = open();
  auto second = open();
  REQUIRE(first);
  REQUIRE(second);
  const bool reversed = GENERATE(false, true);
  (reversed ? second : first)->reset();
  const auto& left = reversed ? *first : *second;
  CHECK(left->sign(std::vector{digest_of(1)}));
  CHECK(list_tokens(kModule));  // Neither does a listing.
  CHECK(left->sign(std::vector{digest_of(2)}));
  CHECK(calls("finalize") == 0);

  (reversed ? first : second)->reset();
  CHECK(calls("initialize") == 1);
  CHECK(calls("finalize") == 1);
  // Then it can be started anew.
  const auto third = open();
  REQUIRE(third);
  CHECK((*third)->sign(std::vector{digest_of(3)}));
}

TEST_CASE_METHOD(Token, "signers that come and go in threads do not disturb each other",
                 "[token]") {
  constexpr int kThreads = 4;
  constexpr int kTurns = 25;
  std::vector<std::thread> threads;
  std::vector<int> good(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&good, thread] {
      for (int turn = 0; turn < kTurns; ++turn) {
        good[static_cast<std::size_t>(thread)] += list_tokens(kModule).has_value() ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK(good == std::vector<int>(kThreads, kTurns));
  CHECK(calls("initialize") == calls("finalize"));
  CHECK(calls("open") == kThreads * kTurns);
}

TEST_CASE_METHOD(Token, "no PIN is tried where a wrong one could lock the token", "[token]") {
  struct Case {
    std::string faults;
    std::string words;
  };
  const auto wanted =
      GENERATE(Case{"flags=0x20000", "one more wrong PIN would lock"},
               Case{"flags=0x40000", "is locked"}, Case{"flags=0x60000", "is locked"});
  const auto faults = Token::faults(wanted.faults);
  const auto signer = open();
  REQUIRE_FALSE(signer);
  CHECK(signer.error().code() == Errc::permission);
  CHECK(signer.error().hint().reason == "key.locked");
  CHECK(signer.error().message().find(wanted.words) != std::string::npos);
  CHECK_FALSE(signer.error().hint().next.empty());
  CHECK(pins.asked == 0);
  CHECK(calls("login") == 0);
}

TEST_CASE_METHOD(Token, "a refused PIN is an error that says what to do, after one try",
                 "[token]") {
  struct Case {
    std::string faults;
    std::string reason;
  };
  const auto wanted =
      GENERATE(Case{"login=0xA0", "key.refused"}, Case{"login=0xA1", "key.refused"},
               Case{"login=0xA2", "key.refused"}, Case{"login=0xA4", "key.locked"},
               Case{"login=0x32", "key.token-missing"}, Case{"login=0x5", "key.refused"});
  const auto faults = Token::faults(wanted.faults);
  const auto signer = open();
  REQUIRE_FALSE(signer);
  CHECK(signer.error().hint().reason == wanted.reason);
  CHECK_FALSE(signer.error().hint().next.empty());
  CHECK(calls("login") == 1);
  CHECK(calls("close") == calls("open"));
  CHECK(calls("finalize") == 1);
}

TEST_CASE_METHOD(Token, "a token that goes while it signs is named as gone", "[token]") {
  const auto* const value = GENERATE("0xB3", "0x32", "0xB0", "0x30", "0xE0");
  const auto signer = open();
  REQUIRE(signer);
  REQUIRE((*signer)->sign(std::vector{digest_of(1)}));
  const auto faults = Token::faults(std::string{"sign-init="} + value);
  const auto lost = (*signer)->sign(std::vector{digest_of(2), digest_of(3)});
  REQUIRE_FALSE(lost);
  CHECK(lost.error().hint().reason == "key.token-missing");
  CHECK(lost.error().message().find("token Fake") != std::string::npos);
  CHECK(lost.error().hint().next == "put the token in again, then repeat");
}

TEST_CASE_METHOD(Token, "a signature of a false length is refused", "[token]") {
  const auto* const length =
      GENERATE("0", "1", "63", "65", "72", "256", "4096", "0xFFFFFFFFFFFFFFFF");
  const auto signer = open();
  REQUIRE(signer);
  const auto faults = Token::faults(std::string{"signature="} + length);
  const auto signatures = (*signer)->sign(std::vector{digest_of(1)});
  REQUIRE_FALSE(signatures);
  CHECK(signatures.error().code() == Errc::unverified);
  CHECK(signatures.error().hint().reason == "key.refused");
}

TEST_CASE_METHOD(Token, "an attribute of a false length is as none", "[token]") {
  const auto* const length = GENERATE("0", "1", "64", "66", "67", "65536", "65537",
                                      "0xFFFFFFFFFFFFFFFF", "0x7FFFFFFFFFFFFFFF");
  const auto faults = Token::faults(std::string{"point="} + length);
  const auto signer = open();
  REQUIRE_FALSE(signer);
  CHECK(signer.error().code() == Errc::unsupported);
  const auto tokens = list_tokens(kModule);
  REQUIRE(tokens);
  REQUIRE(tokens->size() == 1);
  REQUIRE(tokens->front().keys.size() == 1);
  CHECK_FALSE(tokens->front().keys.front().key_id);
}

TEST_CASE_METHOD(Token, "a false number of slots or objects is refused", "[token]") {
  const auto* const name = GENERATE("slots", "objects");
  const auto* const count = GENERATE("1025", "100000", "0xFFFFFFFFFFFFFFFF");
  {
    const auto faults = Token::faults(std::string{name} + "=" + count);
    const auto signer = open();
    REQUIRE_FALSE(signer);
    CHECK(signer.error().hint().reason == "key.refused");
    CHECK(signer.error().message().find("says") != std::string::npos);
  }
  const auto none = Token::faults(std::string{name} + "=0");
  const auto signer = open();
  REQUIRE_FALSE(signer);
  CHECK(signer.error().code() == Errc::not_found);
}
