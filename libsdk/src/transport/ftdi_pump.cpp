// SPDX-License-Identifier: MIT
#include "libsdk/src/transport/ftdi_pump.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <poll.h>
#include <span>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <libusb-1.0/libusb.h>
#include <tl/expected.hpp>

#include "libsdk/src/transport/descriptor_stream.h"
#include "libsdk/src/transport/ftdi_requests.h"
#include "libsdk/src/transport/usb_handle.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::transport {

namespace {

constexpr int kWaitMilliseconds = 100;
constexpr int kCancelRounds = 100;

constexpr unsigned kCts = 0x10;
constexpr unsigned kDsr = 0x20;
constexpr unsigned kRing = 0x40;
constexpr unsigned kCarrier = 0x80;
constexpr unsigned kOverrun = 0x02;
constexpr unsigned kParityError = 0x04;
constexpr unsigned kFramingError = 0x08;
constexpr unsigned kTransmitterEmpty = 0x40;

void notify(const Descriptor& event) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event.get(), &one, sizeof(one));
}

}  // namespace

FtdiPump::FtdiPump(FtdiHandle handle, Descriptor socket, Descriptor wake)
    : handle_{std::move(handle)},
      socket_{std::move(socket)},
      wake_{std::move(wake)},
      reads_(kReads),
      writes_(kWrites),
      usb_polls_{polls_of(handle_.context())} {
  const auto prepare = [this](Slot& slot, std::uint8_t endpoint, libusb_transfer_cb_fn callback) {
    slot.pump = this;
    slot.buffer.resize(kPiece);
    slot.transfer = libusb_alloc_transfer(0);
    libusb_fill_bulk_transfer(slot.transfer, handle_.get(), endpoint, slot.buffer.data(),
                              static_cast<int>(kPiece), callback, &slot, 0);
  };
  for (Slot& slot : reads_) {
    prepare(slot, handle_.in_endpoint(), &FtdiPump::on_read);
  }
  for (Slot& slot : writes_) {
    prepare(slot, handle_.out_endpoint(), &FtdiPump::on_written);
  }
  thread_ = std::thread{[this] { loop(); }};
}

FtdiPump::~FtdiPump() {
  stopping_ = true;
  notify(wake_);
  thread_.join();
  for (auto* const slots : {&reads_, &writes_}) {
    for (const Slot& slot : *slots) {
      // libusb keeps what it did not give back.
      if (!slot.in_flight) {
        libusb_free_transfer(slot.transfer);
      }
    }
  }
}

Result<void> FtdiPump::run(std::function<Result<void>(FtdiHandle&)> task) {
  std::packaged_task<Result<void>(FtdiHandle&)> packaged{std::move(task)};
  auto outcome = packaged.get_future();
  {
    const std::scoped_lock lock{mutex_};
    if (ended_) {
      return tl::make_unexpected(unplugged("USB"));
    }
    tasks_.push_back(std::move(packaged));
  }
  notify(wake_);
  return outcome.get();
}

LineStatus FtdiPump::status(std::uint64_t written) const {
  const unsigned modem = modem_;
  return {.cts = (modem & kCts) != 0,
          .dsr = (modem & kDsr) != 0,
          .ring = (modem & kRing) != 0,
          .carrier = (modem & kCarrier) != 0,
          .drained = taken_ == written && statuses_ >= kFresh && (line_ & kTransmitterEmpty) != 0,
          .overruns = overruns_,
          .parity_errors = parity_errors_,
          .framing_errors = framing_errors_};
}

void FtdiPump::on_read(libusb_transfer* transfer) {
  auto& slot = *static_cast<Slot*>(transfer->user_data);
  slot.in_flight = false;
  if (transfer->status == LIBUSB_TRANSFER_COMPLETED) {
    slot.pump->take_received(slot);
  } else if (transfer->status != LIBUSB_TRANSFER_CANCELLED) {
    slot.pump->failed_ = true;
  }
}

void FtdiPump::on_written(libusb_transfer* transfer) {
  auto& slot = *static_cast<Slot*>(transfer->user_data);
  slot.in_flight = false;
  const bool whole = transfer->actual_length == transfer->length;
  if (transfer->status != LIBUSB_TRANSFER_CANCELLED &&
      (transfer->status != LIBUSB_TRANSFER_COMPLETED || !whole)) {
    slot.pump->failed_ = true;
  }
  slot.pump->statuses_ = 0;
  slot.pump->taken_ += static_cast<std::uint64_t>(std::max(transfer->actual_length, 0));
}

