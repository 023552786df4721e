// SPDX-License-Identifier: MIT
#include "sphere/recovery/v2_messages.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "sphere/core/reader.h"
#include "sphere/core/writer.h"
#include "sphere/recovery/cobs.h"
#include "sphere/recovery/crc.h"

namespace sphere::recovery::v2 {

namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

void append_message(Type type, std::span<const std::byte> data, std::vector<std::byte>& wire) {
  Writer frame;
  frame.little_endian(static_cast<std::uint16_t>(4 + data.size()))
      .little_endian(static_cast<std::uint16_t>(type))
      .little_endian(static_cast<std::uint16_t>(data.size()))
      .bytes(data);
  frame.little_endian(crc16_xmodem(frame.data()));
  append_cobs(frame.data(), wire);
}

std::optional<Message> parse_message(std::span<const std::byte> frame) {
  Reader reader{frame};
  const auto length = reader.little_endian<std::uint16_t>();
  const auto payload = length ? reader.bytes(*length) : std::nullopt;
  const auto crc = payload ? reader.little_endian<std::uint16_t>() : std::nullopt;
  if (!crc || reader.left() != 0 || *crc != crc16_xmodem(frame.first(frame.size() - 2))) {
    return std::nullopt;
  }
  Reader inside{*payload};
  const auto type = inside.little_endian<std::uint16_t>();
  const auto size = type ? inside.little_endian<std::uint16_t>() : std::nullopt;
  const auto data = size ? inside.bytes(*size) : std::nullopt;
  if (!data || inside.left() != 0) {
    return std::nullopt;
  }
  return Message{.type = *type, .data = *data};
}

std::optional<FileRequest> parse_file_request(std::span<const std::byte> data, bool with_name) {
  Reader reader{data};
  const auto offset = reader.little_endian<std::uint32_t>();
  const auto most = offset ? reader.little_endian<std::uint32_t>() : std::nullopt;
  if (!most) {
    return std::nullopt;
  }
  FileRequest request{.offset = *offset, .most = *most};
  if (!with_name) {
    return reader.left() == 0 ? std::optional{request} : std::nullopt;
  }
  const auto rest = reader.bytes(reader.left());
  if (!rest || rest->empty() || rest->back() != std::byte{0}) {
    return std::nullopt;
  }
  request.name = text_of(rest->first(rest->size() - 1));
  return is_file_name(request.name) ? std::optional{request} : std::nullopt;
}

void append_file_request(const FileRequest& request, std::vector<std::byte>& wire) {
  Writer data;
  data.little_endian(request.offset).little_endian(request.most).text(request.name).zeros(1);
  append_message(Type::image_request_by_filename, data.data(), wire);
}

std::optional<FileAnswer> parse_file_answer(std::span<const std::byte> data) {
  Reader reader{data};
  const auto offset = reader.little_endian<std::uint32_t>();
  const auto length = offset ? reader.little_endian<std::uint32_t>() : std::nullopt;
  const auto size = length ? reader.little_endian<std::uint32_t>() : std::nullopt;
  if (!size || reader.left() != 0) {
    return std::nullopt;
  }
  return FileAnswer{.offset = *offset, .length = *length, .size = *size};
}

void append_file_answer(const FileAnswer& answer, std::vector<std::byte>& wire) {
  Writer data;
  data.little_endian(answer.offset).little_endian(answer.length).little_endian(answer.size);
  append_message(Type::image_request_ack, data.data(), wire);
}

}  // namespace sphere::recovery::v2
