/* SPDX-License-Identifier: MIT */

/*
 * libgcc_s.so.1 of the sysroot. HL programs are built without exceptions: nothing unwinds, yet
 * binaries import these five names. Frame registration has no meaning with the ARM EHABI; a
 * personality routine that is asked all the same answers "failure".
 */
enum { unwind_failure = 9 }; /* _URC_FAILURE of the EHABI. */

void __register_frame_info(const void* begin, void* object);
void* __deregister_frame_info(const void* begin);
int __aeabi_unwind_cpp_pr0(int state, void* control_block, void* context);
int __aeabi_unwind_cpp_pr1(int state, void* control_block, void* context);
int __aeabi_unwind_cpp_pr2(int state, void* control_block, void* context);

void __register_frame_info(const void* begin, void* object) {
  (void)begin;
  (void)object;
}

void* __deregister_frame_info(const void* begin) {
  (void)begin;
  return 0;
}

int __aeabi_unwind_cpp_pr0(int state, void* control_block, void* context) {
  (void)state;
  (void)control_block;
  (void)context;
  return unwind_failure;
}

int __aeabi_unwind_cpp_pr1(int state, void* control_block, void* context) {
  return __aeabi_unwind_cpp_pr0(state, control_block, context);
}

int __aeabi_unwind_cpp_pr2(int state, void* control_block, void* context) {
  return __aeabi_unwind_cpp_pr0(state, control_block, context);
}
