// SPDX-License-Identifier: MIT
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "libsdk/src/recovery/dfu.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/core/writer.h"
#include "sphere/recovery/crc.h"

namespace sphere::recovery {

namespace {

constexpr std::size_t kSuffix = 16;
constexpr std::uint16_t kAny = 0xFFFF;
constexpr std::string_view kSignature = "UFD";

std::optional<std::uint32_t> take_number(std::string_view& text, int base) {
  std::uint32_t value = 0;
  const char* const start = std::to_address(text.begin());
  const auto [stop, error] = std::from_chars(start, std::to_address(text.end()), value, base);
  if (error != std::errc{}) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<std::size_t>(stop - start));
  return value;
}

bool take_text(std::string_view& text, std::string_view what) {
  if (!text.starts_with(what)) {
    return false;
  }
  text.remove_prefix(what.size());
  return true;
}

std::optional<std::uint32_t> take_unit(std::string_view& text) {
  if (take_text(text, "K")) {
    return 1U << 10U;
  }
  if (take_text(text, "M")) {
    return 1U << 20U;
  }
  return take_text(text, "B") || take_text(text, " ") ? std::optional<std::uint32_t>{1}
                                                      : std::nullopt;
}

// "04*016Kg" at the front of `text`, for pages from `address`, which moves behind them.
Result<void> take_pages(std::string_view& text, std::uint64_t& address,
                        std::vector<DfuPage>& pages) {
  constexpr std::size_t kMost = 65'536;
  constexpr std::uint64_t kEnd = std::uint64_t{1} << 32U;
  const auto count = take_number(text, 10);
  const bool star = take_text(text, "*");
  const auto size = take_number(text, 10);
  const auto unit = take_unit(text);
  const char kind = text.empty() ? '\0' : text.front();
  if (!count || !star || !size || !unit || kind < 'a' || kind > 'g' || *size == 0) {
    return fail(Errc::corrupt, "no DfuSe memory layout");
  }
  text.remove_prefix(1);
  const std::uint64_t bytes = std::uint64_t{*size} * *unit;
  if (*count > kMost - pages.size()) {
    return fail(Errc::too_large, "a DfuSe memory of more than 65,536 pages");
  }
  if (bytes >= kEnd || bytes * *count > kEnd - address) {
    return fail(Errc::corrupt, "a DfuSe memory behind the end of its addresses");
  }
  // a to g are the sums of 1 (can be read), 2 (erased) and 4 (written).
  const bool can_erase = (static_cast<unsigned>(kind - 'a' + 1) & 2U) != 0;
  for (std::uint32_t i = 0; i < *count; ++i) {
    pages.push_back({.address = static_cast<std::uint32_t>(address),
                     .size = static_cast<std::uint32_t>(bytes),
                     .can_erase = can_erase});
    address += bytes;
  }
  return {};
}

}  // namespace

Result<DfuDescriptor> parse_dfu_descriptor(std::span<const std::byte> bytes) {
  constexpr std::uint8_t kLength = 9;
  constexpr std::uint8_t kType = 0x21;
  Reader reader{bytes};
  const auto length = reader.little_endian<std::uint8_t>();
  const auto type = reader.little_endian<std::uint8_t>();
  const auto attributes = reader.little_endian<std::uint8_t>();
  const auto detach = reader.little_endian<std::uint16_t>();
  const auto transfer = reader.little_endian<std::uint16_t>();
  // DFU 1.0 has no version.
  const auto version = reader.little_endian<std::uint16_t>();
  if (!length || !type || !attributes || !detach || !transfer || *length < kLength - 2 ||
      *type != kType || *transfer == 0) {
    return fail(Errc::corrupt, "no DFU descriptor", {.reason = "recovery.no-loader"});
  }
  const auto has = [&](unsigned bit) { return (*attributes & (1U << bit)) != 0; };
  return DfuDescriptor{.can_download = has(0),
                       .can_upload = has(1),
                       .manifestation_tolerant = has(2),
                       .will_detach = has(3),
                       .detach_ms = *detach,
                       .transfer_size = *transfer,
                       .version = version.value_or(0x0100)};
}

Result<std::uint64_t> dfu_content_size(std::span<const std::byte> file, std::uint16_t vendor,
                                       std::uint16_t product) {
  if (file.size() < kSuffix) {
    return file.size();
  }
  Reader reader{file.last(kSuffix)};
  static_cast<void>(reader.little_endian<std::uint16_t>());
  const auto file_product = reader.little_endian<std::uint16_t>().value_or(0);
  const auto file_vendor = reader.little_endian<std::uint16_t>().value_or(0);
  static_cast<void>(reader.little_endian<std::uint16_t>());
  const auto signature = reader.bytes(kSignature.size()).value_or(std::span<const std::byte>{});
  const auto length = reader.little_endian<std::uint8_t>().value_or(0);
  const auto sum = reader.little_endian<std::uint32_t>().value_or(0);
  const void* const text = signature.data();
  if (std::string_view{static_cast<const char*>(text), signature.size()} != kSignature ||
      length < kSuffix || length > file.size()) {
    return file.size();
  }
  if (sum != crc32_dfu(file.first(file.size() - sizeof sum))) {
    return fail(Errc::corrupt, "wrong check sum in the DFU suffix",
                {.reason = "recovery.image-refused"});
  }
  if ((file_vendor != kAny && file_vendor != vendor) ||
      (file_product != kAny && file_product != product)) {
    return fail(Errc::invalid_argument,
                fmt::format("the file is for {:04x}:{:04x}, the board is {:04x}:{:04x}",
                            file_vendor, file_product, vendor, product),
                {.reason = "recovery.image-refused"});
  }
  return file.size() - length;
}

void append_dfu_suffix(std::vector<std::byte>& file, std::uint16_t vendor, std::uint16_t product) {
  Writer writer;
  writer.little_endian(kAny)
      .little_endian(product)
      .little_endian(vendor)
      .little_endian<std::uint16_t>(0x0100)
      .text(kSignature)
      .little_endian(static_cast<std::uint8_t>(kSuffix));
  file.insert(file.end(), writer.data().begin(), writer.data().end());
  Writer sum;
  sum.little_endian(crc32_dfu(file));
  file.insert(file.end(), sum.data().begin(), sum.data().end());
}

Result<std::vector<DfuPage>> parse_dfuse_layout(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (!text.starts_with("@") || slash == std::string_view::npos) {
    return fail(Errc::corrupt, "no DfuSe memory layout",
                {.reason = "recovery.no-loader", .value = escape_control(text)});
  }
  text.remove_prefix(slash);
  std::vector<DfuPage> pages;
  while (take_text(text, "/")) {
    const auto address = take_text(text, "0x") ? take_number(text, 16) : std::nullopt;
    if (!address || !take_text(text, "/")) {
      return fail(Errc::corrupt, "no DfuSe memory layout", {.reason = "recovery.no-loader"});
    }
    std::uint64_t next = *address;
    do {
      SPHERE_TRY(take_pages(text, next, pages));
    } while (take_text(text, ","));
  }
  if (!trim(text).empty()) {
    return fail(Errc::corrupt, "no DfuSe memory layout", {.reason = "recovery.no-loader"});
  }
  return pages;
}

}  // namespace sphere::recovery
