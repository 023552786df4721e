// SPDX-License-Identifier: MIT
#include "sphere/device/direct_link.h"

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/http/client.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/board_link.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/place.h"

namespace sphere::device {

namespace fs = std::filesystem;

namespace {

constexpr std::uint16_t kHttps = 443;

// A stream with the lock that keeps other processes off it.
class LockedStream final : public transport::ByteStream {
 public:
  LockedStream(FileLock lock, std::unique_ptr<transport::ByteStream> stream)
      : lock_{std::move(lock)}, stream_{std::move(stream)} {}

  [[nodiscard]] int descriptor() const override { return stream_->descriptor(); }
  [[nodiscard]] Result<std::size_t> read(std::span<std::byte> bytes) override {
    return stream_->read(bytes);
  }
  [[nodiscard]] Result<std::size_t> write(std::span<const std::byte> bytes) override {
    return stream_->write(bytes);
  }
  [[nodiscard]] transport::SerialPort* serial() override { return stream_->serial(); }

 private:
  FileLock lock_;
  std::unique_ptr<transport::ByteStream> stream_;  // Goes first.
};

Error held(const std::string& path, const fs::path& file) {
  constexpr std::size_t kLongestPid = 32;
  const auto text = read_text_file(file, kLongestPid);
  const std::string pid{text ? trim(*text) : "?"};
  return Error{Errc::busy, fmt::format("the board at {} is in use by process {}", path, pid),
               Hint{.reason = "link.busy",
                    .value = pid,
                    .next = "wait for it, or share the board: sphere link serve"}};
}

class ExplainingClient final : public http::Client {
 public:
  ExplainingClient(std::unique_ptr<http::Client> client, Explain explain)
      : client_{std::move(client)}, explain_{std::move(explain)} {}

  [[nodiscard]] Result<http::ClientResponse> send(const http::ClientRequest& request) override {
    auto response = client_->send(request);
    if (response || response.error().code() == Errc::cancelled) {
      return response;
    }
    if (auto known = explain_()) {
      return tl::make_unexpected(*std::move(known));
    }
    return response;
  }

 private:
  std::unique_ptr<http::Client> client_;
  Explain explain_;
};

}  // namespace

Result<std::unique_ptr<transport::ByteStream>> open_locked(const transport::Place& place,
                                                           const fs::path& locks) {
  const std::string path = transport::connection_path(place);
  SPHERE_TRY(make_directories(locks, 0700));
  const fs::path file = locks / (path + ".lock");
  auto lock = FileLock::try_acquire(file);
  if (!lock) {
    return lock.error().code() == Errc::busy ? tl::make_unexpected(held(path, file))
                                             : tl::make_unexpected(std::move(lock).error());
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock->descriptor(), 0) != 0) {
    return tl::make_unexpected(system_error("write", file, errno));
  }
  SPHERE_TRY(write_all(lock->descriptor(), std::as_bytes(std::span{pid}), file));
  SPHERE_TRY_ASSIGN(auto stream, transport::open(place));
  return std::make_unique<LockedStream>(*std::move(lock), std::move(stream));
}

Result<std::unique_ptr<DirectLink>> DirectLink::open(const transport::Place& place,
                                                     const fs::path& locks) {
  SPHERE_TRY_ASSIGN(auto directory, TemporaryDirectory::create("sphere-link"));
  SPHERE_TRY_ASSIGN(auto stack, slip::Stack::create());
  // NOLINTNEXTLINE(*-owning-memory): private constructor
  std::unique_ptr<DirectLink> link{new DirectLink{std::move(directory), std::move(stack)}};
  SPHERE_TRY_ASSIGN(
      link->link_, transport::BoardLink::start(
                       *link->stack_, {.name = transport::connection_path(place),
                                       .open = [place, locks] { return open_locked(place, locks); },
                                       .open_again = false}));
  SPHERE_TRY_ASSIGN(auto listener, transport::listen_at(link->socket()));
  link->link_->forward(std::move(listener), kHttps);
  return link;
}

std::unique_ptr<http::Client> explain_failures(std::unique_ptr<http::Client> client,
                                               Explain explain) {
  return std::make_unique<ExplainingClient>(std::move(client), std::move(explain));
}

}  // namespace sphere::device
