// SPDX-License-Identifier: MIT
// Messages of different lengths side by side: whenever a lane's message ends, the next one of the
// queue takes the lane.
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "libsdk/src/crypto/hash/backend.h"
#include "libsdk/src/crypto/hash/evp_sha256.h"
#include "libsdk/src/crypto/hash/lanes.h"
#include "sphere/core/result.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/digest.h"

namespace sphere::crypto {
namespace {

using Results = std::vector<std::optional<Result<Sha256Digest>>>;

// The messages that wait, and where the digests go.
class Queue {
 public:
  explicit Queue(std::span<MessageStream* const> streams)
      : streams_{streams}, results_(streams.size()) {}

  [[nodiscard]] bool is_empty() const { return next_ == streams_.size(); }
  [[nodiscard]] std::size_t take() { return next_++; }
  [[nodiscard]] MessageStream& stream(std::size_t index) const { return *streams_[index]; }
  void finish(std::size_t index, Result<Sha256Digest> result) {
    results_[index].emplace(std::move(result));
  }
  [[nodiscard]] std::vector<Result<Sha256Digest>> results() && {
    std::vector<Result<Sha256Digest>> all;
    all.reserve(results_.size());
    for (auto& result : results_) {
      assert(result.has_value());
      all.push_back(*std::move(result));
    }
    return all;
  }

 private:
  std::span<MessageStream* const> streams_;
  Results results_;
  std::size_t next_ = 0;
};

// One lane and the message in it.
struct Seat {
  StreamFeeder feeder;
  std::size_t index = 0;  // Of its message.
  bool taken = false;
};

// Makes blocks ready in the seat: of its own message, else of the next in the queue that has any.
// False when the queue is empty.
bool fill(Seat& seat, Queue& queue) {
  while (true) {
    if (!seat.taken) {
      if (queue.is_empty()) {
        return false;
      }
      seat.index = queue.take();
      seat.feeder.start(queue.stream(seat.index));
      seat.taken = true;
    }
    const auto has_blocks = seat.feeder.refill();
    if (has_blocks && *has_blocks) {
      return true;
    }
    seat.taken = false;
    if (has_blocks) {
      queue.finish(seat.index, digest_of(seat.feeder.lane()));
    } else {
      queue.finish(seat.index, tl::make_unexpected(has_blocks.error()));
    }
  }
}

// Fills the seats and lists the lanes of the taken ones. Returns by how many blocks all of them can
// go on: what the shortest run allows, 0 when no message is left.
std::size_t fill_all(std::span<Seat> seats, Queue& queue, std::vector<HashLane*>& lanes) {
  lanes.clear();
  std::size_t blocks = SIZE_MAX;
  for (Seat& seat : seats) {
    if (fill(seat, queue)) {
      lanes.push_back(&seat.feeder.lane());
      blocks = std::min(blocks, seat.feeder.blocks());
    }
  }
  return lanes.empty() ? 0 : blocks;
}

Result<Sha256Digest> hash_by_evp(EvpSha256::Context& context, MessageStream& stream) {
  context.start();
  while (true) {
    SPHERE_TRY_ASSIGN(const auto piece, stream.next());
    if (piece.empty()) {
      return context.finish();
    }
    context.update(piece);
  }
}

void hash_all_by_evp(EvpSha256::Context context, Queue& queue) {
  while (!queue.is_empty()) {
    const std::size_t index = queue.take();
    queue.finish(index, hash_by_evp(context, queue.stream(index)));
  }
}

// A message that lies in memory, as a stream of one piece.
class MemoryStream final : public MessageStream {
 public:
  explicit MemoryStream(std::span<const std::byte> bytes) : bytes_{bytes} {}
  [[nodiscard]] Result<std::span<const std::byte>> next() override {
    return std::exchange(bytes_, {});
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace

std::vector<Result<Sha256Digest>> HashEngine::hash_streams(
    std::span<MessageStream* const> streams) const {
  Queue queue{streams};
  if (choose(streams.size()).compress == nullptr) {
    hash_all_by_evp(evp_->context(), queue);
    return std::move(queue).results();
  }
  std::vector<Seat> seats(std::min(kMaxLanes, streams.size()));
  std::vector<HashLane*> lanes;
  while (const std::size_t blocks = fill_all(seats, queue, lanes)) {
    compress(lanes, blocks);
    for (Seat& seat : seats) {
      if (seat.taken) {
        seat.feeder.advance(blocks);
      }
    }
  }
  return std::move(queue).results();
}

void HashEngine::hash_messages(std::span<const std::span<const std::byte>> messages,
                               std::span<Sha256Digest> digests) const {
  assert(messages.size() == digests.size());
  std::deque<MemoryStream> streams;
  std::vector<MessageStream*> pointers;
  for (const auto message : messages) {
    pointers.push_back(&streams.emplace_back(message));
  }
  const auto results = hash_streams(pointers);
  for (std::size_t i = 0; i < digests.size(); ++i) {
    assert(results[i].has_value());  // Memory does not fail.
    digests[i] = *results[i];
  }
}

}  // namespace sphere::crypto
