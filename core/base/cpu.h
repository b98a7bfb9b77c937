/* cpu.h - what this processor, and the operating system under it, can run. Any thread. */
#ifndef BP_BASE_CPU_H
#define BP_BASE_CPU_H

enum bp_cpu {
	BP_CPU_AVX2 = 1 << 0,   /* AVX2 and FMA */
	BP_CPU_AVX512 = 1 << 1, /* AVX-512 F, VL, DQ, BW, and the above */
};

/* The set of enum bp_cpu that may be used: the processor has it and the system saves its registers. */
unsigned bp_cpu_features(void);

#endif
