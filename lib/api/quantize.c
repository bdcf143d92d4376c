/* The functions of quantize.h. */
#include "api/options.h"
#include "api/tell.h"
#include "quantize/quantizer.h"

static bool ends_in(const char *path, const char *ending) {
    size_t n = strlen(path), m = strlen(ending);
    return n > m && strcmp(path + n - m, ending) == 0;
}

static fz_status_t check_lists(const fz_quantize_options_t *o) {
    if ((o->n_exclude && !o->exclude) || (o->n_only && !o->only) ||
        (o->n_op_types && !o->op_types) || (o->n_fixed && !o->fixed))
        return fzi_error(FZ_E_USAGE, "fz_quantize_options_t has a NULL list");
    for (size_t i = 0; i < o->n_exclude; i++)
        if (!o->exclude[i]) return fzi_error(FZ_E_USAGE, "a name in EXCLUDE is NULL");
    for (size_t i = 0; i < o->n_only; i++)
        if (!o->only[i]) return fzi_error(FZ_E_USAGE, "a name in ONLY is NULL");
    for (size_t i = 0; i < o->n_op_types; i++)
        if (!o->op_types[i]) return fzi_error(FZ_E_USAGE, "an operator type is NULL");
    for (size_t i = 0; i < o->n_fixed; i++)
        if (!o->fixed[i].name) return fzi_error(FZ_E_USAGE, "a fixed input has no name");
    return FZ_OK;
}

/* NaN is out of every range. */
static fz_status_t check_ranges(const fz_quantize_options_t *o) {
    if (o->kind < FZ_QUANTIZE_STATIC || o->kind > FZ_QUANTIZE_FP16)
        return fzi_error(FZ_E_USAGE, "there is no kind %d of quantisation", o->kind);
    if (o->calibration < 0 || o->calibration > FZ_CALIBRATE_MSE)
        return fzi_error(FZ_E_USAGE, "there is no calibration method %d", o->calibration);
    if (o->opset && (o->opset < 13 || o->opset > 28))
        return fzi_error(FZ_E_USAGE, "opset %d is not one of 13 to 28", o->opset);
    if (o->block_size < 16 || o->block_size > 256 || o->block_size & (o->block_size - 1))
        return fzi_error(FZ_E_USAGE, "a block of %d is no power of 2 from 16 to 256",
                         o->block_size);
    if (!(o->max_drop >= 0 && o->max_drop <= 1))
        return fzi_error(FZ_E_USAGE, "a drop of accuracy is a share, 0 to 1");
    if (!(o->min_sqnr >= 0 && o->min_sqnr <= 200))
        return fzi_error(FZ_E_USAGE, "the least SQNR is 0 to 200 dB");
    if (!(o->percentile > 50 && o->percentile <= 100))
        return fzi_error(FZ_E_USAGE, "a percentile is above 50 and at most 100");
    if (o->flags >> 6 || o->reserved || o->threads < 0 || o->threads > 1024)
        return fzi_error(FZ_E_USAGE, "fz_quantize_options_t has unknown flags, bad threads or "
                         "reserved");
    return FZ_OK;
}

/* What one option needs of the others. */
static fz_status_t check_together(const fz_quantize_options_t *o, const char *out_path) {
    bool samples = o->samples || o->sample, budget = o->max_drop > 0 || o->min_sqnr > 0;
    if (o->samples && o->sample)
        return fzi_error(FZ_E_USAGE, "samples come from files or from the caller, not from both");
    if (o->kind == FZ_QUANTIZE_STATIC && !samples)
        return fzi_error(FZ_E_USAGE, "static quantisation needs samples to calibrate with");
    if ((budget || o->labels) && !samples)
        return fzi_error(FZ_E_USAGE, "a budget or labels need samples");
    if (o->max_drop > 0 && !o->labels)
        return fzi_error(FZ_E_USAGE, "a drop of accuracy needs labels; without them there is the "
                         "least SQNR");
    if (budget && o->kind == FZ_QUANTIZE_FP16)
        return fzi_error(FZ_E_USAGE, "half precision has no layers to choose among");
    if (!ends_in(out_path, ".onnx") && !ends_in(out_path, ".fz"))
        return fzi_error(FZ_E_USAGE, "'%s' ends neither in .onnx nor in .fz", out_path);
    if (o->flags & FZ_QUANTIZE_PER_ROW && (o->kind != FZ_QUANTIZE_DYNAMIC ||
                                           !ends_in(out_path, ".fz")))
        return fzi_error(FZ_E_USAGE, "a range for each row needs dynamic quantisation and a .fz "
                         "file: ONNX cannot say it");
    return FZ_OK;
}

static fz_status_t quantise(const char *onnx_path, const char *out_path,
                            const fz_quantize_options_t *options, char hex[65]) {
    fz_quantize_options_t o;
    if (!onnx_path || !out_path || !options)
        return fzi_error(FZ_E_USAGE, "fz_quantize_file: a path or OPTIONS is NULL");
    FZ_TRY(fzi_options_copy(&o, sizeof o, options, "fz_quantize_options_t"));
    if (!o.calibration) o.calibration = FZ_CALIBRATE_MSE;
    if (!o.block_size) o.block_size = 32;
    if (o.percentile == 0) o.percentile = 99.99;
    FZ_TRY(check_ranges(&o));
    FZ_TRY(check_lists(&o));
    FZ_TRY(check_together(&o, out_path));
    return fzi_quantize(onnx_path, out_path, &o, hex);
}

FZ_API fz_status_t fz_quantize_file(const char *onnx_path, const char *out_path,
                                    const fz_quantize_options_t *options, char hex[65]) {
    if (hex) hex[0] = 0;
    return fzi_tell(quantise(onnx_path, out_path, options, hex));
}
