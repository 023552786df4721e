// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::recovery {

// The XML of Firehose, as both of its sides read it: elements, attributes, comments, an XML
// declaration and the five entities of XML. There are no document types, no name spaces, no text
// between elements but white space. At most 64 KiB, a depth of 4, and 64 attributes an element.
inline constexpr std::size_t kXmlLimit = std::size_t{64} * 1024;

struct XmlElement {
  std::string name = {};
  std::vector<std::pair<std::string, std::string>> attributes = {};
  unsigned depth = 0;  // 1: the root.

  // Null: it has none of that name.
  [[nodiscard]] const std::string* find(std::string_view attribute) const;
};

// All elements in the order of their start. Errors: corrupt, too_large.
[[nodiscard]] Result<std::vector<XmlElement>> parse_firehose_xml(std::string_view text);

// Length of the document at the front of a stream, through its "</data>". Nothing: more is needed.
[[nodiscard]] std::optional<std::size_t> firehose_document_size(std::span<const std::byte> bytes);

// A document with one element in <data>. Values are escaped.
[[nodiscard]] std::string firehose_document(
    std::string_view element, std::span<const std::pair<std::string_view, std::string>> attributes);

}  // namespace sphere::recovery
