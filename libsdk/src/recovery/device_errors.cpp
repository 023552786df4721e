// SPDX-License-Identifier: MIT
#include "sphere/recovery/device_errors.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace sphere::recovery {

namespace {

constexpr std::string_view kCheckSet = "get the recovery set of this board anew and run again";
constexpr std::string_view kCheckKey =
    "use a recovery set signed with a key that this board trusts";
constexpr std::string_view kCheckLine = "check cable and hub, then run again";
constexpr std::string_view kAgain = "reset the board and run again";
constexpr std::string_view kFlash =
    "run again; if it fails at the same place, the flash is worn out";
constexpr std::string_view kPower = "connect the board's own supply and run again";

constexpr auto kErrors = std::to_array<DeviceError>({
    {kRecoveryCategory, 1, "BadImageManifestFormat",
     "the recovery manifest does not follow its format", kCheckSet},
    {kRecoveryCategory, 2, "BadImage", "an image does not follow its format", kCheckSet},
    {kRecoveryCategory, 3, "UnsupportedVersion",
     "the manifest has a version that the board does not know", kCheckSet},
    {kRecoveryCategory, 4, "UntrustedCertificate",
     "an image is signed with a key that the board does not trust", kCheckKey},
    {kRecoveryCategory, 5, "BadSignature", "a signature does not match its file", kCheckSet},
    {kRecoveryCategory, 6, "BadComponentUid",
     "an image has a component id other than the manifest says", kCheckSet},
    {kRecoveryCategory, 7, "BadImageUid", "an image has an id other than the manifest says",
     kCheckSet},
    {kRecoveryCategory, 8, "BadImageFileSize", "an image has a size other than the manifest says",
     kCheckSet},
    {kRecoveryCategory, 9, "BadImageType", "an image has a type that may not be there", kCheckSet},
    {kRecoveryCategory, 10, "ReceiveBufferTooSmall",
     "a file does not fit into the memory of the board's loader", kCheckSet},
    {kRecoveryCategory, 11, "TooManyImages", "the manifest names more images than the board takes",
     kCheckSet},
    {kRecoveryCategory, 12, "StreamSyncFailed",
     "the board lost the line after the change of its speed", kCheckLine},
    {kRecoveryCategory, 13, "UnsupportedProtocolVersion",
     "the board speaks another version of the protocol", kCheckSet},
    {kRecoveryCategory, 14, "UnsupportedRecoveryMode",
     "the board does not know this kind of recovery", kCheckSet},
    {kRecoveryCategory, 50, "GetServerResponseTimedOut",
     "the board waited in vain for an answer of this computer", kCheckLine},
    {kRecoveryCategory, 51, "InvalidServerResponse",
     "the board got an answer that it does not understand", kCheckLine},
    {kRecoveryCategory, 52, "SendRequestPacketFailed", "the board could not send a request",
     kCheckLine},
    {kRecoveryCategory, 100, "GenericRecoveryError", "the board gives no reason", kAgain},
    {kRecoveryCategory, 101, "FlashWriteFailed", "the flash did not take what was written", kFlash},
    {kRecoveryCategory, 102, "ImageNotPageAligned",
     "an image does not begin at a page of the flash", kCheckSet},
    {kRecoveryCategory, 103, "FlashEraseFailed", "the flash could not be erased", kFlash},
    {kRecoveryCategory, 104, "OutOfMemory", "the board's loader has no memory left", kAgain},
    {kRecoveryCategory, 105, "BadState", "the board got a message that does not fit its state",
     kAgain},
    {kRecoveryCategory, 107, "FileTransferFailed", "a file did not arrive", kCheckLine},
    {kRecoveryCategory, 108, "ErasureCodingFailed",
     "the flash's redundant copies could not be computed", kFlash},
    {kRecoveryCategory, 109, "DataHashingFailed", "what was written is not what was sent", kFlash},
    {kRecoveryCategory, 110, "PrimaryBackupMismatch", "a table and its copy in the flash differ",
     kAgain},
    {kRecoveryCategory, 111, "DuplicateTableEntries", "a table of the flash has an entry twice",
     kAgain},
    {kRecoveryCategory, 112, "NoReceiverFound", "the board knows no place for an image", kCheckSet},
    {kRecoveryCategory, 113, "DoubleImageEntry", "the manifest names an image twice", kCheckSet},
    {kRecoveryCategory, 114, "PartitionTableOffsetNotFound",
     "the board does not find its partition table", kAgain},
    {kRecoveryCategory, 115, "PartitionLayoutNotFound",
     "the board knows no partition layout that fits", kCheckSet},
    {kRecoveryCategory, 116, "TransferConfigFatal",
     "the board's UART failed at the change of its speed", kCheckLine},
    {kRecoveryCategory, 117, "TransferConfigNonfatal", "the board kept the speed it had",
     kCheckLine},
    {kRecoveryCategory, 150, "ImageNotFound",
     "a file that the board wants is not in the recovery set", kCheckSet},
    {kRecoveryCategory, 151, "UnauthorizedAccess", "the board asked for a file that is not its own",
     kCheckSet},
    {kRecoveryCategory, 152, "UnknownImageRequestServerError",
     "this computer could not give a file", kCheckSet},
    {kRecoveryCategory, 200, "BaudrateNotSupported", "the board does not know the speed",
     kCheckLine},
    {kRecoveryCategory, 202, "FrameReadCrcCheckFailed", "the board got a damaged message",
     kCheckLine},
    {kRecoveryCategory, 203, "FrameReadUartTimeoutError", "the board got part of a message",
     kCheckLine},
    {kRecoveryCategory, 204, "ReadPayloadTooSmall", "the board got a message that is too short",
     kCheckLine},
    {kRecoveryCategory, 205, "XmodemBadStartState", "the board was not ready for a file",
     kCheckLine},
    {kRecoveryCategory, 206, "XmodemInvalidBufferCapacity",
     "the board's buffer is smaller than a block", kCheckLine},
    {kRecoveryCategory, 300, "WrongBoard", "the recovery set is for another kind of board",
     kCheckSet},
    {kRecoveryCategory, 301, "SecurityVersionTooOld",
     "the recovery set is older than the board allows", kCheckSet},
    {kRecoveryCategory, 302, "LayoutInvalid", "images of the set overlap or lie outside the flash",
     kCheckSet},
    {kRecoveryCategory, 303, "ManifestChanged", "the manifest is not the one that was checked",
     kAgain},
    {kRecoveryCategory, 304, "DeviceLocked", "the board is locked against recovery", kCheckKey},
    {kRecoveryCategory, 305, "PowerTooLow", "the board's supply is too low to write its flash",
     kPower},
    {kTableCategory, 1, "UnsupportedImageType", "no table takes images of this type", kCheckSet},
    {kTableCategory, 2, "OutOfAllocationSpace", "the images do not fit into their partition",
     kCheckSet},
    {kTableCategory, 3, "UnexpectedAllocationError", "space for an image could not be set aside",
     kAgain},
    {kTableCategory, 4, "BadTableAlignment", "a table is not aligned", kCheckSet},
    {kTableCategory, 5, "BadBlockAlignment", "a block is not aligned", kCheckSet},
    {kTableCategory, 6, "BadBlockSize", "a block has a wrong size", kCheckSet},
    {kTableCategory, 7, "BadTableLocation", "a table lies at a wrong place", kCheckSet},
    {kTableCategory, 8, "BadOffsetAlignment", "an offset is not aligned", kCheckSet},
    {kTableCategory, 9, "ImageTableFull", "the table of images is full", kCheckSet},
    {kTableCategory, 10, "UnexpectedImageError", "an image could not be entered into its table",
     kAgain},
    {kTableCategory, 11, "TooManyImagesOfSameType", "there are too many images of one type",
     kCheckSet},
    {kTableCategory, 12, "RequiredImageTypeNotFound", "an image that the board needs is missing",
     kCheckSet},
    {kTableCategory, 14, "TableTooLarge", "a table is too large", kCheckSet},
    {kTableCategory, 15, "BadAddressRange", "an image lies outside its partition", kCheckSet},
    {kTableCategory, 16, "ImageTableWriteFailed", "the table of images could not be written",
     kFlash},
    {kTableCategory, 17, "FlashOverflow", "the images do not fit into the flash", kCheckSet},
    {kTableCategory, 18, "InvalidPartitionType", "the manifest names a partition that is not known",
     kCheckSet},
});

}  // namespace

std::span<const DeviceError> device_errors() { return kErrors; }

const DeviceError* find_device_error(std::uint16_t category, std::uint16_t code) {
  const auto* const found = std::ranges::find_if(kErrors, [&](const DeviceError& error) {
    return error.category == category && error.code == code;
  });
  return found == kErrors.end() ? nullptr : found;
}

}  // namespace sphere::recovery
