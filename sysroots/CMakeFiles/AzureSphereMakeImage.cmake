# SPDX-License-Identifier: MIT
# Old form: include("${AZURE_SPHERE_MAKE_IMAGE_FILE}") after the target that has the project's name.
azsphere_target_add_image_package(${PROJECT_NAME})
