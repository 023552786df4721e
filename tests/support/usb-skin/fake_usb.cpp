// SPDX-License-Identifier: MIT
#include "tests/support/usb-skin/fake_usb.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <glib-object.h>
#include <linux/usbdevice_fs.h>
#include <span>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <umockdev.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace sphere::test {

namespace {

constexpr std::size_t kServicePort = 2;
constexpr std::size_t kSetup = 8;

std::string hexadecimal(std::span<const unsigned> bytes) {
  std::string text;
  for (const unsigned byte : bytes) {
    text += fmt::format("{:02X}", byte);
  }
  return text;
}

// Device descriptor, one configuration with four vendor interfaces of two bulk pipes each.
std::string descriptors() {
  std::vector<unsigned> bytes = {0x12, 1,    0,    2,    0, 0, 0, 0x40, 0x03,
                                 0x04, 0x11, 0x60, 0x00, 8, 1, 2, 3,    1};
  const std::array<unsigned, 9> configuration = {9, 2, 9 + 4 * 23, 0, 4, 1, 0, 0x80, 0xFA};
  bytes.insert(bytes.end(), configuration.begin(), configuration.end());
  for (unsigned port = 0; port < 4; ++port) {
    const std::array<unsigned, 23> interface = {9,    4,    port,
                                                0,    2,    0xFF,
                                                0xFF, 0xFF, 2,  // Interface.
                                                7,    5,    0x81 + 2 * port,
                                                2,    0,    2,
                                                0,  // IN, 512 bytes.
                                                7,    5,    0x02 + 2 * port,
                                                2,    0,    2,
                                                0};  // OUT, 512 bytes.
    bytes.insert(bytes.end(), interface.begin(), interface.end());
  }
  return hexadecimal(bytes);
}

std::string hub_record() {
  return "P: /devices/usb1\nN: bus/usb/001/001\nE: DEVNAME=/dev/bus/usb/001/001\n"
         "E: DEVTYPE=usb_device\nE: BUSNUM=001\nE: DEVNUM=001\nE: SUBSYSTEM=usb\nE: MAJOR=189\n"
         "E: MINOR=0\nA: bConfigurationValue=1\\n\nA: busnum=1\\n\nA: devnum=1\\n\n"
         "A: speed=480\\n\nA: devpath=0\\n\nA: idVendor=1d6b\\n\nA: idProduct=0002\\n\n"
         "A: bNumConfigurations=1\\n\n"
         "H: descriptors=12010002090001406B1D020004060302010109021900010100E000"
         "0904000001090000000705810304000C\n\n";
}

std::string record(const std::string& product, unsigned number) {
  return fmt::format(
      "P: /devices/usb1/1-{2}\nN: bus/usb/001/00{3}\nE: DEVNAME=/dev/bus/usb/001/00{3}\n"
      "E: DEVTYPE=usb_device\nE: DRIVER=usb\nE: BUSNUM=001\nE: DEVNUM=00{3}\nE: SUBSYSTEM=usb\n"
      "E: MAJOR=189\nE: MINOR={2}\nE: PRODUCT=403/6011/800\nA: bConfigurationValue=1\\n\n"
      "A: busnum=1\\n\nA: devnum={3}\\n\nA: devpath={2}\\n\nA: speed=480\\n\n"
      "A: version= 2.00\\n\n"
      "A: bNumConfigurations=1\\n\nA: idVendor=0403\\n\nA: idProduct=6011\\n\n"
      "A: manufacturer=Microsoft\\n\nA: product={0}\\n\nA: serial=AS00000{2}\\n\n"
      "H: descriptors={1}\n",
      product, descriptors(), number, number + 1);
}

usbdevfs_urb& fields(UMockdevIoctlData* data) {
  void* const bytes = data->data;
  return *static_cast<usbdevfs_urb*>(bytes);
}

std::uintptr_t pointer_in(const UMockdevIoctlData* argument) {
  std::uintptr_t pointer = 0;
  std::memcpy(&pointer, argument->data, sizeof(pointer));
  return pointer;
}

std::span<std::byte> bytes_of(const UMockdevIoctlData* data) {
  void* const bytes = data->data;
  return {static_cast<std::byte*>(bytes), static_cast<std::size_t>(data->data_len)};
}

}  // namespace

FakeUsb::FakeUsb(const std::string& product)
    : testbed_{umockdev_testbed_new()}, handler_{umockdev_ioctl_base_new()} {
  attach(hub_record() + record(product, 1));
}

