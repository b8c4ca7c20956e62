/* CRC-32 as zlib computes it (polynomial 0xEDB88320, reflected), eight bytes a step ("slicing by 8").
 *
 * The journal frames records of a few hundred bytes; a call into Python's zlib for each would cost more than the sum.
 */
#ifndef SWITCHGEAR_CRC32_H
#define SWITCHGEAR_CRC32_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the journal's records are laid out in memory as they are on disk: little-endian"
#endif

static uint32_t switchgear_crc_table[8][256];

static void switchgear_crc_init(void) {
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t sum = n;
        for (int bit = 0; bit < 8; bit++) sum = (sum >> 1) ^ (0xEDB88320u & (0u - (sum & 1u)));
        switchgear_crc_table[0][n] = sum;
    }
    for (int slice = 1; slice < 8; slice++)
        for (uint32_t n = 0; n < 256; n++) {
            uint32_t before = switchgear_crc_table[slice - 1][n];
            switchgear_crc_table[slice][n] = (before >> 8) ^ switchgear_crc_table[0][before & 0xFF];
        }
}

/* Continue `sum` (0 at first) over `size` bytes. */
static uint32_t switchgear_crc(uint32_t sum, const unsigned char *data, size_t size) {
    uint32_t low, high;
    sum = ~sum;
    for (; size >= 8; data += 8, size -= 8) {
        memcpy(&low, data, 4);
        memcpy(&high, data + 4, 4);
        low ^= sum;
        sum = switchgear_crc_table[7][low & 0xFF] ^ switchgear_crc_table[6][(low >> 8) & 0xFF] ^
              switchgear_crc_table[5][(low >> 16) & 0xFF] ^ switchgear_crc_table[4][low >> 24] ^
              switchgear_crc_table[3][high & 0xFF] ^ switchgear_crc_table[2][(high >> 8) & 0xFF] ^
              switchgear_crc_table[1][(high >> 16) & 0xFF] ^ switchgear_crc_table[0][high >> 24];
    }
    for (; size; size--) sum = (sum >> 8) ^ switchgear_crc_table[0][(sum ^ *data++) & 0xFF];
    return ~sum;
}

#endif
