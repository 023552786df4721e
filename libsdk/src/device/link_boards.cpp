// SPDX-License-Identifier: MIT
#include "libsdk/src/device/link_boards.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/device/enumeration_http.h"
#include "libsdk/src/device/link_errors.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/device/direct_link.h"
#include "sphere/json/value.h"
#include "sphere/slip/packet.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/board_link.h"
#include "sphere/transport/place.h"

namespace sphere::device {

namespace {

constexpr slip::Address kLastAddress = 0xC0A823FE;  // 192.168.35.254
constexpr std::array<std::uint16_t, 3> kPorts = {443, 2342, 2345};

json::Value number(std::uint64_t value) { return json::Value{value}; }

json::Value counters_of(const transport::LinkReport& report) {
  json::Value dropped{json::Object{}};
  for (std::size_t i = 0; i < report.filter.dropped.size(); ++i) {
    dropped.set(std::string{slip::to_text(static_cast<slip::Drop>(i))},
                number(report.filter.dropped[i]));
  }
  return json::Value{}
      .set("bytesIn", number(report.bytes_in))
      .set("bytesOut", number(report.bytes_out))
      .set("frames", number(report.frames.frames))
      .set("badEscapes", number(report.frames.bad_escapes))
      .set("tooLong", number(report.frames.too_long))
      .set("outsideFrames", number(report.frames.outside))
      .set("passed", number(report.filter.passed))
      .set("dropped", std::move(dropped))
      .set("connectionsOpen", number(report.connections.open))
      .set("connected", number(report.connections.connected))
      .set("refused", number(report.connections.refused))
      .set("silent", number(report.connections.silent))
      .set("lost", number(report.connections.lost))
      .set("framingErrors", number(report.line.framing_errors))
      .set("overruns", number(report.line.overruns))
      .set("opened", number(report.opened));
}

}  // namespace

std::optional<slip::Address> LinkBoards::free_address() const {
  for (slip::Address address = slip::kBoardAddress; address <= kLastAddress; ++address) {
    if (std::ranges::none_of(
            boards_, [address](const auto& entry) { return entry.second.address == address; })) {
      return address;
    }
  }
  return std::nullopt;
}

Result<void> LinkBoards::expose(transport::BoardLink& link, const std::string& path) {
  const auto directory = runtime_ / "boards" / path;
  SPHERE_TRY(make_directories(directory, 0700));
  for (const std::uint16_t port : kPorts) {
    SPHERE_TRY_ASSIGN(auto listener,
                      transport::listen_at(directory / fmt::format("{}.sock", port)));
    link.forward(std::move(listener), port);
  }
  return {};
}

Result<void> LinkBoards::add(const transport::Place& place) {
  const std::string path = transport::connection_path(place);
  SPHERE_TRY_ASSIGN(auto link,
                    transport::BoardLink::start(
                        *stack_, {.name = path, .open = [place, locks = runtime_ / "locks"] {
                                    return open_locked(place, locks);
                                  }}));
  SPHERE_TRY(expose(*link, path));
  boards_.emplace(path, Board{.place = place, .address = 0, .link = std::move(link)});
  return {};
}

// The first board is .2, whatever was configured and never came.
void LinkBoards::give_address(Board& board) {
  if (board.address == 0) {
    board.address = free_address().value_or(0);
    if (visit_ && board.address != 0) {
      visit_(board);
    }
  }
}

void LinkBoards::update(const std::vector<transport::Place>& places) {
  for (const transport::Place& place : places) {
    const std::string path = transport::connection_path(place);
    if (boards_.contains(path)) {
      continue;
    }
    if (const auto added = add(place); !added) {
      std::string& said = refusals_[path];
      if (said != added.error().message()) {
        said = added.error().message();
        say_(fmt::format("{}: {}", path, said));
      }
    }
  }
  for (auto& [path, board] : boards_) {
    const auto report = board.link->report();
    const bool open = report.state == transport::LinkState::open;
    if (open) {
      give_address(board);
    }
    if (open != board.was_open) {
      board.was_open = open;
      say_(open ? fmt::format("{}: attached as {}", path, slip::to_text(board.address))
                : fmt::format("{}: {}", path,
                              report.failure ? report.failure->message() : "detached"));
    } else if (!open && report.failure && refusals_[path] != report.failure->message()) {
      refusals_[path] = report.failure->message();
      say_(fmt::format("{}: {}", path, refusals_[path]));
    }
  }
}

LinkBoards::Board* LinkBoards::find(std::string_view path) {
  const auto found = boards_.find(std::string{path});
  return found == boards_.end() ? nullptr : &found->second;
}

void LinkBoards::on_each(std::function<void(Board&)> visit) {
  visit_ = std::move(visit);
  for (auto& [path, board] : boards_) {
    if (visit_ && board.address != 0) {
      visit_(board);
    }
  }
}

std::vector<EnumeratedBoard> LinkBoards::open_boards() const {
  std::vector<std::pair<slip::Address, std::string>> found;
  for (const auto& [path, board] : boards_) {
    if (board.address != 0 && board.link->report().state == transport::LinkState::open) {
      found.emplace_back(board.address, path);
    }
  }
  std::ranges::sort(found);
  std::vector<EnumeratedBoard> boards;
  boards.reserve(found.size());
  for (const auto& [address, path] : found) {
    boards.push_back({.ip_address = slip::to_text(address), .connection_path = path});
  }
  return boards;
}

json::Value LinkBoards::describe() const {
  json::Value list{json::Array{}};
  for (const auto& [path, board] : boards_) {
    const auto report = board.link->report();
    const auto why = transport::explain(report, path);
    list.push(json::Value{}
                  .set("connectionPath", path)
                  .set("kind", transport::to_text(board.place.kind))
                  .set("target", board.place.target)
                  .set("ipAddress", board.address == 0 ? json::Value{}
                                                       : json::Value{slip::to_text(board.address)})
                  .set("state", transport::to_text(report.state))
                  .set("socket", (runtime_ / "boards" / path / "443.sock").string())
                  .set("failure", why ? to_json(*why) : json::Value{})
                  .set("counters", counters_of(report)));
  }
  return list;
}

}  // namespace sphere::device