FakeUsb::FakeUsb(FakeUsb& first, unsigned number)
    : node_{fmt::format("/dev/bus/usb/001/00{}", number + 1)},
      testbed_{static_cast<UMockdevTestbed*>(g_object_ref(first.testbed_))},
      handler_{umockdev_ioctl_base_new()} {
  attach(record("MSFT MT3620 Std Interface", number));
}

void FakeUsb::attach(const std::string& record) {
  GError* error = nullptr;
  g_signal_connect(handler_, "handle-ioctl", G_CALLBACK(&FakeUsb::on_ioctl), this);
  if (!umockdev_testbed_add_from_string(testbed_, record.c_str(), &error) ||
      !umockdev_testbed_attach_ioctl(testbed_, node_.c_str(), handler_, &error)) {
    g_error("umockdev: %s", error->message);
  }
}

FakeUsb::~FakeUsb() {
  umockdev_testbed_detach_ioctl(testbed_, node_.c_str(), nullptr);
  g_object_unref(handler_);
  g_object_unref(testbed_);
}

void FakeUsb::connect_recovery(RecoveryPort& port) {
  const std::scoped_lock lock{mutex_};
  recovery_ = &port;
}

void FakeUsb::set_mode(unsigned mode) {
  gchar* const root = umockdev_testbed_get_root_dir(testbed_);
  const std::string place = root + node_;
  g_free(root);
  if (::chmod(place.c_str(), mode) != 0) {
    g_error("chmod %s", place.c_str());
  }
}

void FakeUsb::connect_service(Descriptor socket) {
  const std::scoped_lock lock{mutex_};
  service_ = std::move(socket);
}

void FakeUsb::unplug() {
  const std::scoped_lock lock{mutex_};
  gone_ = true;
}

gboolean FakeUsb::on_ioctl(UMockdevIoctlBase* /*handler*/, UMockdevIoctlClient* client,
                           gpointer self) {
  return static_cast<FakeUsb*>(self)->answer(client) ? TRUE : FALSE;
}

bool FakeUsb::answer(UMockdevIoctlClient* client) {
  const std::scoped_lock lock{mutex_};
  move_recovery_bytes();
  UMockdevIoctlData* const argument = umockdev_ioctl_client_get_arg(client);
  int number = 0;
  switch (umockdev_ioctl_client_get_request(client)) {
    case USBDEVFS_GET_CAPABILITIES: {
      UMockdevIoctlData* const value =
          umockdev_ioctl_data_resolve(argument, 0, sizeof(std::uint32_t), nullptr);
      const std::uint32_t capabilities = USBDEVFS_CAP_BULK_CONTINUATION | USBDEVFS_CAP_ZERO_PACKET |
                                         USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
                                         USBDEVFS_CAP_REAP_AFTER_DISCONNECT;
      std::memcpy(value->data, &capabilities, sizeof(capabilities));
      g_object_unref(value);
      break;
    }
    case USBDEVFS_CLAIMINTERFACE:
    case USBDEVFS_RELEASEINTERFACE:
    case USBDEVFS_CLEAR_HALT:
    case USBDEVFS_RESET:
    case USBDEVFS_RESETEP:
    case USBDEVFS_SETCONFIGURATION:
    case USBDEVFS_SETINTERFACE:
    case USBDEVFS_DISCONNECT_CLAIM:
      number = gone_ ? ENODEV : 0;
      break;
    case USBDEVFS_GETDRIVER:
    case USBDEVFS_IOCTL:
      number = ENODATA;
      break;
    case USBDEVFS_SUBMITURB:
      number = submit(argument);
      break;
    case USBDEVFS_REAPURB:
    case USBDEVFS_REAPURBNDELAY:
      number = reap(argument) ? 0 : gone_ ? ENODEV : EAGAIN;
      break;
    case USBDEVFS_DISCARDURB:
      number = discard(argument);
      break;
    default:
      number = ENOTTY;
      break;
  }
  umockdev_ioctl_client_complete(client, number == 0 ? 0 : -1, number);
  return true;
}

int FakeUsb::submit(UMockdevIoctlData* argument) {
  if (gone_) {
    return ENODEV;
  }
  Urb urb{.data = umockdev_ioctl_data_resolve(argument, 0, sizeof(usbdevfs_urb), nullptr)};
  const usbdevfs_urb& request = fields(urb.data);
  if (request.buffer_length > 0) {
    urb.buffer = umockdev_ioctl_data_resolve(urb.data, offsetof(usbdevfs_urb, buffer),
                                             static_cast<gsize>(request.buffer_length), nullptr);
  }
  if (request.type == USBDEVFS_URB_TYPE_CONTROL) {
    const int status = run_control(urb);
    finish(urb, status);
  } else {
    waiting_.push_back(urb);
  }
  return 0;
}

