// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <poll.h>
#include <span>
#include <thread>
#include <vector>

#include <libusb-1.0/libusb.h>

#include "libsdk/src/transport/ftdi_requests.h"
#include "libsdk/src/transport/usb_handle.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::transport {

// Moves bytes between the USB pipes of one port and a socket. Its thread alone calls libusb for
// this device. Shared between threads: tasks_ (under mutex_) and the atomics.
class FtdiPump {
 public:
  // `socket` is closed when the device is gone.
  FtdiPump(FtdiHandle handle, Descriptor socket, Descriptor wake);
  FtdiPump(const FtdiPump&) = delete;
  FtdiPump& operator=(const FtdiPump&) = delete;
  FtdiPump(FtdiPump&&) = delete;
  FtdiPump& operator=(FtdiPump&&) = delete;
  ~FtdiPump();

  // Runs `task` on the thread and waits for it. Errors: those of the task; unavailable when the
  // device is gone.
  [[nodiscard]] Result<void> run(std::function<Result<void>(FtdiHandle&)> task);
  // `written`: bytes put into the socket so far. Drained is only what the device has taken all of,
  // and has told of an empty transmitter since.
  [[nodiscard]] LineStatus status(std::uint64_t written) const;

 private:
  // Bytes in flight in one direction: 4 reads of 4 KiB wait at any time; 2 writes are 8 KiB at
  // most ahead of the wire, so that a short request does not wait long.
  struct Slot {
    FtdiPump* pump = nullptr;
    libusb_transfer* transfer = nullptr;
    std::vector<unsigned char> buffer;
    bool in_flight = false;
  };
  static constexpr std::size_t kReads = 4;
  static constexpr std::size_t kWrites = 2;
  static constexpr std::size_t kPiece = 4096;
  static constexpr unsigned kFresh = 2;
  static constexpr std::size_t kMaxBacklog = 65536;  // Of a slow reader.

  void loop();
  void wait();
  void run_tasks();
  void submit_reads();
  void take_writes();
  void flush_backlog();
  void take_received(const Slot& slot);
  void cancel_all();
  void end();
  [[nodiscard]] bool any_in_flight() const;
  static void on_read(libusb_transfer* transfer);
  static void on_written(libusb_transfer* transfer);

  FtdiHandle handle_;
  Descriptor socket_;
  Descriptor wake_;
  std::vector<Slot> reads_;
  std::vector<Slot> writes_;
  std::vector<pollfd> usb_polls_;
  std::vector<std::byte> backlog_;
  FtdiStatus last_;
  bool failed_ = false;

  std::mutex mutex_;
  std::deque<std::packaged_task<Result<void>(FtdiHandle&)>> tasks_;
  bool ended_ = false;  // No task is taken any more.
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint8_t> modem_ = 0;
  std::atomic<std::uint8_t> line_ = 0;
  std::atomic<std::uint64_t> taken_ = 0;  // Bytes that the device has taken.
  // Transfers in since the last of them; the first may have been on its way already.
  std::atomic<unsigned> statuses_ = kFresh;
  std::atomic<std::uint64_t> overruns_ = 0;
  std::atomic<std::uint64_t> parity_errors_ = 0;
  std::atomic<std::uint64_t> framing_errors_ = 0;
  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace sphere::transport
