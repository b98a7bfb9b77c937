/* embed.S - the bytes of the files of base/embed.def, each between two symbols and followed by a NUL. */
#define EMBED(symbol, file, type) \
	.global embed_##symbol; \
	.global embed_##symbol##_end; \
	.balign 16; \
	embed_##symbol: .incbin file; \
	embed_##symbol##_end: .byte 0;

	.section .rodata
#include "base/embed.def"
	.section .note.GNU-stack, "", %progbits
