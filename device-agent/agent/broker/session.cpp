// SPDX-License-Identifier: MIT
#include "device-agent/agent/broker/session.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <poll.h>
#include <utility>

#include "device-agent/agent/broker/frame.h"
#include "device-agent/agent/broker/service.h"
#include "device-agent/agent/packet.h"
#include "device-agent/applibs/src/broker_protocol.h"
#include "sphere/core/descriptor.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::chrono::seconds kFloodLimit{10};
constexpr int kTurn = 32;  // Requests of one app before the others have their turn.

}  // namespace

bool RequestBudget::take(std::chrono::nanoseconds now) {
  const std::chrono::duration<double> passed = now - filled_;
  tokens_ = std::min(kBurst, tokens_ + (passed.count() * kPerSecond));
  filled_ = now;
  if (tokens_ < 1) {
    return false;
  }
  tokens_ -= 1;
  return true;
}

BrokerSession::BrokerSession(Parts parts, AppIdentity app, Descriptor socket)
    : parts_{parts},
      app_{std::move(app)},
      socket_{std::move(socket)},
      budget_{parts.clock->monotonic()} {
  parts_.loop->watch(socket_.get(), POLLIN, [this](short) { on_ready(); });
}

BrokerSession::~BrokerSession() { close(); }

void BrokerSession::close() {
  if (socket_) {
    parts_.loop->forget(socket_.get());
    socket_.reset();
  }
}

void BrokerSession::on_ready() {
  for (int turn = 0; turn < kTurn; ++turn) {
    if (!answer_one()) {
      return;
    }
  }
}

bool BrokerSession::answer_one() {
  bool ended = false;
  const auto packet = receive_packet(socket_.get(), false, ended);
  if (!packet) {
    if (ended) {
      close();
    }
    return false;
  }
  const auto frame = read_frame(packet->bytes);
  auto reply = frame ? answer(*frame) : BrokerReply{.status = EPROTO};
  malformed_ = reply.status == EPROTO ? malformed_ + 1 : 0;
  const auto bytes = write_frame({.version = SPHERE_BROKER_VERSION,
                                  .verb = frame ? frame->verb : std::uint16_t{0},
                                  .id = frame ? frame->id : 0,
                                  .status = reply.status,
                                  .payload = reply.payload});
  // An app that does not read its answers has no use for its socket.
  if (!send_packet(socket_.get(), bytes, reply.descriptor.get()) || malformed_ >= kMalformedLimit) {
    close();
    return false;
  }
  return true;
}

BrokerReply BrokerSession::answer(const Frame& frame) {
  const auto now = parts_.clock->monotonic();
  if (!budget_.take(now)) {
    note_flood(now);
    return {.status = EAGAIN};
  }
  if (flood_since_.count() != 0 && now - flood_since_ > kFloodLimit + std::chrono::seconds{1}) {
    flood_since_ = std::chrono::nanoseconds{0};
    flood_told_ = false;
  }
  return parts_.service->answer(app_, frame);
}

void BrokerSession::note_flood(std::chrono::nanoseconds now) {
  if (flood_since_.count() == 0) {
    flood_since_ = now;
  }
  if (!flood_told_ && now - flood_since_ >= kFloodLimit) {
    flood_told_ = true;
    parts_.events->add("SandboxViolation", app_.component_id, app_.image_id,
                       json::Value{}
                           .set("call", "requests to the broker")
                           .set("reason", "more than 200 a second for 10 s"));
  }
}

}  // namespace sphere::agent
