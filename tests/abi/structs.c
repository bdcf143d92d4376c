/* The layout of the public structs on LP64, as released: a member may be added at the end of a struct
 * that states its size, nothing else may change. Compiling this file is the test. */
#include <frozen/custom.h>
#include <frozen/freeze.h>
#include <frozen/prune.h>
#include <frozen/log.h>
#include <frozen/quantize.h>
#include <frozen/sign.h>
#include <frozen/store.h>

#define AT(type, member, offset) \
    _Static_assert(offsetof(type, member) == (offset), #type "." #member " has moved")
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another size")

#if defined(__LP64__)
AT(fz_tensor_t, dtype, 0);
AT(fz_tensor_t, rank, 4);
AT(fz_tensor_t, dims, 8);
AT(fz_tensor_t, data, 104);
AT(fz_tensor_t, size, 112);
SIZE(fz_tensor_t, 120);

AT(fz_string_t, text, 0);
AT(fz_string_t, size, 8);
SIZE(fz_string_t, 16);

AT(fz_quantize_options_t, size, 0);
AT(fz_quantize_options_t, kind, 8);
AT(fz_quantize_options_t, calibration, 12);
AT(fz_quantize_options_t, opset, 16);
AT(fz_quantize_options_t, block_size, 20);
AT(fz_quantize_options_t, samples, 24);
AT(fz_quantize_options_t, sample, 32);
AT(fz_quantize_options_t, sample_context, 40);
AT(fz_quantize_options_t, labels, 48);
AT(fz_quantize_options_t, max_drop, 56);
AT(fz_quantize_options_t, min_sqnr, 64);
AT(fz_quantize_options_t, percentile, 72);
AT(fz_quantize_options_t, flags, 80);
AT(fz_quantize_options_t, exclude, 88);
AT(fz_quantize_options_t, n_exclude, 96);
AT(fz_quantize_options_t, only, 104);
AT(fz_quantize_options_t, n_only, 112);
AT(fz_quantize_options_t, op_types, 120);
AT(fz_quantize_options_t, n_op_types, 128);
AT(fz_quantize_options_t, fixed, 136);
AT(fz_quantize_options_t, n_fixed, 144);
AT(fz_quantize_options_t, report, 152);
AT(fz_quantize_options_t, json, 160);
AT(fz_quantize_options_t, threads, 168);
AT(fz_quantize_options_t, reserved, 172);
AT(fz_quantize_options_t, progress, 176);
AT(fz_quantize_options_t, progress_context, 184);
SIZE(fz_quantize_options_t, 192);

AT(fz_fixed_input_t, name, 0);
AT(fz_fixed_input_t, value, 8);
SIZE(fz_fixed_input_t, 16);

AT(fz_open_options_t, size, 0);
AT(fz_open_options_t, expect, 8);
AT(fz_open_options_t, protection, 16);
AT(fz_open_options_t, flags, 20);
AT(fz_open_options_t, max_file_size, 24);
AT(fz_open_options_t, threads, 32);
AT(fz_open_options_t, reserved, 36);
AT(fz_open_options_t, signer, 40);
AT(fz_open_options_t, signature, 48);
AT(fz_open_options_t, custom, 56);
SIZE(fz_open_options_t, 64);

AT(fz_custom_attr_t, name, 0);
AT(fz_custom_attr_t, kind, 8);
AT(fz_custom_attr_t, required, 12);
SIZE(fz_custom_attr_t, 16);
AT(fz_custom_call_t, size, 0);
AT(fz_custom_call_t, inputs, 8);
AT(fz_custom_call_t, outputs, 16);
AT(fz_custom_call_t, attributes, 24);
AT(fz_custom_call_t, scratch, 32);
AT(fz_custom_call_t, threads, 40);
AT(fz_custom_call_t, reserved, 44);
AT(fz_custom_call_t, error, 48);
AT(fz_custom_call_t, resize, 56);
AT(fz_custom_call_t, allocate, 64);
AT(fz_custom_call_t, parallel, 72);
SIZE(fz_custom_call_t, 80);
AT(fz_custom_op_t, size, 0);
AT(fz_custom_op_t, domain, 8);
AT(fz_custom_op_t, name, 16);
AT(fz_custom_op_t, opset, 24);
AT(fz_custom_op_t, version, 28);
AT(fz_custom_op_t, digest, 32);
AT(fz_custom_op_t, min_inputs, 64);
AT(fz_custom_op_t, max_inputs, 68);
AT(fz_custom_op_t, min_outputs, 72);
AT(fz_custom_op_t, max_outputs, 76);
AT(fz_custom_op_t, attributes, 80);
AT(fz_custom_op_t, n_attributes, 88);
AT(fz_custom_op_t, flags, 96);
AT(fz_custom_op_t, reserved, 100);
AT(fz_custom_op_t, infer, 104);
AT(fz_custom_op_t, scratch, 112);
AT(fz_custom_op_t, run, 120);
AT(fz_custom_op_t, context, 128);
SIZE(fz_custom_op_t, 136);

AT(fz_io_t, name, 0);
AT(fz_io_t, dtype, 8);
AT(fz_io_t, rank, 12);
AT(fz_io_t, dims, 16);
AT(fz_io_t, dim_names, 112);
SIZE(fz_io_t, 208);

AT(fz_model_stats_t, file_size, 0);
AT(fz_model_stats_t, weight_size, 8);
AT(fz_model_stats_t, arena_size, 16);
AT(fz_model_stats_t, macs, 24);
AT(fz_model_stats_t, n_steps, 32);
AT(fz_model_stats_t, n_constants, 40);
SIZE(fz_model_stats_t, 48);

AT(fz_session_options_t, size, 0);
AT(fz_session_options_t, threads, 8);
AT(fz_session_options_t, flags, 12);
AT(fz_session_options_t, parallel, 16);
AT(fz_session_options_t, parallel_context, 24);
AT(fz_session_options_t, parallel_width, 32);
AT(fz_session_options_t, reserved, 36);
AT(fz_session_options_t, max_arena_size, 40);
SIZE(fz_session_options_t, 48);

AT(fz_session_stats_t, n_runs, 0);
AT(fz_session_stats_t, n_allocations, 8);
AT(fz_session_stats_t, arena_size, 16);
AT(fz_session_stats_t, memory_size, 24);
SIZE(fz_session_stats_t, 32);

AT(fz_dim_binding_t, name, 0);
AT(fz_dim_binding_t, value, 8);
SIZE(fz_dim_binding_t, 16);

AT(fz_kat_input_t, name, 0);
AT(fz_kat_input_t, tensor, 8);
SIZE(fz_kat_input_t, 128);

AT(fz_prune_options_t, size, 0);
AT(fz_prune_options_t, structured, 8);
AT(fz_prune_options_t, sparse, 16);
AT(fz_prune_options_t, exclude, 24);
AT(fz_prune_options_t, n_exclude, 32);
AT(fz_prune_options_t, calib, 40);
AT(fz_prune_options_t, sample, 48);
AT(fz_prune_options_t, sample_context, 56);
AT(fz_prune_options_t, dims, 64);
AT(fz_prune_options_t, n_dims, 72);
AT(fz_prune_options_t, report, 80);
AT(fz_prune_options_t, report_context, 88);
AT(fz_prune_options_t, progress, 96);
AT(fz_prune_options_t, progress_context, 104);
AT(fz_prune_options_t, time, 112);
SIZE(fz_prune_options_t, 120);
AT(fz_prune_result_t, size, 0);
AT(fz_prune_result_t, macs_before, 8);
AT(fz_prune_result_t, macs_after, 16);
AT(fz_prune_result_t, weights_before, 24);
AT(fz_prune_result_t, weights_after, 32);
AT(fz_prune_result_t, zeros_after, 40);
AT(fz_prune_result_t, n_samples, 48);
AT(fz_prune_result_t, time_before, 56);
AT(fz_prune_result_t, time_after, 64);
SIZE(fz_prune_result_t, 72);
AT(fz_freeze_options_t, size, 0);
AT(fz_freeze_options_t, numerics, 8);
AT(fz_freeze_options_t, dims, 16);
AT(fz_freeze_options_t, n_dims, 24);
AT(fz_freeze_options_t, kat_inputs, 32);
AT(fz_freeze_options_t, n_kat_inputs, 40);
AT(fz_freeze_options_t, flags, 48);
AT(fz_freeze_options_t, kat_seed, 56);
AT(fz_freeze_options_t, progress, 64);
AT(fz_freeze_options_t, progress_context, 72);
AT(fz_freeze_options_t, max_file_size, 80);
AT(fz_freeze_options_t, max_nodes, 88);
AT(fz_freeze_options_t, max_depth, 96);
AT(fz_freeze_options_t, max_elements, 104);
AT(fz_freeze_options_t, max_memory, 112);
AT(fz_freeze_options_t, custom, 120);
SIZE(fz_freeze_options_t, 128);
AT(fz_constant_t, name, 0);
AT(fz_constant_t, tensor, 8);
SIZE(fz_constant_t, 128);
AT(fz_step_t, domain, 0);
AT(fz_step_t, op, 8);
AT(fz_step_t, node, 16);
AT(fz_step_t, opset, 24);
AT(fz_step_t, rev, 28);
AT(fz_step_t, n_inputs, 32);
AT(fz_step_t, n_outputs, 36);
AT(fz_step_t, params, 40);
AT(fz_step_t, params_size, 48);
SIZE(fz_step_t, 56);
AT(fz_log_entry_t, seq, 0);
AT(fz_log_entry_t, time, 8);
AT(fz_log_entry_t, receipt, 16);
AT(fz_log_entry_t, model, 24);
AT(fz_log_entry_t, input, 32);
AT(fz_log_entry_t, output, 40);
AT(fz_log_entry_t, profile, 48);
AT(fz_log_entry_t, digest, 56);
AT(fz_log_entry_t, is_signed, 64);
SIZE(fz_log_entry_t, 72);
AT(fz_log_options_t, size, 0);
AT(fz_log_options_t, signer, 8);
AT(fz_log_options_t, head, 16);
AT(fz_log_options_t, visit, 24);
AT(fz_log_options_t, visit_context, 32);
SIZE(fz_log_options_t, 40);
AT(fz_store_item_t, id, 0);
AT(fz_store_item_t, tags, 8);
AT(fz_store_item_t, time, 16);
AT(fz_store_item_t, action, 24);
AT(fz_store_item_t, file_size, 32);
AT(fz_store_item_t, is_pinned, 40);
AT(fz_store_item_t, reserved, 44);
SIZE(fz_store_item_t, 48);
#endif

/* Numbers that callers have compiled in. */
_Static_assert(FZ_OK == 0 && FZ_E_USAGE == 1 && FZ_E_NOMEM == 2 && FZ_E_IO == 3, "status");
_Static_assert(FZ_E_FORMAT == 4 && FZ_E_UNSUPPORTED == 5 && FZ_E_DIGEST == 6, "status");
_Static_assert(FZ_E_CORRUPT == 7 && FZ_E_SHAPE == 8 && FZ_E_TYPE == 9, "status");
_Static_assert(FZ_E_LIMIT == 10 && FZ_E_UNVERIFIED == 11 && FZ_E_CANCELLED == 12, "status");
_Static_assert(FZ_E_DEADLINE == 13 && FZ_E_VALUE == 14 && FZ_E_PROFILE == 15, "status");
_Static_assert(FZ_E_SYSTEM == 16 && FZ_E_INTERNAL == 17 && FZ_E_ANSWER == 18, "status");
_Static_assert(FZ_E_SIGNATURE == 19 && FZ_SESSION_RECEIPTS == 1, "status and flags");
_Static_assert(FZ_KEY_ED25519 == 1 && FZ_KEY_P256 == 2, "kinds of keys");
_Static_assert(FZ_TYPE_F32 == 1 && FZ_TYPE_BOOL == 9 && FZ_TYPE_BF16 == 16, "types");
_Static_assert(FZ_TYPE_I4 == 22 && FZ_TYPE_I2 == 26 && FZ_RANK_MAX == 12, "types");
_Static_assert(FZ_PROTECT_SEALED == 2 && FZ_PROTECT_FOREVER == 3, "protection");
_Static_assert(FZ_OPEN_MAP == 1 && FZ_OPEN_ANY_PROFILE == 2, "flags of opening");
_Static_assert(FZ_OPEN_KNOWN_ANSWER == 4 && FZ_OPEN_SHARE == 8, "flags of opening");
_Static_assert(FZ_FREEZE_KEEP_ONNX == 1 && FZ_FREEZE_NO_WINOGRAD == 2, "flags of freezing");
_Static_assert(FZ_FREEZE_LITERAL_QDQ == 4 && FZ_FREEZE_NO_KAT == 8, "flags of freezing");
_Static_assert(FZ_FREEZE_RANGE_PER_ROW == 16 && FZ_FREEZE_SPARSE == 32, "flags of freezing");

int main(void) { return 0; }
