/* The bytes of a frozen file, format 1. Little-endian throughout.
 *
 *     header      4096 bytes: struct fz_file_header, zero padding
 *     sections    kinds 1 to 14, in this order, each at a multiple of 64; empty ones take no room
 *     checksums   CRC-32C of each block, 4 bytes each, zero padding to a page
 *     sections    15 (weights) and, if there, 16, each at a page boundary
 *
 * What precedes the weights is the front, the rest is the back. Blocks are 64 KiB long, counted
 * from the file's start up to the checksums and then from the weights to the end; the last of
 * either part may be shorter. So a block never lies in front and back, and the front can be proved
 * without touching the weights. Every byte is header, section, checksum or zero padding, and every
 * offset follows from the sizes before it: there is one file for one content.
 *
 * A file's identity is the SHA-256 of all of it. */
#ifndef FZ_ARTIFACT_FORMAT_H
#define FZ_ARTIFACT_FORMAT_H

#include "plan/plan.h"

enum {
    FZ_FORMAT_VERSION = 1,
    FZ_PAGE = 4096,
    FZ_BLOCK = 65536,
    FZ_SECTIONS_MIN = FZ_SECTION_WEIGHTS, /* all kinds up to the weights are in every file */
    FZ_SECTIONS_MAX = FZ_SECTION_KINDS - 1
};

/* 0x89 shows a channel of 7 bits; \r\n, ^Z and \n show what text mode does to files. */
#define FZ_MAGIC "\x89" "FROZEN\r\n\x1a\n\0\0\0\0"

struct fz_file_section {
    uint32_t kind;       /* enum fz_section_kind: the row's number plus 1 */
    uint32_t width;      /* bytes of an element, for swapping; constants have their own */
    uint64_t off, size;  /* from the file's start; size without padding */
    uint8_t sha256[32];  /* of the size bytes */
    uint64_t reserved;   /* 0 */
};

struct fz_file_header {
    uint8_t magic[16];
    uint32_t version;    /* FZ_FORMAT_VERSION */
    uint32_t n_sections; /* FZ_SECTIONS_MIN to FZ_SECTIONS_MAX */
    uint64_t file_size;
    uint64_t crc_off, crc_count; /* the checksums */
    uint64_t weight_size;        /* bytes of all constants */
    uint64_t arena_size, macs;   /* of a run; 0: open shapes */
    uint8_t profile[64];         /* "portable/1", padded with NULs, at least one */
    struct fz_file_section sections[FZ_SECTIONS_MAX];
};
_Static_assert(sizeof(struct fz_file_section) == 64, "the section record is 64 bytes");
_Static_assert(offsetof(struct fz_file_header, file_size) == 24, "no padding in the header");
_Static_assert(offsetof(struct fz_file_header, sections) == 136, "no padding in the header");
_Static_assert(sizeof(struct fz_file_header) <= FZ_PAGE, "the header fits its page");
_Static_assert(sizeof(FZ_MAGIC) == 16, "the magic is 15 characters and a NUL");

/* Where everything lies; index 0 of the arrays is unused. */
struct fz_layout {
    uint32_t n_sections;
    uint64_t off[FZ_SECTION_KINDS], size[FZ_SECTION_KINDS];
    uint64_t crc_off, crc_count;
    uint64_t front_size, file_size;
    uint64_t n_front_blocks;
};

/* Computes LAYOUT from its n_sections and sizes; false on overflow. */
bool fzi_format_layout(struct fz_layout *layout);
/* Section KIND is padded with zeros to a multiple of this: pages for what may be mapped from the
 * file. The rest is copied when a file is opened, and for a small model a page costs more than what
 * is in it. */
uint64_t fzi_format_align(uint32_t kind);
/* Where block I lies in a file of these measures. */
void fzi_format_block(uint64_t crc_off, uint64_t front_size, uint64_t file_size, uint64_t i,
                      uint64_t *off, uint64_t *size);
/* Adds SIZE bytes at file offset OFF to CRCS, the checksums under way of LAYOUT's blocks; bytes
 * that no block covers are left out. */
void fzi_format_add_crc(const struct fz_layout *layout, uint32_t *crcs, uint64_t off,
                        const uint8_t *data, size_t size);
/* Width of section KIND's elements and size of its records. */
uint32_t fzi_format_width(enum fz_section_kind kind);
uint32_t fzi_format_record(enum fz_section_kind kind);
const char *fzi_format_name(enum fz_section_kind kind); /* for messages */
/* Bytes of one element of a constant of DTYPE, for swapping: a complex number is two elements, a
 * string is two, its offset and its size in the strings section. */
uint32_t fzi_format_const_width(int32_t dtype);

/* Reads the header at HEAD (its page) into LAYOUT and INFO's scalars. Proves everything in it but
 * digests and checksums. INFO may be NULL. */
struct fz_artifact_info;
fz_status_t fzi_format_header(const void *head, struct fz_layout *layout,
                              struct fz_artifact_info *info);
/* Proves every record of PLAN, whose tables and counts are set, in host byte order. WEIGHTS_KNOWN
 * says that the weights may be looked at. */
fz_status_t fzi_format_verify(const struct fz_plan *plan, bool weights_known);

/* Reverses the bytes of each element of WIDTH bytes in the SIZE bytes at DATA. */
void fzi_format_swap(void *data, size_t size, uint64_t width);
/* Turns bytes [off, off + size) of the image, which lie at DATA, from the file's byte order to the
 * other or back; OFF and SIZE are multiples of 8. CONSTS, in host byte order, need no proof. */
void fzi_format_swap_range(const struct fz_layout *layout, const struct fz_plan_const *consts,
                           size_t n_consts, uint8_t *data, uint64_t off, uint64_t size);

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FZ_BIG_ENDIAN 1
#else
#define FZ_BIG_ENDIAN 0
#endif

/* Between the file's byte order and the host's; its own inverse. */
static inline uint32_t fzi_le32(uint32_t x) {
    return FZ_BIG_ENDIAN ? __builtin_bswap32(x) : x;
}
static inline uint64_t fzi_le64(uint64_t x) {
    return FZ_BIG_ENDIAN ? __builtin_bswap64(x) : x;
}

#endif
