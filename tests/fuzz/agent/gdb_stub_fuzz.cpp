// SPDX-License-Identifier: MIT
// Any bytes that a client of the debug port may send.
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "device-agent/agent/debug/gdb_packet.h"
#include "device-agent/agent/debug/gdb_stub.h"
#include "tests/support/fake_inferior.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sphere::agent;  // NOLINT(google-build-using-namespace): one function
  // NOLINTNEXTLINE(*-reinterpret-cast): bytes as text
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  sphere::test::FakeInferior inferior;
  GdbStub stub{inferior};
  [[maybe_unused]] auto said = stub.on_stop({.value = SIGTRAP, .thread = 2});
  stub.connect();
  said = stub.on_bytes(bytes);
  // The same as payloads, one a line: the checksum is no hurdle then.
  std::string line;
  for (const char byte : bytes) {
    if (byte == '\n') {
      said = stub.on_bytes(gdb_packet(line));
      line.clear();
      if (stub.running()) {
        said = stub.on_stop({.value = SIGTRAP, .thread = 3});
      }
    } else {
      line.push_back(byte);
    }
  }
  stub.disconnect();
  return 0;
}
