// SPDX-License-Identifier: MIT
// Stands in for sphere-board in the tests of VirtualBoards: takes the lock, serves GET /status with
// the board's certificate, tells that it is ready, ends on SIGTERM. The file `fake-mode` of the
// board makes it misbehave.
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/http/server.h"

namespace {

namespace fs = std::filesystem;

class Status final : public sphere::http::Handler {
  sphere::http::Decision on_request(const sphere::http::Request& /*request*/,
                                    std::optional<std::uint64_t> /*length*/) override {
    return sphere::http::Response{.body = R"({"uptime":1})"};
  }
};

std::map<std::string, std::string> read_options(std::span<char*> arguments) {
  std::map<std::string, std::string> options;
  for (std::size_t i = 1; i + 1 < arguments.size(); i += 2) {
    options[arguments[i]] = arguments[i + 1];
  }
  return options;
}

void tell(int descriptor, const std::string& line) {
  (void)sphere::write_all(descriptor, std::as_bytes(std::span{line}), "ready");
  ::close(descriptor);
}

int serve(const fs::path& directory, const fs::path& runtime, int ready, const std::string& mode) {
  auto listener = sphere::http::listen_unix(runtime / "rest.sock");
  if (!listener) {
    return EXIT_FAILURE;
  }
  std::vector<sphere::Descriptor> listeners;
  listeners.push_back(*std::move(listener));
  Status handler;
  const auto server = sphere::http::Server::start(
      std::move(listeners),
      {.certificate_chain_pem = *sphere::read_text_file(directory / "tls" / "chain.pem", 65536),
       .private_key_pem = *sphere::read_text_file(directory / "tls" / "key.pem", 65536)},
      handler);
  if (!server) {
    return EXIT_FAILURE;
  }
  tell(ready, "ready\n");
  sigset_t signals = {};
  sigemptyset(&signals);
  sigaddset(&signals, mode == "stubborn" ? SIGUSR1 : SIGTERM);
  int number = 0;
  sigwait(&signals, &number);
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char* argv[]) {
  auto options = read_options({argv, static_cast<std::size_t>(argc)});
  const fs::path directory = options["--directory"];
  const int ready = std::stoi(options["--ready-fd"]);
  const auto mode = sphere::read_text_file(directory / "fake-mode", 64).value_or("");
  sigset_t signals = {};
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  if (mode != "silent") {
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  }
  const auto lock = sphere::FileLock::try_acquire(directory / "lock");
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (!lock || ::ftruncate(lock->descriptor(), 0) != 0 ||
      !sphere::write_all(lock->descriptor(), std::as_bytes(std::span{pid}), "lock")) {
    tell(ready, "error: the board runs already\n");
    return EXIT_FAILURE;
  }
  if (mode == "error") {
    tell(ready, "error: no pins here\n");
    return EXIT_FAILURE;
  }
  if (mode == "crash") {
    const std::string line = "first line\nlast words\n";
    (void)sphere::write_all(STDERR_FILENO, std::as_bytes(std::span{line}), "log");
    return EXIT_FAILURE;
  }
  if (mode == "silent") {
    ::pause();
  }
  return serve(directory, options["--runtime"], ready, mode);
}
