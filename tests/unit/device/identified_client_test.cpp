// SPDX-License-Identifier: MIT
// The identity challenge from the client's side, over real TLS connections.
#include "sphere/device/identified_client.h"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/device_api/identity_proof.h"
#include "sphere/http/client.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace {

using namespace sphere;  // NOLINT(google-build-using-namespace): test

constexpr std::int64_t kBegin = 1577836800;  // 2020-01-01T00:00:00Z
constexpr std::int64_t kEnd = 2524607999;    // 2049-12-31T23:59:59Z

// One authority for all devices of the test: the name in a certificate proves nothing.
struct Authority {
  crypto::PrivateKey key = crypto::PrivateKey::generate().value();
  crypto::Certificate certificate =
      crypto::make_certificate(
          {.common_name = "Test CA", .not_before = kBegin, .not_after = kEnd, .is_ca = true},
          key.public_key(), key)
          .value();
};

// What a device, or somebody in its place, answers the challenge with.
using Prover = std::function<http::Response(std::span<const std::byte> nonce)>;

class Device final : public http::Handler {
 public:
  Device(const Authority& authority, std::filesystem::path socket, const crypto::PrivateKey& id)
      : id_{&id}, socket_{std::move(socket)} {
    const auto key = crypto::PrivateKey::generate().value();
    const auto leaf =
        crypto::make_certificate({.common_name = "Test board",
                                  .not_before = kBegin,
                                  .not_after = kEnd,
                                  .server_auth = true,
                                  .dns_names = {"board.test"}},
                                 key.public_key(), authority.key, &authority.certificate)
            .value();
    spki = crypto::sha256(key.public_key().spki());
    std::vector<Descriptor> listeners;
    listeners.push_back(http::listen_unix(socket_).value());
    server_ =
        http::Server::start(std::move(listeners),
                            {.certificate_chain_pem = leaf.pem() + authority.certificate.pem(),
                             .private_key_pem = std::string{key.to_pem().text()}},
                            *this)
            .value();
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  Device(Device&&) = delete;
  Device& operator=(Device&&) = delete;
  ~Device() override { server_->stop(); }

  [[nodiscard]] std::string device_id() const { return to_hex(id_->public_key().point()); }

  http::Decision on_request(const http::Request& request,
                            std::optional<std::uint64_t> /*length*/) override {
    if (request.target == "/sphere/v1/identity") {
      ++challenges;
      return std::make_unique<Challenge>(*this);
    }
    if (request.target == "/device/security_state") {
      return text(json::to_compact(json::Value{}.set("deviceIdentifier", device_id())));
    }
    ++requests;
    return text("{}");
  }

  static http::Response text(std::string body, int status = 200) {
    return {.status = status, .body = std::move(body)};
  }
  [[nodiscard]] http::Response prove(std::span<const std::byte> nonce) const {
    const auto proof = device_api::make_identity_proof(nonce, *id_, spki).value();
    return text(json::to_compact(json::Value{}.set("proof", to_base64(proof))));
  }

  Prover prover;  // Empty: as prove().
  std::atomic<int> challenges = 0, requests = 0;
  crypto::Sha256Digest spki = {};

 private:
  class Challenge final : public http::BodySink {
   public:
    explicit Challenge(Device& device) : device_{&device} {}
    bool write(std::string_view piece) override {
      body_ += piece;
      return true;
    }
    http::Response finish() override {
      const auto nonce = from_base64(json::parse(body_).value().string_at("nonce").value()).value();
      return device_->prover ? device_->prover(nonce) : device_->prove(nonce);
    }

   private:
    Device* device_;
    std::string body_;
  };

  const crypto::PrivateKey* id_;
  std::filesystem::path socket_;
  std::unique_ptr<http::Server> server_;
};

class Bench {
 public:
  Authority authority;
  crypto::PrivateKey id = crypto::PrivateKey::generate().value();
  crypto::PrivateKey other_id = crypto::PrivateKey::generate().value();
  TemporaryDirectory folder = TemporaryDirectory::create().value();