int FakeUsb::run_control(Urb& urb) {
  const auto setup = bytes_of(urb.buffer);
  const auto byte = [&](std::size_t at) { return std::to_integer<unsigned>(setup[at]); };
  fields(urb.data).actual_length = 0;
  const bool vendor_out = setup.size() >= kSetup && byte(0) == 0x40;
  const bool taken =
      vendor_out && chip_.request(static_cast<std::uint8_t>(byte(1)),
                                  static_cast<std::uint16_t>(byte(2) | byte(3) << 8U),
                                  static_cast<std::uint16_t>(byte(4) | byte(5) << 8U));
  return taken ? 0 : -EPIPE;
}

void FakeUsb::finish(Urb urb, int status) {
  fields(urb.data).status = status;
  done_.push_back(urb);
}

// Bytes between the chip's service port and the board.
void FakeUsb::move_service_bytes() {
  if (!service_) {
    return;
  }
  std::array<std::byte, 4096> piece = {};
  // As flow control has it: no more than the chip keeps.
  constexpr std::size_t kFull = 4096;
  if (chip_.port(kServicePort).to_host.size() < kFull) {
    const ssize_t count = ::recv(service_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (count > 0) {
      chip_.receive(kServicePort, std::span{piece}.first(static_cast<std::size_t>(count)));
    }
  }
  const auto sent = chip_.take_sent(kServicePort);
  unsent_.insert(unsent_.end(), sent.begin(), sent.end());
  if (!unsent_.empty()) {
    const ssize_t count =
        ::send(service_.get(), unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    unsent_.erase(unsent_.begin(), unsent_.begin() + (count > 0 ? count : 0));
  }
}

void FakeUsb::move_recovery_bytes() {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
  if (gone_ && back_at_.count() != 0 && now >= back_at_) {
    gone_ = false;
    chip_ = {};
    recovery_->plug_in();
  }
  if (recovery_ == nullptr || gone_) {
    return;
  }
  if (const auto away = recovery_->move(chip_, now)) {
    gone_ = true;
    back_at_ = *away == RecoveryPort::Time::max() ? std::chrono::microseconds{0} : now + *away;
  }
}

// Whether a bulk transfer is over.
bool FakeUsb::try_finish(Urb& urb) {
  usbdevfs_urb& request = fields(urb.data);
  const std::size_t port = ((request.endpoint & 0x7FU) - 1U) / 2;
  if (gone_) {
    finish(urb, -ENODEV);
    return true;
  }
  if ((request.endpoint & 0x80U) == 0) {
    constexpr std::size_t kFull = 8192;
    if (unsent_.size() > kFull) {
      return false;  // The board holds CTS back.
    }
    chip_.write(port, bytes_of(urb.buffer));
    request.actual_length = request.buffer_length;
    finish(urb, 0);
    return true;
  }
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto bytes = chip_.read(port, static_cast<std::size_t>(request.buffer_length), now);
  if (!bytes) {
    return false;
  }
  std::memcpy(urb.buffer->data, bytes->data(), bytes->size());
  request.actual_length = static_cast<int>(bytes->size());
  finish(urb, 0);
  return true;
}

bool FakeUsb::reap(UMockdevIoctlData* argument) {
  move_service_bytes();
  move_recovery_bytes();
  for (auto urb = waiting_.begin(); urb != waiting_.end();) {
    urb = try_finish(*urb) ? waiting_.erase(urb) : std::next(urb);
  }
  move_service_bytes();
  move_recovery_bytes();
  if (done_.empty()) {
    return false;
  }
  const Urb urb = done_.front();
  done_.pop_front();
  UMockdevIoctlData* const place = umockdev_ioctl_data_resolve(argument, 0, sizeof(void*), nullptr);
  umockdev_ioctl_data_set_ptr(place, 0, urb.data);
  g_object_unref(place);
  g_object_unref(urb.data);
  if (urb.buffer != nullptr) {
    g_object_unref(urb.buffer);
  }
  return true;
}

int FakeUsb::discard(UMockdevIoctlData* argument) {
  const auto address = pointer_in(argument);
  for (auto urb = waiting_.begin(); urb != waiting_.end(); ++urb) {
    if (urb->data->client_addr == address) {
      const Urb found = *urb;
      waiting_.erase(urb);
      fields(found.data).actual_length = 0;
      finish(found, -ENOENT);
      return 0;
    }
  }
  return EINVAL;
}

}  // namespace sphere::test