void FtdiPump::take_received(const Slot& slot) {
  const auto bytes = std::as_bytes(std::span{slot.buffer})
                         .first(static_cast<std::size_t>(slot.transfer->actual_length));
  last_ = split_packets(bytes, handle_.packet_size(), last_,
                        [this](FtdiStatus status, std::span<const std::byte> data) {
                          // The error bits mean something only beside data.
                          overruns_ += (status.line & kOverrun) != 0 ? 1 : 0;
                          parity_errors_ += (status.line & kParityError) != 0 ? 1 : 0;
                          framing_errors_ += (status.line & kFramingError) != 0 ? 1 : 0;
                          backlog_.insert(backlog_.end(), data.begin(), data.end());
                        });
  modem_ = last_.modem;
  line_ = last_.line;
  statuses_ = std::min(statuses_ + 1, kFresh);
}

void FtdiPump::submit_reads() {
  for (Slot& slot : reads_) {
    if (!slot.in_flight && backlog_.size() < kMaxBacklog && !failed_) {
      slot.in_flight = libusb_submit_transfer(slot.transfer) == LIBUSB_SUCCESS;
      failed_ = !slot.in_flight;
    }
  }
}

void FtdiPump::take_writes() {
  for (Slot& slot : writes_) {
    if (slot.in_flight || failed_) {
      continue;
    }
    const ssize_t count =
        ::recv(socket_.get(), slot.buffer.data(), slot.buffer.size(), MSG_DONTWAIT);
    if (count <= 0) {
      break;
    }
    slot.transfer->length = static_cast<int>(count);
    slot.in_flight = libusb_submit_transfer(slot.transfer) == LIBUSB_SUCCESS;
    failed_ = !slot.in_flight;
  }
}

void FtdiPump::flush_backlog() {
  if (backlog_.empty()) {
    return;
  }
  const ssize_t count =
      ::send(socket_.get(), backlog_.data(), backlog_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count > 0) {
    backlog_.erase(backlog_.begin(), backlog_.begin() + count);
  }
}

void FtdiPump::run_tasks() {
  while (true) {
    std::packaged_task<Result<void>(FtdiHandle&)> task;
    {
      const std::scoped_lock lock{mutex_};
      if (tasks_.empty()) {
        return;
      }
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task(handle_);
  }
}

void FtdiPump::wait() {
  std::vector<pollfd> polls = usb_polls_;
  const bool can_write = !std::ranges::all_of(writes_, &Slot::in_flight);
  const auto events =
      static_cast<short>((can_write ? POLLIN : 0) | (backlog_.empty() ? 0 : POLLOUT));
  polls.push_back({.fd = events == 0 ? -1 : socket_.get(), .events = events, .revents = 0});
  polls.push_back({.fd = wake_.get(), .events = POLLIN, .revents = 0});
  ::poll(polls.data(), polls.size(), kWaitMilliseconds);
  if ((polls.back().revents & POLLIN) != 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t read = ::read(wake_.get(), &count, sizeof(count));
  }
  timeval now = {};
  const int code = libusb_handle_events_timeout_completed(handle_.context(), &now, nullptr);
  failed_ = failed_ || code == LIBUSB_ERROR_NO_DEVICE;
}

void FtdiPump::loop() {
  while (!stopping_ && !failed_) {
    submit_reads();
    take_writes();
    wait();
    flush_backlog();
    run_tasks();
  }
  end();
}

void FtdiPump::end() {
  cancel_all();
  socket_.reset();  // The reader sees the end.
  {
    const std::scoped_lock lock{mutex_};
    ended_ = true;
  }
  run_tasks();
}

bool FtdiPump::any_in_flight() const {
  return std::ranges::any_of(reads_, &Slot::in_flight) ||
         std::ranges::any_of(writes_, &Slot::in_flight);
}

void FtdiPump::cancel_all() {
  for (auto* const slots : {&reads_, &writes_}) {
    for (const Slot& slot : *slots) {
      if (slot.in_flight) {
        libusb_cancel_transfer(slot.transfer);
      }
    }
  }
  for (int round = 0; round < kCancelRounds && any_in_flight(); ++round) {
    constexpr suseconds_t kPause = 10'000;
    timeval limit{.tv_sec = 0, .tv_usec = kPause};
    libusb_handle_events_timeout_completed(handle_.context(), &limit, nullptr);
  }
}

}  // namespace sphere::transport
