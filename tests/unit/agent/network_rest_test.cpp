// SPDX-License-Identifier: MIT
// Network, Wi-Fi, certificates, logs and identity through the routes.
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/key.h"
#include "sphere/device_api/device_log.h"
#include "sphere/device_api/error_code.h"
#include "sphere/device_api/identity_proof.h"
#include "sphere/device_api/telemetry.h"
#include "sphere/json/value.h"
#include "tests/unit/agent/agent_bench.h"

namespace {

using namespace sphere;  // NOLINT(google-build-using-namespace): test
using sphere::test::AgentBench;

struct Credential {
  crypto::PrivateKey key = crypto::PrivateKey::generate().value();
  std::string certificate =
      crypto::make_certificate(
          {.common_name = "Example", .not_before = 1577836800, .not_after = 2524607999},
          key.public_key(), key)
          .value()
          .pem();
};

std::string certificate_body(const std::string& type, const std::string& certificate,
                             const std::string& key = "", const std::string& password = "") {
  json::Value body;
  body.set("certType", type).set("publicCert", certificate);
  if (!key.empty()) {
    body.set("privateKey", key);
  }
  if (!password.empty()) {
    body.set("password", password);
  }
  return json::to_compact(body);
}

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("the service link has no assignment and no hardware address") {
  AgentBench bench;
  CHECK(bench.send("GET", "/net/interfaces/azspheresvc").text ==
        R"({"interfaceName":"azspheresvc","interfaceUp":true,"connectedToNetwork":false,)"
        R"("ipAcquired":false,"connectedToInternet":false,"ipAddresses":["192.168.35.2"]})");
  CHECK(bench.send("GET", "/net/interfaces").body().find("interfaces")->items().size() == 4);
  for (const auto* name : {"InvalidInterface!", "wlan1", "a%20b"}) {
    const auto answer = bench.send("GET", std::string{"/net/interfaces/"} + name);
    CHECK(answer.status == 404);
    CHECK(answer.body().integer_at("error") == device_api::kNotFound);
  }
}

TEST_CASE("interfaces are switched, apps hear of it, and a restart keeps it") {
  AgentBench bench;
  CHECK(bench.send("PATCH", "/net/interfaces/wlan0", R"({"interfaceUp":false})").text == "{}");
  CHECK(bench.switched.back() == "wlan0 down");
  CHECK(bench.send("PATCH", "/net/interfaces/eth0", R"({"hardwareAddress":"02:00:00:00:00:0A"})")
            .status == 200);
  bench.restart();
  CHECK(bench.send("GET", "/net/interfaces/wlan0").body().boolean_at("interfaceUp") == false);
  CHECK(bench.send("GET", "/net/interfaces/eth0").body().string_at("hardwareAddress") ==
        "02:00:00:00:00:0a");
}

TEST_CASE("changes of interfaces that cannot be are refused with their codes") {
  struct Case {
    std::string name, body;
    std::int64_t error;
    int status;
  };
  const auto test =
      GENERATE(values<Case>({{"azspheresvc", R"({"interfaceUp":false})", 31457295, 400},
                             {"lo", R"({"interfaceUp":false})", 31457295, 400},
                             {"wlan0", R"({"hardwareAddress":"02:00:00:00:00:0a"})", 31457295, 400},
                             {"eth0", R"({"hardwareAddress":"01:00:00:00:00:0a"})", 31457286, 400},
                             {"eth0", R"({"hardwareAddress":"00:00:00:00:00:00"})", 31457286, 400},
                             {"eth0", R"({"hardwareAddress":"02-00-00-00-00-0a"})", 31457286, 400},
                             {"eth0", R"({"interfaceUp":"yes"})", 10485761, 400},
                             {"eth0", R"([])", 10485761, 400},
                             {"nothing", R"({"interfaceUp":true})", 15728642, 404}}));
  INFO(test.name << " " << test.body);
  AgentBench bench;
  const auto before = bench.send("GET", "/net/interfaces").text;
  const auto answer = bench.send("PATCH", "/net/interfaces/" + test.name, test.body);
  CHECK(answer.status == test.status);
  CHECK(answer.body().integer_at("error") == test.error);
  CHECK(bench.send("GET", "/net/interfaces").text == before);
}

TEST_CASE("a proxy is shown without its password and outlives a restart") {
  AgentBench bench;
  CHECK(bench.send("GET", "/net/proxy").text == "{}");
  const std::string body =
      R"({"enabled":true,"address":"proxy.example","port":8080,"noProxyAddresses":["a","b"],)"
      R"("authenticationType":"basic","username":"u","password":"secret-word"})";
  CHECK(bench.send("POST", "/net/proxy", body).text == body);
  bench.restart();
  const auto shown = bench.send("GET", "/net/proxy").text;
  CHECK(shown ==
        R"({"enabled":true,"address":"proxy.example","port":8080,"noProxyAddresses":["a","b"],)"
        R"("authenticationType":"basic","username":"u"})");
  CHECK(bench.send("GET", "/net/status").body().string_at("proxy") == "enabled");
  const auto stored = read_text_file(bench.path() / "network/proxy.json", 65536).value();
  CHECK(stored.find("secret-word") == std::string::npos);
  CHECK(bench.send("DELETE", "/net/proxy").text == "{}");
  CHECK(bench.send("DELETE", "/net/proxy").text == "{}");
  CHECK(bench.send("GET", "/net/proxy").text == "{}");
}

TEST_CASE("proxy errors have the body of bad JSON and their own code in the header") {
  struct Case {
    std::string body;
    std::string code;
  };
  const auto test = GENERATE(values<Case>(
      {{R"({"address":"a","port":1,"authenticationType":"anonymous"})", "10485779"},
       {R"({"enabled":true,"port":1,"authenticationType":"anonymous"})", "10485788"},
       {R"({"enabled":true,"address":"","port":1,"authenticationType":"anonymous"})", "10485781"},
       {R"({"enabled":true,"address":"a","authenticationType":"anonymous"})", "10485787"},
       {R"({"enabled":true,"address":"a","port":65536,"authenticationType":"anonymous"})",
        "10485780"},
       {R"({"enabled":true,"address":"a","port":1})", "10485789"},
       {R"({"enabled":true,"address":"a","port":1,"authenticationType":"ntlm"})", "10485785"},
       {R"({"enabled":true,"address":"a","port":1,"authenticationType":"basic"})", "10485783"},
       {R"({"enabled":true,"address":"a","port":1,"authenticationType":"anonymous","username":"u"})",
        "10485783"},
       {R"({"enabled":true,"address":"a","port":1,"authenticationType":"anonymous",)"
        R"("noProxyAddresses":[1]})",
        "10485782"}}));
  INFO(test.body);
  AgentBench bench;
  const auto answer = bench.send("POST", "/net/proxy", test.body);
  CHECK(answer.status == 400);
  CHECK(answer.body().integer_at("error") == 10485761);
  CHECK(answer.header("Sphere-Error") == test.code);
  CHECK(bench.send("GET", "/net/proxy").text == "{}");
}

TEST_CASE("a Wi-Fi network is added, shown, disabled and forgotten") {
  AgentBench bench;
  const auto added = bench.send(
      "POST", "/wifi/config/networks",
      R"({"ssid":"TestA","securityState":"open","configName":"c1","configState":"enabled"})");
  CHECK(added.status == 201);
  CHECK(added.text ==
        R"({"ssid":"TestA","configState":"enabled","connectionState":"unknown","id":0,)"
        R"("securityState":"open","targetedScan":false,"configName":"c1"})");
  CHECK(bench.send("GET", "/wifi/config/networks/0").body().string_at("connectionState") ==
        "disconnected");
  CHECK(bench
            .send("POST", "/wifi/config/networks",
                  R"({"ssid":"B","securityState":"psk","psk":"12345678","targetScan":true})")
            .body()
            .integer_at("id") == 1);
  CHECK(bench.send("DELETE", "/wifi/config/networks/0").text == "{}");
  // The lowest free number.
  CHECK(bench.send("POST", "/wifi/config/networks", R"({"ssid":"C","securityState":"open"})")
            .body()
            .integer_at("id") == 0);
  const auto disabled =
      bench.send("PATCH", "/wifi/config/networks/1", R"({"configState":"disabled"})").body();
  CHECK(disabled.string_at("configState") == "disabled");
  CHECK(disabled.boolean_at("targetedScan") == true);
  bench.restart();
  const auto list = bench.send("GET", "/wifi/config/networks").body();
  REQUIRE(list.find("values")->items().size() == 2);
  CHECK(list.find("values")->items()[1].string_at("configState") == "disabled");
  CHECK(read_text_file(bench.path() / "network/wifi.json", 65536).value().find("12345678") ==
        std::string::npos);
}

TEST_CASE("Wi-Fi requests are refused by field, before anything changes") {
  struct Case {
    std::string method, path, body;
    std::int64_t error;
    int status;
  };
  const std::string networks = "/wifi/config/networks";
  const auto test = GENERATE_COPY(values<Case>(
      {{"POST", networks, R"({"securityState":"open"})", 10485761, 400},
       {"POST", networks, R"({"ssid":1,"securityState":"open"})", 10485761, 400},
       {"POST", networks, R"({"ssid":"a","securityState":"wep"})", 10485761, 400},
       {"POST", networks, R"({"ssid":")" + std::string(33, 'x') + R"(","securityState":"open"})",
        13631503, 400},
       {"POST", networks, R"({"ssid":"a","securityState":"psk"})", 13631513, 400},
       {"POST", networks,
        R"({"ssid":"a","securityState":"psk","psk":")" + std::string(64, 'x') + R"("})", 13631504,
        400},
       {"POST", networks, R"({"ssid":"a","securityState":"eaptls"})", 13631512, 400},
       {"POST", networks,
        R"({"ssid":"a","securityState":"eaptls","clientCertStoreIdentifier":"12345678901234567"})",
        10485772, 400},
       {"POST", networks, R"({"ssid":"a","securityState":"open","configName":""})", 10485776, 400},
       {"POST", networks, R"({"ssid":"a","securityState":"open","psk":"12345678"})", 13631489, 500},
       // The length of a PSK is looked at before the network.
       {"PATCH", networks + "/7", R"({"psk":"1234"})", 13631513, 400},
       {"PATCH", networks + "/7", R"({"configState":"enabled"})", 13631491, 404},
       {"PATCH", networks + "/7", R"({"configState":"temp-disabled"})", 13631496, 400},
       {"GET", networks + "/7", "", 13631491, 404},
       {"GET", networks + "/x", "", 13631491, 404},
       {"DELETE", networks + "/99999999999999999999", "", 13631491, 404},
       {"GET", "/wifi/diagnostics/networks/0", "", 13631491, 404}}));
  INFO(test.method << " " << test.path << " " << test.body);
  AgentBench bench;
  const auto answer = bench.send(test.method, test.path, test.body);
  CHECK(answer.status == test.status);
  CHECK(answer.body().integer_at("error") == test.error);
  CHECK(bench.send("GET", networks).text == R"({"values":[]})");
}

TEST_CASE("with wlan0 down the radio's calls say so first, and its state is still shown") {
  AgentBench bench;
  REQUIRE(bench.send("PATCH", "/net/interfaces/wlan0", R"({"interfaceUp":false})").status == 200);
  for (const auto& [method, path] :
       std::vector<std::pair<std::string, std::string>>{{"GET", "/wifi/scan"},
                                                        {"GET", "/wifi/config/networks"},
                                                        {"DELETE", "/wifi/config/networks/77"},
                                                        {"GET", "/wifi/diagnostics/networks"}}) {
    INFO(path);
    const auto answer = bench.send(method, path);
    CHECK(answer.status == 500);
    CHECK(answer.body().integer_at("error") == device_api::kWifiDown);
  }
  CHECK(bench.send("GET", "/wifi/interface").body().string_at("wpa_state") == "INTERFACE_DISABLED");
  REQUIRE(bench.send("PATCH", "/net/interfaces/wlan0", R"({"interfaceUp":true})").status == 200);
  CHECK(bench.send("GET", "/wifi/scan").text == R"({"values":[]})");
}

TEST_CASE("32 Wi-Fi networks fit, a 33rd does not") {
  AgentBench bench;
  for (int i = 0; i < 32; ++i) {
    REQUIRE(bench.send("POST", "/wifi/config/networks", R"({"ssid":"a","securityState":"open"})")
                .status == 201);
  }
  const auto full =
      bench.send("POST", "/wifi/config/networks", R"({"ssid":"a","securityState":"open"})");
  CHECK(full.status == 500);
  CHECK(full.body().integer_at("error") == 13631510);
}

TEST_CASE("power saving follows PATCH and is kept") {
  AgentBench bench;
  CHECK(bench.send("PATCH", "/wifi/interface", R"({"enablePowerSavings":true})").text == "{}");
  bench.restart();
  CHECK(bench.send("GET", "/wifi/interface").body().string_at("powerSavingsState") == "enabled");
  CHECK(bench.send("PATCH", "/wifi/interface", R"({"reloadConfig":true})").text == "{}");
  const auto wrong = bench.send("PATCH", "/wifi/interface", R"({"enablePowerSavings":1})");
  CHECK(wrong.status == 400);
  CHECK(wrong.header("Sphere-Error") == "10485790");
}

TEST_CASE("certificates are stored, shown, counted and deleted") {
  AgentBench bench;
  const Credential credential;
  const auto key = std::string{credential.key.to_pem().text()};
  CHECK(bench.send("GET", "/certstore/space").text == R"({"AvailableSpace":"24514"})");
  CHECK(
      bench
          .send("POST", "/certstore/certs/root", certificate_body("RootCA", credential.certificate))
          .text == "{}");
  CHECK(bench
            .send("POST", "/certstore/certs/client-1",
                  certificate_body("client", credential.certificate, key))
            .text == "{}");
  const auto used = 2 * (32 + credential.certificate.size()) + key.size();
  const auto space = R"({"AvailableSpace":")" + std::to_string(24514 - used) + R"("})";
  CHECK(bench.send("GET", "/certstore/space").text == space);
  bench.restart();
  CHECK(bench.send("GET", "/certstore/space").text == space);
  CHECK(bench.send("GET", "/certstore/certs").text == R"({"identifiers":["client-1","root"]})");
  CHECK(bench.send("GET", "/certstore/certs/client-1").text ==
        R"({"id":"client-1","notBefore":"2020-01-01T00:00:00","notAfter":"2049-12-31T23:59:59",)"
        R"("subjectName":"/CN=Example","issuerName":"/CN=Example"})");
  // The key is on the disk in sealed form only.
  for (const auto& entry :
       std::filesystem::directory_iterator{bench.path() / "network/certificates"}) {
    CHECK(read_text_file(entry.path(), 65536).value().find("PRIVATE KEY") == std::string::npos);
  }
  CHECK(bench.send("DELETE", "/certstore/certs/root").text == "{}");
  CHECK(bench.send("DELETE", "/certstore/certs/root").body().integer_at("error") == 38797319);
  CHECK(bench.send("DELETE", "/certstore/certs/client-1").text == "{}");
  CHECK(bench.send("GET", "/certstore/space").text == R"({"AvailableSpace":"24514"})");
}

TEST_CASE("bad certificates are refused with their codes and leave the store as it was") {
  const Credential one;
  const Credential other;
  const auto key = std::string{one.key.to_pem().text()};
  struct Case {
    std::string id, body;
    std::int64_t error;
  };
  const std::vector<Case> cases = {
      {"a!b", certificate_body("rootca", one.certificate), 38797314},
      {"12345678901234567", certificate_body("rootca", one.certificate), 38797316},
      {"a", certificate_body("server", one.certificate), 38797324},
      {"a", certificate_body("rootca", ""), 38797325},
      {"a", certificate_body("rootca", "no pem"), 38797325},
      {"a",
       certificate_body("rootca", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
       38797315},
      {"a", certificate_body("rootca", std::string(8193, 'x')), 38797326},
      {"a", certificate_body("client", one.certificate), 38797327},
      {"a", certificate_body("client", one.certificate, "no pem"), 38797327},
      {"a", certificate_body("client", one.certificate, std::string(8193, 'x')), 38797328},
      {"a", certificate_body("rootca", one.certificate, key), 38797329},
      {"a", certificate_body("client", one.certificate, key, std::string(257, 'x')), 38797330},
      {"a", certificate_body("rootca", one.certificate, "", "password"), 38797331},
      {"a", certificate_body("client", other.certificate, key), 38797332},
      {"a", certificate_body("client", one.certificate, key, "password"), 38797333},
      {"a", R"({"certType":1})", 10485761},
      {"a", R"([])", 10485761}};
  AgentBench bench;
  for (const auto& test : cases) {
    INFO(test.error << " " << test.body.substr(0, 60));
    const auto answer = bench.send("POST", "/certstore/certs/" + test.id, test.body);
    CHECK(answer.status == 400);
    CHECK(answer.body().integer_at("error") == test.error);
    CHECK(bench.send("GET", "/certstore/certs").text == R"({"identifiers":[]})");
  }
}

TEST_CASE("a full certificate store says so") {
  AgentBench bench;
  const Credential credential;
  const auto filler = credential.certificate + std::string(7000, '\n');
  for (const auto* id : {"a", "b", "c"}) {
    REQUIRE(
        bench
            .send("POST", std::string{"/certstore/certs/"} + id, certificate_body("rootca", filler))
            .status == 200);
  }
  CHECK(bench.send("POST", "/certstore/certs/d", certificate_body("rootca", filler))
            .body()
            .integer_at("error") == 38797323);
  // Replacing counts the entry once.
  CHECK(bench.send("POST", "/certstore/certs/c", certificate_body("rootca", filler)).status == 200);
}

TEST_CASE("the manufacturing state goes forward only and locks the next request") {
  AgentBench bench;
  const auto put = [&](const std::string& state) {
    return bench.send("PUT", "/device/manufacturing_state",
                      R"({"manufacturingState":")" + state + R"("})");
  };
  CHECK(put("Blank").body().integer_at("error") == device_api::kJsonInvalid);
  CHECK(put("Module1Complete").text == "{}");
  CHECK(put("Module1Complete").text == "{}");
  CHECK(put("DeviceComplete").text == "{}");
  CHECK(put("DeviceComplete").status == 403);
  CHECK(bench.send("GET", "/device/manufacturing_state").body().string_at("manufacturingState") ==
        "DeviceComplete");
  AgentBench complete{"Module1Complete"};
  CHECK(complete.send("PUT", "/device/manufacturing_state", R"({"manufacturingState":"Blank"})")
            .status == 400);
}

TEST_CASE("telemetry shows the events until it is deleted") {
  AgentBench bench;
  REQUIRE(bench.send("DELETE", "/telemetry").text == "{}");
  CHECK(bench.send("GET", "/telemetry").text == std::string("\x01\0\0\0\0", 5));
  bench.on_loop([&] {
    bench.events->add("AppExit", "11111111-1111-1111-1111-111111111111", "",
                      json::Value{}.set("exit_code", 1));
  });
  const auto answer = bench.send("GET", "/telemetry");
  CHECK(answer.header("Content-Type") == "application/octet-stream");
  const auto telemetry = device_api::read_telemetry(bytes_of(answer.text)).value();
  REQUIRE(telemetry.events.size() == 1);
  CHECK(telemetry.events[0].string_at("description") ==
        "AppExit (exit_code=1; component_id=11111111-1111-1111-1111-111111111111)");
  CHECK(telemetry.events[0].string_at("eventType") == "Unplanned");
  CHECK(telemetry.events[0].string_at("eventClass") == "App");
  REQUIRE(bench.send("DELETE", "/telemetry").text == "{}");
  bench.restart();
  CHECK(bench.send("GET", "/telemetry").text.size() == 5);
}

TEST_CASE("the log tells requests by their route and holds no body") {
  AgentBench bench;
  REQUIRE(bench
              .send("POST", "/wifi/config/networks",
                    R"({"ssid":"secretnet","securityState":"psk","psk":"verysecret"})")
              .status == 201);
  REQUIRE(bench.send("GET", "/nothing-here").status == 404);
  const auto answer = bench.send("GET", "/log");
  CHECK(answer.header("Content-Type") == "application/octet-stream");
  CHECK(answer.text.size() == 8 * 4096);
  CHECK(answer.text.find("verysecret") == std::string::npos);
  CHECK(answer.text.find("secretnet") == std::string::npos);
  const auto entries = device_api::read_log(bytes_of(answer.text)).value();
  REQUIRE(entries.size() == 4);
  CHECK(device_api::log_text(entries[0]) == "agent test started");
  CHECK(device_api::log_text(entries[2]) == "POST /wifi/config/networks: 201 in 0 ms");
  CHECK(device_api::log_text(entries[3]) == "GET : 404, error 15728642 (HttpError::InvalidUri)");
  const auto lines = bench.send("GET", "/sphere/v1/log?level=warning").text;
  CHECK(lines.find("gatewayd") != std::string::npos);
  CHECK(lines.find("agent test started") == std::string::npos);
  CHECK(bench.send("GET", "/sphere/v1/log?level=loud").status == 400);
}

TEST_CASE("a follower of the log gets what comes, and its end at a restart") {
  AgentBench bench;
  auto follow = bench.send("GET", "/sphere/v1/log?follow=true&category=gatewayd");
  REQUIRE(follow.stream);
  static_cast<void>(follow.stream());
  REQUIRE(bench.send("GET", "/status").status == 200);
  CHECK(follow.stream()->find("GET /status") != std::string::npos);
  bench.services->ending = true;
  CHECK(follow.stream()->find(R"({"end":"restart"})") != std::string::npos);
  CHECK_FALSE(follow.stream());
}

TEST_CASE("the board proves its identity for the TLS key in use") {
  AgentBench bench;
  bench.services->leaf_spki = crypto::sha256(bytes_of("leaf"));
  const auto nonce = bytes_of("0123456789abcdef");
  const auto answer =
      bench.send("POST", "/sphere/v1/identity", R"({"nonce":")" + to_base64(nonce) + R"("})");
  const auto proof = from_base64(answer.body().string_at("proof").value()).value();
  CHECK(proof.size() <= device_api::kLargestProof);
  const auto device_id = to_hex(bench.device_key.public_key().point());
  const auto check = [&](const std::string& salt, const std::string& leaf) {
    return device_api::check_identity_proof(proof, {.nonce = bytes_of(salt),
                                                    .device_id = device_id,
                                                    .leaf_spki = crypto::sha256(bytes_of(leaf))});
  };
  CHECK(check("0123456789abcdef", "leaf"));
  CHECK(check("0123456789abcdeX", "leaf").error().hint().reason == "device.identity-changed");
  CHECK(check("0123456789abcdef", "other").error().code() == Errc::unverified);
  CHECK(bench.send("POST", "/sphere/v1/identity", R"({"nonce":"AAAA"})").status == 400);
  for (int i = 0; i < 4; ++i) {
    REQUIRE(bench.send("POST", "/sphere/v1/identity", R"({"nonce":")" + to_base64(nonce) + R"("})")
                .status == 200);
  }
  const auto sixth =
      bench.send("POST", "/sphere/v1/identity", R"({"nonce":")" + to_base64(nonce) + R"("})");
  CHECK(sixth.status == 409);
  bench.clock.advance(std::chrono::seconds{2});
  CHECK(bench.send("POST", "/sphere/v1/identity", R"({"nonce":")" + to_base64(nonce) + R"("})")
            .status == 200);
}

TEST_CASE("after fifty 403s in a minute each further one waits a second") {
  AgentBench bench{"DeviceComplete"};
  for (int i = 0; i < 50; ++i) {
    REQUIRE(bench.send("GET", "/images").delay.count() == 0);
  }
  CHECK(bench.send("GET", "/images").delay == std::chrono::seconds{1});
  CHECK(bench.send("GET", "/status").delay.count() == 0);
  bench.clock.advance(std::chrono::seconds{61});
  CHECK(bench.send("GET", "/images").delay.count() == 0);
}

TEST_CASE("memory statistics and firewall rule sets have their shape") {
  AgentBench bench;
  REQUIRE(bench.install({}).status == 200);
  const auto stats = bench.send("GET", "/stats/memory/groups/applications").body();
  CHECK(stats.find("memoryStats")->integer_at("currentMemoryUsageInBytes"));
  CHECK(stats.find("apps")->items().size() == 1);
  CHECK(bench.send("GET", "/net/firewall/rulesets").text == R"({"rulesets":[]})");
}
