// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <umockdev.h>
#include <vector>

#include "device-agent/virtual-board/ft4232h.h"
#include "sphere/core/descriptor.h"
#include "tests/support/usb-skin/recovery_port.h"

namespace sphere::test {

// A board's USB interface (FT4232H) for every program that runs below umockdev-wrapper with this
// process's environment: connection path 11. Its service port leads to a stream socket, its
// recovery port to a RecoveryPort.
class FakeUsb {
 public:
  // `product`: what the EEPROM says.
  explicit FakeUsb(const std::string& product = "MSFT MT3620 Std Interface");
  // One more on the bus of `first`, which outlives it: connection path 12 for `number` 2.
  FakeUsb(FakeUsb& first, unsigned number);
  FakeUsb(const FakeUsb&) = delete;
  FakeUsb& operator=(const FakeUsb&) = delete;
  FakeUsb(FakeUsb&&) = delete;
  FakeUsb& operator=(FakeUsb&&) = delete;
  ~FakeUsb();

  // The other end of the service UART: a socket that does not block.
  void connect_service(Descriptor socket);
  // The board at the recovery port, which outlives this.
  void connect_recovery(RecoveryPort& port);
  // The board is pulled out: transfers end, the device is gone.
  void unplug();
  // Who may open the device: mode bits of its node.
  void set_mode(unsigned mode);
  // Calls `look` with the model, whose calls come from another thread.
  template <typename Look>
  auto with_chip(Look look) {
    const std::scoped_lock lock{mutex_};
    return look(chip_);
  }

 private:
  struct Urb {
    UMockdevIoctlData* data = nullptr;    // Of the struct usbdevfs_urb.
    UMockdevIoctlData* buffer = nullptr;  // May be null.
  };
  static gboolean on_ioctl(UMockdevIoctlBase* handler, UMockdevIoctlClient* client, gpointer self);
  bool answer(UMockdevIoctlClient* client);
  int submit(UMockdevIoctlData* argument);
  bool reap(UMockdevIoctlData* argument);
  int discard(UMockdevIoctlData* argument);
  int run_control(Urb& urb);
  bool try_finish(Urb& urb);
  void move_service_bytes();
  void move_recovery_bytes();
  void attach(const std::string& record);
  void finish(Urb urb, int status);

  std::mutex mutex_;  // umockdev calls from a thread of its own.
  virtual_board::Ft4232h chip_;
  Descriptor service_;
  RecoveryPort* recovery_ = nullptr;
  std::chrono::microseconds back_at_ = {};  // While it is gone; 0: never.
  std::vector<std::byte> unsent_;
  std::deque<Urb> waiting_;
  std::deque<Urb> done_;
  bool gone_ = false;
  std::string node_ = "/dev/bus/usb/001/002";
  UMockdevTestbed* testbed_;
  UMockdevIoctlBase* handler_;
};

}  // namespace sphere::test
