// SPDX-License-Identifier: MIT
#include "sphere/recovery/carrier.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/table.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/place.h"
#include "sphere/transport/usb.h"
#include "sphere/transport/usb_pipes.h"

namespace sphere::recovery {

namespace {

constexpr transport::LineSettings kFirstLine = {
    .baud = 115200, .flow = transport::FlowControl::none, .event_character = std::byte{0}};

// An error of opening, with the rule that would permit it.
Error with_rule(Error error, std::uint16_t vendor, std::uint16_t product) {
  if (error.code() != Errc::permission) {
    return error;
  }
  const std::string value = error.hint().value;
  return std::move(error).with_hint(
      {.reason = "link.permission",
       .value = value,
       .next = fmt::format("sudo sphere doctor --install-udev; the rule for this board alone: {}",
                           udev_rule(vendor, product))});
}

class FtdiCarrier final : public Carrier {
 public:
  FtdiCarrier(std::string location, bool manual)
      : location_{std::move(location)}, manual_{manual} {}

  [[nodiscard]] Result<void> open() override {
    stream_.reset();
    auto stream = transport::open_ftdi(location_, transport::FtdiPort::recovery, kFirstLine);
    if (!stream) {
      return tl::make_unexpected(
          with_rule(std::move(stream).error(), transport::kBoardVendor, transport::kBoardProduct));
    }
    stream_ = *std::move(stream);
    return {};
  }
  void close() override { stream_.reset(); }
  [[nodiscard]] transport::ByteStream* stream() override { return stream_.get(); }
  [[nodiscard]] const Attached& attached() const override { return attached_; }
  // The pins are the port's own: the UART is closed meanwhile.
  [[nodiscard]] Result<bool> run_lines(std::span<const transport::LineStep> steps) override {
    if (manual_) {
      return false;
    }
    stream_.reset();
    const auto ran = transport::run_lines(location_, steps);
    SPHERE_TRY(open());
    SPHERE_TRY(ran);
    return true;
  }

 private:
  std::string location_;
  bool manual_;
  Attached attached_;
  std::unique_ptr<transport::ByteStream> stream_;
};

class StreamCarrier final : public Carrier {
 public:
  StreamCarrier(OpenStream open_stream, bool is_tcp) : open_{std::move(open_stream)} {
    attached_.is_tcp = is_tcp;
  }

  [[nodiscard]] Result<void> open() override {
    stream_.reset();
    SPHERE_TRY_ASSIGN(stream_, open_());
    return {};
  }
  void close() override { stream_.reset(); }
  [[nodiscard]] transport::ByteStream* stream() override { return stream_.get(); }
  [[nodiscard]] const Attached& attached() const override { return attached_; }

 private:
  OpenStream open_;
  Attached attached_;
  std::unique_ptr<transport::ByteStream> stream_;
};

class UsbCarrier final : public Carrier {
 public:
  UsbCarrier(std::string location, const Protocol& protocol, std::uint8_t alternate)
      : location_{std::move(location)}, protocol_{&protocol}, alternate_{alternate} {}

  [[nodiscard]] Result<void> open() override;
  void close() override { pipes_.reset(); }
  [[nodiscard]] transport::UsbPipes* pipes() override { return pipes_.get(); }
  [[nodiscard]] const Attached& attached() const override { return attached_; }
  [[nodiscard]] bool come_back(const ExpectReenumeration& expected) override;

 private:
  [[nodiscard]] Result<transport::UsbDeviceInfo> find() const;
  // Null: no row of the protocol fits.
  [[nodiscard]] const transport::UsbInterfaceInfo* interface_of(
      const transport::UsbDeviceInfo& device) const;

  std::string location_;
  const Protocol* protocol_;
  std::uint8_t alternate_;
  Attached attached_;
  std::unique_ptr<transport::UsbPipes> pipes_;
};

Result<transport::UsbDeviceInfo> UsbCarrier::find() const {
  SPHERE_TRY_ASSIGN(auto devices, transport::list_usb_devices());
  const auto found = std::ranges::find(devices, location_, &transport::UsbDeviceInfo::location);
  if (found == devices.end()) {
    return fail(Errc::not_found,
                fmt::format("there is no board at USB port {}",
                            transport::connection_path(
                                {.kind = transport::PlaceKind::usb, .target = location_})),
                {.reason = "link.no-board", .value = location_, .next = "plug the board in"});
  }
  return std::move(*found);
}

const transport::UsbInterfaceInfo* UsbCarrier::interface_of(
    const transport::UsbDeviceInfo& device) const {
  for (const std::uint8_t alternate : {alternate_, std::uint8_t{0}}) {
    for (const UsbMatch& row : protocol_->usb) {
      if (const auto* const interface = match_usb(row, device, alternate)) {
        return interface;
      }
    }
  }
  return nullptr;
}

Result<void> UsbCarrier::open() {
  pipes_.reset();
  SPHERE_TRY_ASSIGN(const auto device, find());
  const auto* const interface = interface_of(device);
  if (interface == nullptr) {
    return fail(Errc::unsupported,
                fmt::format("the device {:04x}:{:04x} at {} does not speak {}", device.vendor,
                            device.product, location_, protocol_->id),
                {.reason = "link.no-board",
                 .value = location_,
                 .next = "put the board into its recovery mode"});
  }
  SPHERE_TRY_ASSIGN(pipes_,
                    transport::UsbPipes::open(location_, interface->number, interface->alternate));
  attached_ = {.is_tcp = false,
               .usb = pipes_->device(),
               .interface = pipes_->interface(),
               .interface_text = pipes_->text(interface->text_index)};
  return {};
}

bool UsbCarrier::come_back(const ExpectReenumeration& expected) {
  const auto device = find();
  if (!device || (expected.vendor && device->vendor != *expected.vendor) ||
      (expected.product && device->product != *expected.product)) {
    return false;
  }
  // One that goes by itself may not have gone yet.
  const bool is_old = device->address == attached_.usb.address &&
                      device->vendor == attached_.usb.vendor &&
                      device->product == attached_.usb.product && !expected.reset;
  return !is_old && interface_of(*device) != nullptr && open().has_value();
}

}  // namespace

Result<bool> Carrier::run_lines(std::span<const transport::LineStep> /*steps*/) { return false; }

bool Carrier::come_back(const ExpectReenumeration& /*expected*/) { return open().has_value(); }

std::unique_ptr<Carrier> make_ftdi_carrier(std::string location, bool manual) {
  return std::make_unique<FtdiCarrier>(std::move(location), manual);
}

std::unique_ptr<Carrier> make_usb_carrier(std::string location, const Protocol& protocol,
                                          std::uint8_t alternate) {
  return std::make_unique<UsbCarrier>(std::move(location), protocol, alternate);
}

std::unique_ptr<Carrier> make_stream_carrier(OpenStream open, bool is_tcp) {
  return std::make_unique<StreamCarrier>(std::move(open), is_tcp);
}

}  // namespace sphere::recovery
