// SPDX-License-Identifier: MIT
#include <string>

#include <fmt/format.h>

#include "cli/commands/build_identity.h"
#include "cli/commands/command.h"
#include "cli/commands/image_package.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/board_config.h"

namespace sphere::cli {

Result<Output> run_pack_board_config(Context& context, const Arguments& arguments) {
  const auto preset = arguments.value("preset").value_or("");
  SPHERE_TRY(image::find_board_preset(preset));
  SPHERE_TRY_ASSIGN(const auto identity, read_build_identity(context, arguments));
  const auto path = arguments.value("output-file").value_or("");
  SPHERE_TRY_ASSIGN(auto file, create_package_file(path, arguments));
  SPHERE_TRY_ASSIGN(const auto signing, choose_signer(context, arguments));
  SPHERE_TRY_ASSIGN(const auto packed,
                    image::pack_board_configuration({.preset = preset,
                                                     .image_id = identity.image_id,
                                                     .build_time = identity.build_time,
                                                     .reproducible = identity.reproducible},
                                                    *signing.signer));
  SPHERE_TRY(file.write(packed.bytes));
  SPHERE_TRY(file.commit());
  Output output{.text = fmt::format("Packed {} ({} bytes), signed by {}.", path,
                                    with_thousands(packed.bytes.size()), signing.signed_by)};
  output.data.set("file", path)
      .set("imageId", packed.image_id.text())
      .set("bytes", packed.bytes.size())
      .set("signedBy", signing.signed_by);
  return output;
}

}  // namespace sphere::cli
