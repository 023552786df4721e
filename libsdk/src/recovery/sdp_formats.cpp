// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "libsdk/src/recovery/sdp.h"
#include "libsdk/src/recovery/turn.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"

namespace sphere::recovery {

namespace {

constexpr std::size_t kTable = 32;
constexpr std::size_t kWord = 4;
constexpr std::uint32_t kTag = 0x402000D1;         // D1 00 20 40
constexpr std::uint32_t kNewerTag = 0x412000D1;    // D1 00 20 41
constexpr std::uint32_t kFamilyFree = 0x00910000;  // i.MX6 and 8MQ.
constexpr std::size_t kDcdLimit = 1768;            // What the ROM takes.

constexpr auto kChips = std::to_array<SdpChip>({
    {0x15A2, 0x0054, "i.MX6Q", kFamilyFree, false},
    {0x15A2, 0x0061, "i.MX6D", kFamilyFree, false},
    {0x15A2, 0x0063, "i.MX6SL", kFamilyFree, false},
    {0x15A2, 0x0071, "i.MX6SX", kFamilyFree, false},
    {0x15A2, 0x0076, "i.MX7D", 0x00911000, true},
    {0x15A2, 0x007D, "i.MX6UL", kFamilyFree, true},
    {0x15A2, 0x0080, "i.MX6ULL", kFamilyFree, true},
    {0x1FC9, 0x0128, "i.MX6SLL", kFamilyFree, true},
    {0x1FC9, 0x0126, "i.MX7ULP", 0x2F018000, true},
    {0x1FC9, 0x012B, "i.MX8MQ", kFamilyFree, true},
    {0x1FC9, 0x0134, "i.MX8MM", 0, false},
    {0x1FC9, 0x0135, "i.MX RT106x", 0x00001000, true},
});

using Names = std::span<const std::pair<std::uint8_t, std::string_view>>;

constexpr auto kReasons = std::to_array<std::pair<std::uint8_t, std::string_view>>(
    {{0x00, "no reason"},
     {0x03, "unsupported command"},
     {0x05, "invalid image vector table"},
     {0x06, "invalid command"},
     {0x09, "unsuitable state"},
     {0x0A, "unsupported engine"},
     {0x0C, "invalid assertion"},
     {0x0F, "invalid index"},
     {0x11, "invalid CSF"},
     {0x12, "unsupported algorithm"},
     {0x14, "unsupported protocol"},
     {0x17, "invalid data size"},
     {0x18, "invalid signature"},
     {0x1B, "unsupported key or parameters"},
     {0x1D, "invalid key"},
     {0x1E, "failed callback"},
     {0x21, "invalid certificate"},
     {0x22, "invalid address"},
     {0x24, "unsupported configuration item"},
     {0x27, "invalid DCD"},
     {0x28, "call out of sequence"},
     {0x2B, "expired poll count"},
     {0x2D, "exhausted storage region"},
     {0x2E, "memory failure"},
     {0x30, "engine failure"},
     {0x31, "invalid blob"},
     {0x32, "invalid MAC"}});

constexpr auto kContexts =
    std::to_array<std::pair<std::uint8_t, std::string_view>>({{0x0A, "authenticate image"},
                                                              {0x33, "check target"},
                                                              {0xA0, "assert"},
                                                              {0xC0, "CSF or DCD command"},
                                                              {0xCF, "run CSF"},
                                                              {0xDB, "authenticated data block"},
                                                              {0xDD, "run DCD"},
                                                              {0xE1, "entry"},
                                                              {0xEE, "exit"},
                                                              {0xFF, "fab test"}});

std::string name_of(Names names, std::byte byte, std::string_view what) {
  const auto number = std::to_integer<std::uint8_t>(byte);
  const auto found = std::find_if(names.begin(), names.end(),
                                  [&](const auto& name) { return name.first == number; });
  return found == names.end() ? fmt::format("{} {:02X}", what, number) : std::string{found->second};
}

std::optional<std::uint32_t> word_at(std::span<const std::byte> file, std::size_t offset) {
  if (offset > file.size()) {
    return std::nullopt;
  }
  Reader reader{file.subspan(offset)};
  return reader.little_endian<std::uint32_t>();
}

// Offset in the file of an address in the chip; nothing when it is outside.
std::optional<std::size_t> place(std::span<const std::byte> file, std::size_t table,
                                 std::uint32_t self, std::uint32_t address, std::size_t size) {
  const auto offset = static_cast<std::int64_t>(table) + address - self;
  if (offset < 0 || static_cast<std::uint64_t>(offset) > file.size() ||
      size > file.size() - static_cast<std::size_t>(offset)) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(offset);
}

// The table of an i.MX8MQ's HDMI firmware, which stands in front of the one that counts.
bool is_plugin(std::span<const std::byte> file, std::size_t table) {
  const auto boot = word_at(file, table + 4 * kWord);
  const auto self = word_at(file, table + 5 * kWord);
  const auto at = place(file, table, *self, *boot, 3 * kWord);
  constexpr std::uint32_t kFlags = 0xFFFFFFFE;
  return word_at(file, table) == kNewerTag && at && (*word_at(file, *at + 2 * kWord) & kFlags) != 0;
}

tl::unexpected<Error> bad(std::string_view what) {
  return fail(Errc::corrupt, std::string{what},
              {.reason = "recovery.image-refused", .next = "give an image for this chip's ROM"});
}

Result<void> find_dcd(std::span<const std::byte> file, std::uint32_t address, SdpImage& image) {
  const auto at = place(file, image.offset, image.address, address, kWord);
  if (!at || file[*at] != std::byte{0xD2}) {
    return bad("the image's DCD is not where its table says");
  }
  const std::size_t size = std::to_integer<std::size_t>(file[*at + 1]) << 8U |
                           std::to_integer<std::size_t>(file[*at + 2]);
  if (size < kWord || size > kDcdLimit || size > file.size() - *at) {
    return bad(fmt::format("the image's DCD has {} bytes", size));
  }
  image.dcd_offset = *at;
  image.dcd_size = size;
  return {};
}

}  // namespace

std::span<const SdpChip> sdp_chips() { return kChips; }

const SdpChip* find_sdp_chip(std::uint16_t vendor, std::uint16_t product) {
  const auto* const chip = std::find_if(kChips.begin(), kChips.end(), [&](const SdpChip& known) {
    return known.vendor == vendor && known.product == product;
  });
  return chip == kChips.end() ? nullptr : chip;
}

Result<SdpImage> parse_sdp_image(std::span<const std::byte> file) {
  for (std::size_t at = 0; at + kTable <= file.size(); at += kWord) {
    const auto tag = word_at(file, at);
    if ((tag != kTag && tag != kNewerTag) || is_plugin(file, at)) {
      continue;
    }
    SdpImage image{.offset = at, .address = *word_at(file, at + 5 * kWord)};
    if (image.address > std::numeric_limits<std::uint32_t>::max() - (file.size() - at)) {
      return bad("the image ends behind the chip's last address");
    }
    if (const auto dcd = *word_at(file, at + 3 * kWord); dcd != 0) {
      SPHERE_TRY(find_dcd(file, dcd, image));
    }
    return image;
  }
  return bad("the file has no image vector table");
}

std::string hab_text(std::span<const std::byte> word) {
  if (word.size() < kWord) {
    return "no answer";
  }
  std::string_view status = "unknown status";
  switch (std::to_integer<unsigned>(word[0])) {
    case 0xF0:
      status = "success";
      break;
    case 0x69:
      status = "warning";
      break;
    case 0x33:
      status = "refused";
      break;
    default:
      return "it answers " + show_bytes(word.first(kWord));
  }
  return fmt::format("{}: {} ({})", status, name_of(kReasons, word[1], "reason"),
                     name_of(kContexts, word[2], "context"));
}

}  // namespace sphere::recovery
