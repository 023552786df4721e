// SPDX-License-Identifier: MIT
#include "device-agent/agent/debug/gdb_stub.h"

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/debug/gdb_packet.h"
#include "device-agent/agent/debug/gdb_signals.h"
#include "tests/support/fake_inferior.h"

namespace {

using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test
using sphere::test::FakeInferior;

// What the stub says to one packet, its acknowledgement and frame removed.
std::string ask(GdbStub& stub, std::string_view payload) {
  const auto said = stub.on_bytes(gdb_packet(payload));
  GdbReader reader;
  std::string answer;
  for (const auto& item : reader.feed(said)) {
    if (item.kind == GdbReader::Kind::packet) {
      answer += item.payload;
    }
  }
  return answer;
}

struct Halted {
  FakeInferior inferior;
  GdbStub stub{inferior};
  Halted() {
    static_cast<void>(stub.on_stop({.value = SIGTRAP, .thread = 2}));
    stub.connect();
  }
};

}  // namespace

TEST_CASE("a packet survives any division of its bytes") {
  const std::string payload = std::string{"a#b$c}d*e\x03\0f", 11};
  const auto packet = gdb_packet(payload);
  for (std::size_t cut = 0; cut <= packet.size(); ++cut) {
    GdbReader reader;
    auto items = reader.feed(packet.substr(0, cut));
    for (auto& item : reader.feed(packet.substr(cut))) {
      items.push_back(std::move(item));
    }
    REQUIRE(items.size() == 1);
    CHECK(items.front().kind == GdbReader::Kind::packet);
    CHECK(items.front().payload == payload);
    CHECK(items.front().raw == packet);
  }
}

TEST_CASE("what is no packet is told apart") {
  GdbReader reader;
  const auto items = reader.feed("x+-\x03$g#00$g#67");
  REQUIRE(items.size() == 5);
  CHECK(items[0].kind == GdbReader::Kind::ack);
  CHECK(items[1].kind == GdbReader::Kind::refusal);
  CHECK(items[2].kind == GdbReader::Kind::interrupt);
  CHECK(items[3].kind == GdbReader::Kind::damaged);
  CHECK(items[4].kind == GdbReader::Kind::packet);
  const auto long_items = reader.feed("$" + std::string(kGdbPacketBytes * 3, 'a') + "#00+");
  REQUIRE(long_items.size() == 2);
  CHECK(long_items[0].kind == GdbReader::Kind::damaged);
  CHECK(long_items[0].raw.size() < kGdbPacketBytes + 8);
}

TEST_CASE("signals have gdb's numbers and back") {
  CHECK(gdb_signal_of(SIGBUS) == 10);
  CHECK(gdb_signal_of(SIGUSR1) == 30);
  CHECK(gdb_signal_of(34) == 46);
  for (int signal = 1; signal <= 64; ++signal) {
    if (const int number = gdb_signal_of(signal); number != 143) {
      CHECK(signal_of_gdb(static_cast<unsigned>(number)) == signal);
    }
  }
  CHECK_FALSE(signal_of_gdb(7));
  CHECK_FALSE(signal_of_gdb(0xFFFFFFFF));
}

TEST_CASE("registers and memory are read and written") {
  Halted halted;
  auto& stub = halted.stub;
  CHECK(ask(stub, "?") == "T05thread:2;");
  CHECK(ask(stub, "g") == "0102030405060708090a0b0c");
  CHECK(ask(stub, "p1") == "090a0b0c");
  CHECK(ask(stub, "P1=ffeeddcc") == "OK");
  CHECK(ask(stub, "g") == "0102030405060708ffeeddcc");
  CHECK(ask(stub, "P1=ff") == "E01");
  CHECK(ask(stub, "p2") == "E01");
  CHECK(ask(stub, "G00") == "E01");
  CHECK(ask(stub, "m1000,4") == "00010203");
  CHECK(ask(stub, "M1000,2:aabb") == "OK");
  CHECK(ask(stub, std::string_view{"X1002,1:#"}) == "OK");
  CHECK(ask(stub, "m1000,4") == "aabb2303");
  CHECK(ask(stub, "m9,4") == "E0e");
  CHECK(ask(stub, "m10fe,8") ==
        "fe"
        "ff");
  CHECK(ask(stub, "M1000,2:aa") == "E01");
  CHECK(ask(stub, "mffffffffffffffff,ffffffffffffffff") == "E0e");
}

TEST_CASE("gdb lets threads run as it says, and asks nothing meanwhile") {
  Halted halted;
  auto& stub = halted.stub;
  CHECK(ask(stub, "vCont?") == "vCont;c;C;s;S");
  CHECK(ask(stub, "vCont;q") == "E01");
  CHECK(ask(stub, "vCont;s:3;C0b:2;c").empty());
  REQUIRE(halted.inferior.resumed.size() == 2);
  CHECK(halted.inferior.resumed[0].thread == 3);
  CHECK(halted.inferior.resumed[0].step);
  CHECK(halted.inferior.resumed[1].signal == SIGSEGV);
  CHECK(stub.running());
  CHECK(ask(stub, "g").empty());
  CHECK(stub.on_stop({.value = SIGTRAP, .thread = 3, .breakpoint = true}) ==
        gdb_packet("T05thread:3;swbreak:;"));
  CHECK(ask(stub, "c").empty());
  CHECK(stub.on_bytes("\x03") == gdb_packet("T02thread:2;"));
  CHECK(halted.inferior.halts == 1);
  CHECK(stub.on_bytes("\x03").empty());
  CHECK(stub.on_stop({.kind = StopReport::Kind::exited, .value = 7}) == gdb_packet("W07"));
}

TEST_CASE("a gdb that has left leaves no breakpoint, and the next finds the program standing") {
  Halted halted;
  auto& stub = halted.stub;
  CHECK(ask(stub, "Z0,1000,1") == "OK");
  CHECK(ask(stub, "Z1,1000,1").empty());
  CHECK(halted.inferior.breakpoints.size() == 1);
  CHECK(ask(stub, "c").empty());
  stub.disconnect();
  CHECK(halted.inferior.breakpoints.empty());
  CHECK(stub.running());
  stub.connect();
  CHECK_FALSE(stub.running());
  CHECK(ask(stub, "?") == "T00thread:2;");
  CHECK(ask(stub, "D") == "OK");
  CHECK(stub.detached());
}

TEST_CASE("the stub gives no files, no other process, no commands") {
  Halted halted;
  for (const auto* packet :
       {"!", "R00", "vFile:open:2f6574632f706173737764,0,0", "vRun;2f62696e2f7368", "vAttach;1",
        "qRcmd,68656c70", "QDisableRandomization:1", "qXfer:exec-file:read:2:0,100", "bc"}) {
    INFO(packet);
    CHECK(ask(halted.stub, packet).empty());
  }
  CHECK(ask(halted.stub, "T1") == "E01");
  CHECK(ask(halted.stub, "Hg1") == "E01");
}

TEST_CASE("acknowledgements end when gdb says so") {
  Halted halted;
  CHECK(halted.stub.on_bytes(gdb_packet("qC")) == "+" + gdb_packet("QC2"));
  CHECK(halted.stub.on_bytes("-") == gdb_packet("QC2"));
  CHECK(halted.stub.on_bytes(gdb_packet("QStartNoAckMode")) == "+" + gdb_packet("OK"));
  CHECK(halted.stub.on_bytes(gdb_packet("qC")) == gdb_packet("QC2"));
  CHECK(halted.stub.on_bytes("$qC#00").empty());
}
