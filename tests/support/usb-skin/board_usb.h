// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <umockdev.h>
#include <vector>

#include "device-agent/virtual-board/recovery/device_side.h"

namespace sphere::test {

// What a board says of itself on USB.
struct UsbIdentity {
  std::uint16_t vendor = 0;
  std::uint16_t product = 0;
  std::vector<std::byte> configuration;  // Interface, class and endpoint descriptors.
  std::vector<std::string> strings;      // From number 1: manufacturer, product, serial, others.
  std::vector<std::byte> report_descriptor = {};  // Of a HID device: reports are its ReportOut.
};

// A device side as a USB device for every program that runs below umockdev-wrapper with this
// process's environment: bulk and interrupt OUT are its Received, control transfers of class and
// vendor its ControlRequest, each of its Sends is one transfer on the IN endpoint. What a HID
// device gets by SET_REPORT or interrupt OUT is its ReportOut.
class BoardUsb {
 public:
  BoardUsb(virtual_board::DeviceSide& device, UsbIdentity identity);
  BoardUsb(const BoardUsb&) = delete;
  BoardUsb& operator=(const BoardUsb&) = delete;
  BoardUsb(BoardUsb&&) = delete;
  BoardUsb& operator=(BoardUsb&&) = delete;
  ~BoardUsb();

  [[nodiscard]] unsigned boots();

 private:
  struct Urb {
    UMockdevIoctlData* data = nullptr;    // Of the struct usbdevfs_urb.
    UMockdevIoctlData* buffer = nullptr;  // May be null.
  };
  static gboolean on_ioctl(UMockdevIoctlBase* handler, UMockdevIoctlClient* client, gpointer self);
  void answer(UMockdevIoctlClient* client);
  [[nodiscard]] int run(unsigned long request, UMockdevIoctlData* argument, int& result);
  [[nodiscard]] int submit(UMockdevIoctlData* argument);
  [[nodiscard]] bool reap(UMockdevIoctlData* argument);
  [[nodiscard]] int discard(UMockdevIoctlData* argument);
  [[nodiscard]] int bulk(UMockdevIoctlData* argument, int& result);
  [[nodiscard]] int control(Urb& urb);
  void take_out(std::span<const std::byte> bytes);
  [[nodiscard]] std::optional<std::vector<std::byte>> class_request(
      std::span<const std::byte> setup, std::span<const std::byte> data);
  [[nodiscard]] std::optional<std::vector<std::byte>> standard_request(
      std::span<const std::byte> setup) const;
  void finish_waiting();
  void finish(Urb urb, int status, std::size_t length);
  [[nodiscard]] std::size_t take_in(std::span<std::byte> into);
  void give(const virtual_board::device::Input& input);
  void fire_timer();

  std::mutex mutex_;  // umockdev calls from a thread of its own.
  virtual_board::DeviceSide* device_;
  UsbIdentity identity_;
  std::deque<std::vector<std::byte>> in_;
  std::optional<virtual_board::device::ControlAnswer> answer_;
  std::optional<recovery::Time> deadline_;
  unsigned boots_ = 0;
  std::deque<Urb> waiting_;
  std::deque<Urb> done_;
  UMockdevTestbed* testbed_;
  UMockdevIoctlBase* handler_;
};

}  // namespace sphere::test