  std::unique_ptr<Device> device(const crypto::PrivateKey& key) {
    return std::make_unique<Device>(authority, folder.path() / "rest.sock", key);
  }
  [[nodiscard]] std::filesystem::path memory() const { return folder.path() / "known-devices"; }
  // A new command: a client of its own, one request.
  Result<http::ClientResponse> ask(const std::string& device_id, const std::string& place = "") {
    auto client = device::make_identified_client(
        {.url = "https://192.168.35.2",
         .unix_socket = folder.path() / "rest.sock",
         .ca_pem = authority.certificate.pem(),
         .tls_name = "board.test"},
        {.device_id = device_id, .memory = memory(), .place = place});
    REQUIRE(client);
    return (*client)->send({.path = "/status"});
  }
};

std::string reason_of(const Result<http::ClientResponse>& response) {
  return response ? "" : std::string{response.error().hint().reason};
}

}  // namespace

TEST_CASE("a device proves its TLS key once, and a new one anew", "[device]") {
  Bench bench;
  auto device = bench.device(bench.id);
  const auto id = device->device_id();
  CHECK(bench.ask(id));
  CHECK(bench.ask(id));
  CHECK(device->challenges == 1);
  CHECK(device->requests == 2);
  CHECK(read_text_file(bench.memory() / id, 100) == to_hex(device->spki) + "\n");

  device.reset();
  device = bench.device(bench.id);  // Another leaf, as after a transfer.
  CHECK(bench.ask(id));
  CHECK(device->challenges == 1);
  CHECK(device->requests == 1);
  CHECK(read_text_file(bench.memory() / id, 100) == to_hex(device->spki) + "\n");
}

TEST_CASE("another device under the same authority is refused, and nothing is asked of it",
          "[device]") {
  Bench bench;
  const auto device = bench.device(bench.other_id);
  const auto wanted = to_hex(bench.id.public_key().point());
  CHECK(reason_of(bench.ask(wanted)) == "device.identity-changed");
  CHECK(device->requests == 0);
  CHECK_FALSE(std::filesystem::exists(bench.memory() / wanted));
}

TEST_CASE("a proof that is relayed, old or none is refused", "[device]") {
  Bench bench;
  const auto wanted = to_hex(bench.id.public_key().point());
  const auto real_spki = crypto::sha256(crypto::PrivateKey::generate()->public_key().spki());
  const auto device = bench.device(bench.other_id);  // It stands between.
  const auto answer = [&](std::span<const std::byte> nonce) {
    const auto proof = device_api::make_identity_proof(nonce, bench.id, real_spki).value();
    return Device::text(json::to_compact(json::Value{}.set("proof", to_base64(proof))));
  };
  SECTION("relayed: it is about another TLS key") {
    device->prover = answer;
    CHECK(reason_of(bench.ask(wanted)) == "device.identity-changed");
    CHECK(device->challenges == 2);  // It was asked once more before that was an error.
  }
  SECTION("of an earlier challenge") {
    device->prover = [&](std::span<const std::byte>) {
      return answer(std::vector<std::byte>(32, std::byte{1}));
    };
    CHECK(reason_of(bench.ask(wanted)) == "device.identity-changed");
  }
  SECTION("no proof") {
    device->prover = [&](std::span<const std::byte>) { return Device::text("{}", 404); };
    CHECK(reason_of(bench.ask(wanted)) == "device.identity-changed");
  }
  SECTION("no form") {
    device->prover = [&](std::span<const std::byte>) {
      return Device::text(R"({"proof":"AAAA"})");
    };
    CHECK_FALSE(bench.ask(wanted));
  }
  CHECK(device->requests == 0);
}

TEST_CASE("a device at the end of a cable says who it is and proves that", "[device]") {
  Bench bench;
  auto device = bench.device(bench.id);
  CHECK(bench.ask("", "1243"));
  CHECK(bench.ask("", "1243"));
  CHECK(device->challenges == 1);
  CHECK(bench.ask("", "../1244"));  // No name of a file: nothing is remembered of the place.
  CHECK(device->challenges == 2);

  device.reset();
  device = bench.device(bench.other_id);  // Another one at the same cable.
  CHECK(bench.ask("", "1243"));
  CHECK(device->challenges == 1);
  CHECK(read_text_file(bench.memory() / "at-1243", 200) == device->device_id() + "\n");
}

TEST_CASE("a busy device is asked again", "[device]") {
  Bench bench;
  const auto device = bench.device(bench.id);
  device->prover = [&](std::span<const std::byte> nonce) {
    return device->challenges < 3 ? Device::text("{}", 409) : device->prove(nonce);
  };
  CHECK(bench.ask(device->device_id()));
  CHECK(device->challenges == 3);
}
